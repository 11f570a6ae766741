from django.db import migrations, models


def remembered(**options):
    return models.JSONField(blank=True, editable=False, null=True, **options)


class Migration(migrations.Migration):
    """Leads that are there already get none: what their conversations had concluded is worked out when they go on."""

    dependencies = [
        ("leads", "0009_distance_between_messages"),
    ]

    operations = [
        migrations.AddField(model_name="lead", name="concluded", field=remembered()),
        migrations.AddField(model_name="lead", name="concluded_when_moved", field=remembered()),
        # The default is ours, not the database's: there is nothing to alter.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model_name="lead", name="concluded", field=remembered(default=list)),
                migrations.AlterField(model_name="lead", name="concluded_when_moved", field=remembered(default=list)),
            ]
        ),
    ]
