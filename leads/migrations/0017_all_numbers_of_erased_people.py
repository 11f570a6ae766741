from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0016_words_for_nothing"),
    ]

    operations = [
        migrations.AddField(
            model_name="lead",
            name="erased_further",
            field=models.JSONField(
                blank=True, db_default=models.Value([], models.JSONField()), default=list, editable=False
            ),
        ),
    ]
