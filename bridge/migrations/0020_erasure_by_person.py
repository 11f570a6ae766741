import django.db.models.deletion
from django.db import migrations, models

import bridge.encryption

RESULTS = [
    ("pending", "pending"),
    ("adopted", "a person's change, adopted"),
    ("echo", "echo of our own write"),
    ("unchanged", "nothing new"),
    ("ignored", "not about a lead of ours"),
    ("failed", "failed"),
    ("forgotten", "about a person who was erased: not kept"),
]


def take_over_what_is_due(apps, schema_editor):
    """Whoever asked to be forgotten in Kommo, and still waits, asks in the new way."""
    card_of, forgetting_of = apps.get_model("bridge", "Card"), apps.get_model("bridge", "Forgetting")
    for card in card_of.objects.filter(contact_to_forget=True).select_related("lead"):
        asked_at = card.lead.erased_at or card.lead.updated_at
        forgetting_of.objects.get_or_create(card=card, defaults={"asked_at": asked_at, "due_at": asked_at})


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0019_troubles_and_second_looks"),
        ("leads", "0008_whoever_opted_out_before"),
    ]

    operations = [
        migrations.CreateModel(
            name="Forgetting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "card",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="forgetting",
                        to="bridge.card",
                        verbose_name="card",
                    ),
                ),
                ("empties", models.BooleanField(default=True)),
                ("asked_at", models.DateTimeField(verbose_name="asked at")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("due", "still to be done"),
                            ("done", "done"),
                            ("left", "something is left for a person to do"),
                        ],
                        default="due",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("due_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("phone", bridge.encryption.EncryptedTextField(blank=True, editable=False)),
                ("email", bridge.encryption.EncryptedTextField(blank=True, editable=False)),
                ("contacts", models.JSONField(default=list, editable=False)),
                ("problem", models.CharField(blank=True, max_length=500, verbose_name="what is left")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
            ],
            options={
                "verbose_name": "erasure in Kommo",
                "verbose_name_plural": "erasures in Kommo",
                "indexes": [
                    models.Index(condition=models.Q(("state", "due")), fields=["due_at"], name="forgettings_due"),
                    models.Index(condition=models.Q(("state", "left")), fields=["state"], name="forgettings_left"),
                ],
            },
        ),
        migrations.AddField(
            model_name="card",
            name="own_contact_id",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="webhookitem",
            name="result",
            field=models.CharField(choices=RESULTS, default="pending", max_length=10, verbose_name="result"),
        ),
        migrations.RunPython(take_over_what_is_due, migrations.RunPython.noop),
    ]
