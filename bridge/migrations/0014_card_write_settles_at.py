from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0013_cards_that_are_only_shown"),
    ]

    operations = [
        migrations.AlterField(
            model_name="card",
            name="create_settles_at",
            field=models.DateTimeField(blank=True, db_column="create_settles_at", editable=False, null=True),
        ),
        migrations.RenameField(
            model_name="card",
            old_name="create_settles_at",
            new_name="write_settles_at",
        ),
    ]
