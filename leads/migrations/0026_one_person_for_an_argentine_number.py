"""An Argentine number is known with its mobile mark, however it was written (leads/phone.py).

Where both spellings had made a person of their own, both stay as they are; a report that names both joins them.
"""

from django.db import migrations

from leads import pseudonyms
from leads.phone import key_of

WITHOUT_MARK = ("+541", "+542", "+543")


def know_by_one_key(apps, schema_editor):
    lead_model, further_model = apps.get_model("leads", "Lead"), apps.get_model("leads", "FurtherAddress")
    optout_model = apps.get_model("leads", "OptOut")
    for begin in WITHOUT_MARK:
        for lead in lead_model.objects.filter(phone_key__startswith=begin).only("pk", "pipeline", "phone_key"):
            same = {"pipeline": lead.pipeline_id}
            key = key_of(lead.phone_key)
            taken = lead_model.objects.filter(**same, phone_key=key) or further_model.objects.filter(**same, key=key)
            if not taken.exists():
                lead_model.objects.filter(pk=lead.pk).update(phone_key=key)
        for row in further_model.objects.filter(key__startswith=begin):
            same = {"pipeline": row.pipeline_id}
            key = key_of(row.key)
            taken = lead_model.objects.filter(**same, phone_key=key) or further_model.objects.filter(**same, key=key)
            if not taken.exists():
                further_model.objects.filter(pk=row.pk).update(key=key)
        for wish in optout_model.objects.filter(phone_key__startswith=begin):
            # The old one stays beside it: the version that is still serving asks for that.
            key = key_of(wish.phone_key)
            values = {"phone_key": key, "opted_out_at": wish.opted_out_at, "by": wish.by, "reason": wish.reason}
            optout_model.objects.get_or_create(address=pseudonyms.of_address(key), defaults=values)


class Migration(migrations.Migration):
    dependencies = [("leads", "0025_addresses_of_any_kind")]

    operations = [migrations.RunPython(know_by_one_key, migrations.RunPython.noop, elidable=True)]
