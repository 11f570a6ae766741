"""Who may do what, as data: the four shipped groups."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from bridge import roles


def permissions_of(role):
    group = Group.objects.get(name=role)
    return {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in group.permissions.select_related("content_type")
    }


def test_migrate_ships_a_group_for_every_role(db):
    assert set(Group.objects.values_list("name", flat=True)) == set(roles.ROLES)


def test_every_role_has_everything_the_one_before_it_has(db):
    for lower, higher in zip(roles.ROLES, roles.ROLES[1:], strict=False):
        assert permissions_of(lower) < permissions_of(higher)


def test_every_named_permission_exists(db):
    assert permissions_of(roles.ADMINISTRATOR) == roles.permissions(roles.ADMINISTRATOR)


def test_a_viewer_only_looks(db):
    assert {name.partition(".")[2].partition("_")[0] for name in permissions_of(roles.READER)} == {"view"}


def test_nobody_below_an_admin_sees_people_or_touches_secrets(db):
    for role in (roles.READER, roles.SELLER, roles.MANAGER):
        assert not {name for name in permissions_of(role) if name.startswith(("auth.", "axes.", "admin."))}
        assert not permissions_of(role) & {
            "bridge.change_account",
            "bridge.add_apikey",
            "bridge.change_apikey",
            roles.ERASE,
        }


def test_rules_are_a_managers(db):
    rules = {
        f"{model._meta.app_label}.change_{model._meta.model_name}"
        for model in apps.get_models()
        if model._meta.app_label in ("leads", "followups") and hasattr(model, "history")
    }
    assert len(rules) >= 10
    assert rules <= permissions_of(roles.MANAGER)
    assert not rules & permissions_of(roles.SELLER)


def test_nobody_may_run_any_function_through_the_queue(db):
    assert {name for name in permissions_of(roles.ADMINISTRATOR) if name.startswith("django_q.")} == {
        "django_q.view_failure",
        "django_q.view_ormq",
        "django_q.view_schedule",
        "django_q.view_success",
        "django_q.view_task",
    }


def test_migrate_sets_the_shipped_groups_again_and_leaves_staffs_own_alone(db):
    Group.objects.get(name=roles.READER).permissions.add(Permission.objects.get(codename="delete_lead"))
    Group.objects.get(name=roles.MANAGER).permissions.clear()
    own = Group.objects.create(name="night shift")
    own.permissions.add(Permission.objects.get(codename="operate"))

    call_command("migrate", verbosity=0)

    assert roles.ERASE not in permissions_of(roles.READER)
    assert permissions_of(roles.MANAGER) == roles.permissions(roles.MANAGER)
    assert permissions_of("night shift") == {roles.OPERATE}


@pytest.mark.parametrize("groups", [["reader"], ["reader", "manager"]])
def test_a_persons_role_is_the_highest_of_their_groups(db, groups):
    user = User.objects.create_user("bob")
    user.groups.set(Group.objects.filter(name__in=groups))
    assert roles.role_of(user) == groups[-1]
