from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0039_plain_words"),
    ]

    operations = [
        migrations.AddField(
            model_name="agentevent",
            name="holder",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
        ),
    ]
