from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0036_messages_newest_first"),
    ]

    operations = [
        migrations.AlterField(
            model_name="webhookitem",
            name="result",
            field=models.CharField(
                choices=[
                    ("pending", "pending"),
                    ("adopted", "a person's change, adopted"),
                    ("echo", "echo of our own write"),
                    ("unchanged", "nothing new"),
                    ("ignored", "not about a lead of ours"),
                    ("unlinked", "of a chat that is no lead's yet"),
                    ("failed", "failed"),
                    ("forgotten", "about a person who was erased: not kept"),
                ],
                default="pending",
                max_length=10,
                verbose_name="result",
            ),
        ),
        AddIndexBesideOthers(
            model_name="webhookitem",
            index=models.Index(condition=models.Q(("result", "unlinked")), fields=["event"], name="unlinked_chats"),
        ),
    ]
