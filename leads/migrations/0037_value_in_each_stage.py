from django.db import migrations, models

from common.indexes import AddIndexBesideOthers, DropIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes and drops an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0036_plain_words"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(fields=["pipeline", "stage", "bill_value"], name="lead_by_stage_and_value"),
        ),
        DropIndexBesideOthers(model_name="lead", name="lead_by_stage"),
    ]
