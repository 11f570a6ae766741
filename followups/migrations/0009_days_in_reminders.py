"""The reminders every installation starts with say the day as it is when they leave; texts that staff changed stay."""

from django.db import migrations

GREETING = "Oi{% if first_name %}, {{ first_name }}{% endif %}! "
LINK = "{% if meeting.link %} Link: {{ meeting.link }}{% endif %}"
TEXTS = {
    GREETING + "Lembrando da nossa reunião em {{ meeting.starts_at }}." + LINK: (
        GREETING + "Lembrando da nossa reunião: {{ meeting.when }}." + LINK
    ),
    GREETING + "Nossa reunião é hoje, às {{ meeting.time }}." + LINK: (
        GREETING + "Nossa reunião é {{ meeting.when }}." + LINK
    ),
}


def say_the_day(apps, schema_editor):
    for before, after in TEXTS.items():
        apps.get_model("followups", "Step").objects.filter(text=before).update(text=after)


def say_it_as_before(apps, schema_editor):
    for before, after in TEXTS.items():
        apps.get_model("followups", "Step").objects.filter(text=after).update(text=before)


class Migration(migrations.Migration):
    dependencies = [("followups", "0008_what_was_not_sent")]
    operations = [migrations.RunPython(say_the_day, say_it_as_before)]
