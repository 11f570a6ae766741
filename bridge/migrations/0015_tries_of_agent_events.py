from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0014_card_write_settles_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="agentevent",
            name="tries",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
