from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0038_what_a_keys_tools_may_do"),
    ]

    operations = [
        migrations.AddField(
            model_name="agentevent",
            name="holder",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
        ),
    ]
