from django.db import migrations, models

from common.indexes import WidenText


class Migration(migrations.Migration):
    dependencies = [
        ("followups", "0009_days_in_reminders"),
    ]

    operations = [
        WidenText(
            model_name="unreachable",
            name="phone_key",
            field=models.CharField(max_length=220, unique=True),
        ),
    ]
