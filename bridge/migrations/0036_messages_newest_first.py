from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0035_what_was_told_of_messages"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="outgoing",
            index=models.Index(fields=["-created_at"], name="outgoing_newest"),
        ),
    ]
