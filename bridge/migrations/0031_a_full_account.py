from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0030_ways_in"),
    ]

    operations = [
        migrations.AlterField(
            model_name="trouble",
            name="subject",
            field=models.CharField(
                choices=[
                    ("contacts", "contacts"),
                    ("notes", "notes for sellers"),
                    ("tasks", "tasks for sellers"),
                    ("salesbot", "Salesbot"),
                    ("events", "events feed"),
                    ("webhooks", "webhook subscription"),
                    ("users", "list of users"),
                    ("loss_reasons", "reasons of lost leads"),
                    ("compare", "comparison with Kommo"),
                    ("inbox", "reading of webhooks"),
                    ("catalogue", "stages and fields"),
                    ("hidden", "leads that are not shown"),
                    ("robots", "another robot answers our leads"),
                    ("creates", "new leads"),
                    ("plan", "room in Kommo's plan"),
                ],
                max_length=20,
                verbose_name="what",
            ),
        ),
    ]
