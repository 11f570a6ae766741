"""Until now a lead that was found in Kommo, or that another program moved, counted as placed by a person.

Nobody was seen to place it: rules may move it on. What a person did since has a reason of its own and is left alone.
"""

from django.db import migrations
from django.db.models import Q

FOUND = Q(decision_reason="made by staff in Kommo")
MOVED_BY_A_PROGRAM = Q(decision_reason__endswith=" by an automation or another program")


def let_rules_move_them(apps, schema_editor):
    leads = apps.get_model("leads", "Lead").objects.filter(FOUND | MOVED_BY_A_PROGRAM, stage_set_by="staff")
    leads.update(stage_set_by="kommo")


def give_them_back(apps, schema_editor):
    leads = apps.get_model("leads", "Lead").objects.filter(FOUND | MOVED_BY_A_PROGRAM, stage_set_by="kommo")
    leads.update(stage_set_by="staff")


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0010_what_a_conversation_has_concluded"),
    ]

    operations = [
        migrations.RunPython(let_rules_move_them, give_them_back),
    ]
