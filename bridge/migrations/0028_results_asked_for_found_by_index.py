from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0027_tasks_that_ask_for_results"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="briefing",
            index=models.Index(
                condition=models.Q(("asks_result", True)),
                fields=["resolved_at", "since"],
                name="briefings_asking_results",
            ),
        ),
    ]
