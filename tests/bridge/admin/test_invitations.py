"""Somebody is invited by e-mail, chooses a password by the link, and works with the role that was given."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from bridge import roles
from tests.bridge.admin.people import client_of

ADD = "/admin/auth/user/add/"
PASSWORD = "chosen-by-eve-herself"


def invited(mailoutbox) -> str:
    """Return the link of the newest mail."""
    return re.search(r"http://testserver(/\S+)", mailoutbox[-1].body)[1]


def choose(link: str) -> Client:
    browser = Client()
    page = browser.get(link, follow=True)
    browser.post(page.redirect_chain[-1][0], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    return browser


def test_the_person_chooses_their_own_password_by_the_link(db, mailoutbox):
    boss = client_of(roles.ADMINISTRATOR)
    boss.post(ADD, {"email": "eve@example.com", "first_name": "Eve", "role": "seller"})
    eve = User.objects.get(email="eve@example.com")

    assert mailoutbox[-1].to == ["eve@example.com"]
    assert not eve.has_usable_password()
    choose(invited(mailoutbox))

    eve.refresh_from_db()
    assert eve.check_password(PASSWORD)
    assert roles.role_of(eve) == roles.SELLER


def test_a_link_works_once(db, mailoutbox):
    client_of(roles.ADMINISTRATOR).post(ADD, {"email": "eve@example.com", "role": "reader"})
    link = invited(mailoutbox)
    choose(link)

    again = Client().get(link, follow=True)

    assert "was used already" in again.content.decode()


def test_mail_that_cannot_be_sent_leaves_the_link_to_who_invites(db, settings):
    settings.EMAIL_BACKEND = "tests.bridge.admin.test_invitations.Broken"

    answer = client_of(roles.ADMINISTRATOR).post(ADD, {"email": "eve@example.com", "role": "reader"}, follow=True)

    assert "could not be sent" in answer.content.decode()
    assert "/admin/welcome/" in answer.content.decode()


def test_where_mail_is_written_to_the_log_the_link_is_shown_and_not_written_there(db, settings, capsys):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    answer = client_of(roles.ADMINISTRATOR).post(ADD, {"email": "eve@example.com", "role": "reader"}, follow=True)

    assert "/admin/welcome/" not in "".join(capsys.readouterr())
    [link] = re.findall(r"http://testserver(/admin/welcome/[^\s<&]+)", answer.content.decode())
    choose(link)
    assert User.objects.get(email="eve@example.com").check_password(PASSWORD)


class Broken:
    def __init__(self, **_):
        pass

    def send_messages(self, _):
        raise OSError("nobody there")


def test_who_is_here_already_is_not_invited_twice(db, mailoutbox):
    User.objects.create_user("eve", "eve@example.com")

    answer = client_of(roles.ADMINISTRATOR).post(ADD, {"email": "EVE@example.com", "role": "reader"})

    assert "is here already" in answer.content.decode()
    assert mailoutbox == []


@pytest.mark.parametrize("role", [roles.READER, roles.SELLER, roles.MANAGER])
def test_nobody_else_invites(db, mailoutbox, role):
    assert client_of(role).post(ADD, {"email": "eve@example.com", "role": "administrator"}).status_code == 403
    assert mailoutbox == []


def test_a_new_role_takes_the_place_of_the_other_and_leaves_groups_of_staffs_own(db):
    eve = User.objects.create_user("eve", "eve@example.com", is_staff=True)
    eve.groups.add(Group.objects.get(name=roles.MANAGER), Group.objects.create(name="night shift"))
    page = reverse("admin:auth_user_change", args=[eve.pk])
    posted = {"username": "eve", "email": "eve@example.com", "is_active": "on", "role": roles.READER}

    assert client_of(roles.ADMINISTRATOR).post(page, posted).status_code == 302

    assert set(eve.groups.values_list("name", flat=True)) == {roles.READER, "night shift"}


def test_a_link_is_sent_again_to_who_forgot_their_password(db, mailoutbox):
    eve = User.objects.create_user("eve", "eve@example.com", password="forgotten-long-ago", is_staff=True)
    boss = client_of(roles.ADMINISTRATOR)

    boss.post("/admin/auth/user/", {"action": "send_link", "_selected_action": [eve.pk], "index": "0"})
    choose(invited(mailoutbox))

    eve.refresh_from_db()
    assert eve.check_password(PASSWORD)
