from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0011_found_stages_are_nobodys"),
    ]

    operations = [
        migrations.AddField(
            model_name="lead",
            name="back_since_erasure_of",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
