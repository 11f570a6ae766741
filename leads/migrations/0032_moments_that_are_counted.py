import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0031_messages_to_be_told"),
    ]

    operations = [
        migrations.CreateModel(
            name="Milestone",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("first_reply", "first reply"),
                            ("handoff_wait", "answered by a person"),
                            ("disqualified", "disqualified"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("seconds", models.PositiveIntegerField(blank=True, null=True, verbose_name="seconds")),
                ("detail", models.CharField(blank=True, max_length=500, verbose_name="detail")),
                (
                    "lead",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="milestones",
                        to="leads.lead",
                        verbose_name="lead",
                    ),
                ),
                (
                    "pipeline",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="leads.pipeline",
                    ),
                ),
            ],
            options={
                "verbose_name": "milestone",
                "verbose_name_plural": "milestones",
                "indexes": [
                    models.Index(fields=["pipeline", "kind", "at", "seconds"], name="milestones_counted"),
                    models.Index(fields=["at"], name="milestones_by_age"),
                ],
            },
        ),
        migrations.AddField(
            model_name="meeting",
            name="is_by_agent",
            field=models.BooleanField(editable=False, null=True, verbose_name="booked by the agent"),
        ),
    ]
