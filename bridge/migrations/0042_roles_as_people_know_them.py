"""The shipped groups are named as people call their roles; who was in one stays in it, with the same permissions."""

from __future__ import annotations

from django.db import migrations

NEW_NAMES = {"viewer": "reader", "operator": "seller", "admin": "administrator"}


def rename(groups, names):
    for old, new in names.items():
        shipped = groups.filter(name=old).first()
        if shipped is None:
            continue
        # A group of staff's own that is called so keeps its rights and its people, under another name: what migrate
        # gives to ours is not given to them unasked.
        for own in groups.filter(name=new):
            own.name = f"{new} (own)"
            own.save(update_fields=["name"])
        shipped.name = new
        shipped.save(update_fields=["name"])


def forwards(apps, schema_editor):
    rename(apps.get_model("auth", "Group").objects, NEW_NAMES)


def backwards(apps, schema_editor):
    rename(apps.get_model("auth", "Group").objects, {new: old for old, new in NEW_NAMES.items()})


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0041_weekly_mails"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(forwards, backwards)]
