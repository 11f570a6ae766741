from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("followups", "0011_instructions_and_what_was_not_delivered"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("answered_at__isnull", False)), fields=["answered_at"], name="attempts_answered"
            ),
        ),
    ]
