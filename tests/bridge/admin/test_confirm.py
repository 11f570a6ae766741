"""Sensitive actions ask again, and what was typed goes on once the password is right."""

from __future__ import annotations

from datetime import timedelta

import pytest
import responses
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bridge import roles
from bridge.admin.confirm import PASSWORD as FIELD
from bridge.models import Account, ApiKey, RulesDraft, RulesRevision
from leads.models import Qualification
from tests.bridge.admin.people import PASSWORD, age, client_of
from tests.bridge.admin.rules_editing import edit, page, publish, threshold
from tests.conftest import record

ADD_KEY = "/admin/bridge/apikey/add/"


@pytest.fixture
def boss(db) -> Client:
    return client_of(roles.ADMINISTRATOR, fresh=False)


def kept(answer):
    """What waits in the page that asks, as a browser would post it."""
    return dict(answer.context["kept"])


def test_making_a_key_asks_and_goes_on_with_what_was_typed(boss):
    asked = boss.post(ADD_KEY, {"name": "agent"})

    assert not ApiKey.objects.exists()
    assert "Please confirm that it is you" in asked.content.decode()
    assert "no-store" in asked["Cache-Control"]
    answer = boss.post(ADD_KEY, kept(asked) | {FIELD: PASSWORD})
    assert answer.status_code == 302
    assert ApiKey.objects.get().name == "agent"


@responses.activate
def test_where_kommo_calls_is_changed_by_whoever_gave_the_password_just_now(boss):
    # Its address holds the secret, and every change of a card goes there.
    Account.objects.create(
        name="a", base_url="https://a.kommo.com", access_token="t", connected_at=timezone.now(), webhook_secret="hidden"
    )
    asked = boss.post("/admin/setup/webhook/", {"public_url": "https://elsewhere.example"})

    assert "Please confirm that it is you" in asked.content.decode()
    assert kept(asked) == {"public_url": "https://elsewhere.example"}
    assert not responses.calls


def test_a_wrong_password_does_nothing_and_loses_nothing(boss):
    asked = boss.post(ADD_KEY, {"name": "agent", FIELD: "a guess"})

    assert "This is not your password" in asked.content.decode()
    assert kept(asked) == {"name": "agent"}
    assert not ApiKey.objects.exists()


def test_an_answer_holds_for_some_minutes(boss, settings):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        boss.post(ADD_KEY, {"name": "one", FIELD: PASSWORD})
        clock.shift(timedelta(minutes=settings.ADMIN_CONFIRM_MINUTES) - timedelta(seconds=1))
        boss.post(ADD_KEY, {"name": "two"})
        clock.shift(timedelta(seconds=2))
        boss.post(ADD_KEY, {"name": "three"})
    assert set(ApiKey.objects.values_list("name", flat=True)) == {"one", "two"}


def test_whoever_just_logged_in_is_not_asked(db):
    User.objects.create_superuser("ada", password=PASSWORD)
    client = Client()
    client.post("/admin/login/", {"username": "ada", "password": PASSWORD})

    client.post(ADD_KEY, {"name": "agent"})

    assert ApiKey.objects.exists()


def test_looking_is_never_asked_for_a_password(boss):
    assert "Please confirm" not in boss.get(ADD_KEY).content.decode()


def test_revoking_and_deleting_keys_ask(boss):
    key = ApiKey.objects.create(name="agent", prefix="kb_", key_hash="x")
    chosen = {"_selected_action": [key.pk], "index": "0", "select_across": "0"}

    for action in ("revoke", "delete_selected"):
        answer = boss.post("/admin/bridge/apikey/", chosen | {"action": action, "post": "yes"})
        assert "Please confirm" in answer.content.decode()
    assert "Please confirm" in boss.post(f"/admin/bridge/apikey/{key.pk}/delete/", {"post": "yes"}).content.decode()

    key.refresh_from_db()
    assert key.revoked_at is None
    boss.post("/admin/bridge/apikey/", chosen | {"action": "revoke", FIELD: PASSWORD})
    key.refresh_from_db()
    assert key.revoked_at


@pytest.mark.parametrize("action", ["revoke", "delete_selected"])
@pytest.mark.parametrize(
    ("before", "after", "index"),
    [([], ["xx"], "0"), ([], [""], "0"), (["xx"], [], "1"), (["", "xx"], [""], "2"), ([], ["xx"], ""),
     ([], ["xx"], "-2"), (["xx"], [], "7")],
)  # fmt: skip
def test_an_action_among_others_asks_as_it_does_alone(boss, action, before, after, index):
    key = ApiKey.objects.create(name="agent", prefix="kb_", key_hash="x")
    posted = {"_selected_action": [key.pk], "index": index, "select_across": "0", "post": "yes"}

    answer = boss.post("/admin/bridge/apikey/", posted | {"action": [*before, action, *after]})

    assert "Please confirm" in answer.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_the_record_names_the_action_that_was_run_among_others(boss):
    key = ApiKey.objects.create(name="agent", prefix="kb_", key_hash="x")
    posted = {"_selected_action": [key.pk], "index": "0", "select_across": "0", FIELD: PASSWORD}

    boss.post("/admin/bridge/apikey/", posted | {"action": ["revoke", "something else"]})

    key.refresh_from_db()
    assert key.revoked_at
    assert "something else" not in LogEntry.objects.latest("pk").change_message


