from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0020_meetings_known_so_far"),
    ]

    operations = [
        # SQLite uses a partial index only where its condition has no values.
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("meeting_gone_by", False), ("meeting_starts_at__isnull", False)),
                fields=["meeting_status", "meeting_starts_at"],
                name="meetings_ahead",
            ),
        ),
    ]
