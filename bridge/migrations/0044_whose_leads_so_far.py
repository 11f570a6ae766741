"""Whose leads they are, as far as their cards know. In parts: whoever writes to a lead waits for one part at most."""

from django.db import migrations

AT_ONCE = 1_000


def fill(apps, schema_editor):
    card_model, lead_model = apps.get_model("bridge", "Card"), apps.get_model("leads", "Lead")
    last = 0
    while rows := list(
        card_model.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "lead_id", "observed")[:AT_ONCE]
    ):
        last = rows[-1][0]
        of: dict[int, list] = {}
        for _pk, lead_id, observed in rows:
            if user_id := (observed or {}).get("responsible_user_id"):
                of.setdefault(user_id, []).append(lead_id)
        for user_id, leads in of.items():
            lead_model.objects.filter(pk__in=leads).update(kommo_responsible_id=user_id)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("bridge", "0043_saved_views_and_currency"), ("leads", "0040_lists_of_leads")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
