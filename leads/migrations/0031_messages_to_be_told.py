from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0030_conversations_in_kommo"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="message",
            index=models.Index(
                condition=models.Q(("untold_since__isnull", False)), fields=["untold_since"], name="messages_to_be_told"
            ),
        ),
        AddIndexBesideOthers(
            model_name="message",
            index=models.Index(condition=models.Q(("telling", "held")), fields=["lead"], name="messages_held_back"),
        ),
    ]
