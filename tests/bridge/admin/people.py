"""Browsers of people with a role."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client

from bridge.admin.confirm import SESSION_KEY

PASSWORD = "a-password-of-tests"


def client_of(role: str, *, fresh: bool = True) -> Client:
    """Return a client logged in as somebody with that role; not fresh: the password was given long ago."""
    user = User.objects.create_user(f"{role}-{User.objects.count()}", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    if not fresh:
        age(client)
    return client


def age(client: Client) -> None:
    """Let it be long ago that the password was given."""
    session = client.session
    session[SESSION_KEY] = 0
    session.save()
