from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0046_stages_in_kommo"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="card",
            index=models.Index(
                condition=models.Q(("last_error__startswith", "what Kommo holds could not be adopted")),
                fields=["id"],
                name="cards_unreadable",
            ),
        ),
    ]
