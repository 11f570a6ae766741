"""Whoever opted out so far did so by lead: each of them gets a row by person.

A lead keeps its own column, which the version before this one goes on to read and write while it is being replaced.
"""

import hmac
import secrets

from django.db import migrations

AT_ONCE = 1_000


def give_people_their_wish(apps, schema_editor):
    key_of, lead_of = apps.get_model("leads", "PseudonymKey"), apps.get_model("leads", "Lead")
    opt_out_of = apps.get_model("leads", "OptOut")
    key, _ = key_of.objects.get_or_create(pk=1, defaults={"secret": secrets.token_urlsafe(32)})
    secret = key.secret.encode()

    def address(phone_key):
        # As leads/pseudonyms.py has it; kept here, because a migration goes on meaning what it meant.
        return hmac.digest(secret, f"phone:{phone_key}".encode(), "sha256").hex()

    rows = lead_of.objects.filter(opted_out_at__isnull=False, phone_key__isnull=False).order_by("opted_out_at")
    wishes = []
    for phone_key, at in rows.values_list("phone_key", "opted_out_at").iterator(AT_ONCE):
        # The first to say so counts; what was said stands on the lead's timeline.
        wishes.append(opt_out_of(address=address(phone_key), phone_key=phone_key, opted_out_at=at, by="bridge"))
        if len(wishes) == AT_ONCE:
            opt_out_of.objects.bulk_create(wishes, ignore_conflicts=True)
            wishes = []
    opt_out_of.objects.bulk_create(wishes, ignore_conflicts=True)
    # A person's other leads, made since.
    for phone_key, at in opt_out_of.objects.values_list("phone_key", "opted_out_at").iterator(AT_ONCE):
        lead_of.objects.filter(phone_key=phone_key, opted_out_at=None).update(opted_out_at=at)


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0007_people_beside_their_leads"),
    ]

    operations = [
        migrations.RunPython(give_people_their_wish, migrations.RunPython.noop),
    ]
