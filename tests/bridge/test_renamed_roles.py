"""Groups that an older version shipped become those of this one, with their people and with no right too many."""

from __future__ import annotations

from importlib import import_module

from django.contrib.auth.models import Group, User

from bridge import roles

migration = import_module("bridge.migrations.0042_roles_as_people_know_them")


def test_people_stay_in_the_role_they_had(db):
    Group.objects.filter(name__in=migration.NEW_NAMES.values()).delete()
    for old, new in migration.NEW_NAMES.items():
        User.objects.create_user(new).groups.add(Group.objects.create(name=old))

    migration.rename(Group.objects, migration.NEW_NAMES)

    assert {user.username: roles.role_of(user) for user in User.objects.all()} == {
        new: new for new in migration.NEW_NAMES.values()
    }


def test_a_group_of_staffs_own_with_a_new_roles_name_gets_none_of_its_rights(db):
    Group.objects.filter(name__in=("operator", "seller")).delete()
    own, shipped = Group.objects.create(name="seller"), Group.objects.create(name="operator")

    migration.rename(Group.objects, migration.NEW_NAMES)

    assert Group.objects.get(pk=own.pk).name == "seller (own)"
    assert Group.objects.get(pk=shipped.pk).name == "seller"


def test_the_way_back_gives_the_old_names(db):
    migration.rename(Group.objects, {new: old for old, new in migration.NEW_NAMES.items()})

    assert {"viewer", "operator", "manager", "admin"} <= set(Group.objects.values_list("name", flat=True))
