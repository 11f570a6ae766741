from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0020_erasure_by_person"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="card",
            index=models.Index(
                condition=models.Q(("own_contact_id__isnull", False)),
                fields=["account", "own_contact_id"],
                name="card_by_own_contact",
            ),
        ),
    ]
