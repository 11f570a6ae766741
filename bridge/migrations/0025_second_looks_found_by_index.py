from django.db import migrations, models

from common.indexes import AddIndexBesideOthers


class Migration(migrations.Migration):
    # PostgreSQL makes an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("bridge", "0024_calls_for_a_person"),
    ]

    operations = [
        AddIndexBesideOthers(
            model_name="briefing",
            index=models.Index(
                condition=models.Q(("given_up_at__isnull", False)), fields=["given_up_at"], name="briefings_given_up"
            ),
        ),
        AddIndexBesideOthers(
            model_name="card",
            index=models.Index(
                condition=models.Q(("missing_since__isnull", False)),
                fields=["account", "missing_since"],
                name="cards_missing",
            ),
        ),
    ]
