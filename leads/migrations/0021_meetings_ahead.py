from django.db import migrations, models

from leads.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0020_meetings_known_so_far"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("meeting_gone_by", False), ("meeting_status__in", ["scheduled", "rescheduled"])),
                fields=["meeting_starts_at"],
                name="meeting_ahead",
            ),
        ),
    ]