def test_a_new_token_waits_for_the_password_and_no_page_shows_an_old_one(boss, account):
    page = reverse("admin:bridge_account_change", args=[account.pk])

    boss.post(page, {"access_token": "new-token"})

    account.refresh_from_db()
    assert account.access_token == "sandbox-token"


def test_changing_anybodys_password_asks(boss):
    bob = User.objects.create_user("bob", password="old")
    body = {"usable_password": "true", "password1": "new-and-long-1", "password2": "new-and-long-1"}

    boss.post(reverse("admin:auth_user_password_change", args=[bob.pk]), body)

    bob.refresh_from_db()
    assert bob.check_password("old")


def test_going_back_is_prepared_without_a_question_and_asks_none_where_nobody_is_kept_from_anything(pipeline):
    manager = client_of(roles.MANAGER)
    threshold(manager, pipeline, 55)
    publish(manager, pipeline)

    age(manager)
    assert manager.post(page("restore", pipeline, number=1)).url == page("review", pipeline)
    publish(manager, pipeline, comment="It was right before")

    assert Qualification.objects.get().min_score == 70
    revision = RulesRevision.objects.first()
    assert (revision.origin, revision.comment) == ("rolled_back", "It was right before")


def test_going_back_asks_where_it_moves_leads(pipeline):
    manager = client_of(roles.MANAGER)
    threshold(manager, pipeline, 55)
    publish(manager, pipeline)
    manager.post(page("restore", pipeline, number=1))

    age(manager)
    asked = publish(manager, pipeline, move="all")
    assert "Please confirm" in asked.content.decode()
    assert Qualification.objects.get().min_score == 55
    manager.post(page("review", pipeline), kept(asked) | {FIELD: PASSWORD})
    assert Qualification.objects.get().min_score == 70


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("hours", {"opt_out_words": "sair\nchega"}),
        ("hours", {"quiet_to": "10:00"}),
        ("stages", {"stages-0-pauses_agent": "on"}),
    ],
)
def test_going_back_asks_where_it_changes_who_is_written_to(pipeline, section, changes):
    """It may bring back what a manager took out on purpose."""
    manager = client_of(roles.MANAGER)
    assert edit(manager, page("section", pipeline, section=section), **changes).status_code == 302
    publish(manager, pipeline)
    manager.post(page("restore", pipeline, number=1))

    age(manager)
    asked = publish(manager, pipeline)
    assert "Please confirm" in asked.content.decode()
    assert RulesRevision.objects.count() == 2
    manager.post(page("review", pipeline), kept(asked) | {FIELD: PASSWORD})
    assert RulesRevision.objects.first().origin == "rolled_back"


def test_rules_that_never_held_are_published_without_a_question(pipeline):
    manager = client_of(roles.MANAGER, fresh=False)
    threshold(manager, pipeline, 55)
    publish(manager, pipeline)
    assert Qualification.objects.get().min_score == 55


def test_publishing_and_rolling_back_are_a_managers_whatever_password_comes_along(pipeline):
    manager, operator = client_of(roles.MANAGER), client_of(roles.SELLER, fresh=False)
    threshold(manager, pipeline, 55)
    seen = manager.get(page("review", pipeline)).context["prepared"].mark

    assert operator.post(page("review", pipeline), {"seen": seen, FIELD: PASSWORD}).status_code == 403
    publish(manager, pipeline)
    assert operator.post(page("restore", pipeline, number=1), {FIELD: PASSWORD}).status_code == 403

    assert Qualification.objects.get().min_score == 55
    assert not RulesDraft.objects.exists()


def test_erasing_a_person_is_an_admins_and_asks(boss, pipeline):
    lead = record(pipeline, name="Maria Souza").lead
    erase = reverse("admin:leads_lead_do", args=[lead.pk, "erase"])

    assert client_of(roles.MANAGER).post(erase, {"sure": "Maria Souza"}).status_code == 403
    asked = boss.post(erase, {"sure": "Maria Souza"})
    assert "Please confirm" in asked.content.decode()
    lead.refresh_from_db()
    assert lead.erased_at is None
    boss.post(erase, kept(asked) | {FIELD: PASSWORD})

    lead.refresh_from_db()
    assert lead.erased_at
    assert lead.name == ""


def test_a_guesser_is_locked_out_like_at_the_login(boss, settings):
    settings.AXES_ENABLED = True
    for _ in range(settings.AXES_FAILURE_LIMIT):
        boss.post(ADD_KEY, {"name": "agent", FIELD: "a guess"})

    boss.post(ADD_KEY, {"name": "agent", FIELD: PASSWORD})

    assert not ApiKey.objects.exists()


def test_a_confirmed_account_form_still_saves(boss, account):
    page = reverse("admin:bridge_account_change", args=[account.pk])
    from tests.bridge.admin.forms import submit

    asked = submit(boss, page, name="Renamed")
    answer = boss.post(page, kept(asked) | {FIELD: PASSWORD})

    assert answer.status_code == 302
    assert Account.objects.get().name == "Renamed"
    age(boss)
