from django.db import migrations, models

from common.indexes import AddIndexBesideOthers, DropIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes and drops an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0032_moments_that_are_counted"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="meeting",
            index=models.Index(fields=["first_told_at"], name="meetings_by_booking"),
        ),
        AddIndexBesideOthers(
            model_name="meeting",
            index=models.Index(fields=["status", "starts_at"], name="meetings_by_status"),
        ),
        AddIndexBesideOthers(
            model_name="objection",
            index=models.Index(fields=["raised_at"], name="objections_by_age"),
        ),
        # Takes the place of the index by time alone.
        AddIndexBesideOthers(
            model_name="message",
            index=models.Index(fields=["at", "direction", "lead"], name="messages_by_time"),
        ),
        DropIndexBesideOthers(model_name="message", name="messages_by_age"),
    ]
