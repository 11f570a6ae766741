"""`doctor` names what is wrong, each with its remedy."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone, translation

from bridge import alerts, tasks
from bridge.accounts import account_state, database_clock
from bridge.doctor import examine, glance, kommo_accounts
from bridge.errors import (
    KommoAccessError,
    KommoHeldError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoServerError,
    KommoUnreachableError,
)
from bridge.inbound import adoption, people_on_cards
from bridge.models import Account, AgentEvent, Card, Heartbeat, WebhookEvent
from followups.models import Sequence
from leads.models import FieldMapping, Lead, Stage
from tests.conftest import drain, record


@pytest.fixture
def healthy(account):
    Heartbeat.objects.create(worker="w", at=timezone.now())
    Account.objects.update(token_expires_at=timezone.now() + timedelta(days=300))
    return account


def wrong(**later):
    return {
        (finding.check, finding.message) for finding in examine(timezone.now() + timedelta(**later)) if finding.remedy
    }


def checks(**later):
    return {check for check, _ in wrong(**later)}


def test_a_healthy_installation_has_nothing_wrong(healthy):
    assert wrong() == set()


@pytest.mark.parametrize(
    ("language", "messages"),
    [("en", {"no card waits", "no task waits"}), ("pt-br", {"nenhum card à espera", "nenhuma tarefa à espera"})],
)
def test_of_nothing_no_count_and_no_age_is_told(healthy, language, messages):
    assert messages <= {finding.message for finding in examine(timezone.now(), language=language)}


def test_a_fresh_installation_is_told_what_to_do(db):
    remedies = " ".join(finding.remedy for finding in examine(timezone.now()))
    assert "kommo_connect" in remedies
    assert "manage.py worker" in remedies


@pytest.mark.parametrize(
    ("days", "words"), [(29, "within 30 days"), (6, "within 7 days"), (0.5, "within 1 days"), (-1, "expired")]
)
def test_a_token_is_warned_of_before_it_ends(healthy, days, words):
    Account.objects.update(token_expires_at=timezone.now() + timedelta(days=days))
    [(check, message)] = wrong()
    assert check == "token"
    assert words in message


@pytest.mark.parametrize(
    ("seconds", "at_once", "is_advised"), [(1.0, 4, True), (0.4, 4, False), (0.7, 4, True), (1.0, 7, False)]
)
def test_where_kommo_is_far_away_more_calls_at_once_are_advised(healthy, settings, seconds, at_once, is_advised):
    settings.KOMMO_CALLS_AT_ONCE = at_once
    kinds = {"read leads": [9, 9.0, 9.0], "update leads": [50, seconds / 2, seconds]}
    measured = {"a machine": {"address": "", "at": time.time(), "kinds": kinds}}
    Account.objects.update(requests_per_second=7, distances=measured)
    advised = [finding.advice for finding in examine(timezone.now()) if finding.code == "calls-at-once"]
    assert ["KOMMO_CALLS_AT_ONCE=7" in line for line in advised] == [True] * is_advised


def advice():
    return {(finding.message, finding.advice) for finding in examine(timezone.now()) if finding.check == "follow-ups"}


def test_messages_that_nobody_gets_are_told_with_what_to_do(healthy, settings):
    [(message, cure)] = advice()
    assert message == "not sent, only logged: AGENT_WEBHOOK_URL is empty"
    assert cure.startswith("set AGENT_WEBHOOK_URL and AGENT_WEBHOOK_SECRET")
    settings.FOLLOWUP_CHANNEL = "foo.Bar"
    [(message, cure)] = advice()
    assert "FOLLOWUP_CHANNEL cannot be used" in message
    assert cure.startswith("fix FOLLOWUP_CHANNEL")


def test_where_nothing_is_to_be_sent_nothing_is_missing(healthy, settings):
    Sequence.objects.update(is_active=False)
    assert advice() == {("none is late", "")}
    Sequence.objects.update(is_active=True)
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/"
    assert advice() == {("none is late", "")}


def test_each_trouble_is_found(healthy, pipeline, kommo):
    lead = record(pipeline, name="Maria").lead
    drain(healthy)
    cases = [
        ("worker", lambda: Heartbeat.objects.update(at=timezone.now() - timedelta(hours=1))),
        ("bindings", lambda: Stage.objects.filter(key="qualified").update(kommo_status_id=None)),
        ("bindings", lambda: FieldMapping.objects.filter(attribute="bill_value").update(kommo_field_id=None)),
        ("bindings", lambda: Stage.objects.filter(key="qualifying").update(kommo_status_id=4711)),
        ("cards", lambda: Card.objects.update(state=Card.State.DEAD)),
        (
            "webhook",
            lambda: WebhookEvent.objects.create(account=healthy, body=b"", received_at=timezone.now(), state="failed"),
        ),
        (
            "agent",
            lambda: AgentEvent.objects.create(
                lead=lead, type="x", created_at=timezone.now(), due_at=timezone.now(), state="dead"
            ),
        ),
        ("account", lambda: Account.objects.update(state=Account.State.PAUSED, state_reason="402")),
        ("kommo", lambda: kommo.post("tokens/revoke")),
    ]
    known = wrong()
    for check, break_it in cases:
        break_it()
        fresh = wrong() - known
        assert check in {line for line, _ in fresh}, (check, fresh)
        known |= fresh


def test_a_backlog_that_grows_old_is_found(healthy, pipeline):
    record(pipeline, name="Maria")
    assert "backlog" not in checks()
    assert "backlog" in checks(hours=1)


def test_the_command_exits_with_1_and_prints_json(healthy):
    out = StringIO()
    call_command("doctor", json=True, stdout=out)
    assert json.loads(out.getvalue())["healthy"] is True
    Card.objects.all().delete()
    Heartbeat.objects.all().delete()
    with pytest.raises(CommandError, match="something wrong"):
        call_command("doctor", stdout=(out := StringIO()))
    assert "→ start manage.py worker" in out.getvalue()


def test_offline_asks_nobody(healthy, kommo):
    before = len(kommo.journal())
    examine(timezone.now(), ask_kommo=False)
    assert len(kommo.journal()) == before


def test_a_page_is_told_in_its_readers_language_and_everybody_else_in_english(db):
    english, portuguese = (examine(timezone.now(), ask_kommo=False, language=language) for language in ("en", "pt-br"))

    with translation.override("pt-br"):
        assert examine(timezone.now(), ask_kommo=False) == english
    assert {finding.message for finding in portuguese} >= {"nenhuma conta do Kommo", "nenhum worker está trabalhando"}
    assert [finding.check for finding in portuguese] == [finding.check for finding in english]
    assert not {finding.remedy for finding in portuguese if finding.remedy} & {finding.remedy for finding in english}


def test_the_command_speaks_english_whatever_the_process_speaks(healthy):
    out = StringIO()
    with translation.override("pt-br"):
        call_command("doctor", json=True, offline=True, stdout=out)
    assert "every stage and field is bound" in out.getvalue()


UNHEARD = [(401, "clocks"), (403, "AGENT_WEBHOOK_SECRET"), (500, "its log"), (None, "its log")]


@pytest.mark.parametrize(("status", "remedy"), UNHEARD)
def test_an_agent_that_takes_nothing_for_minutes_is_told_with_its_last_answer(pipeline, status, remedy):
    now = timezone.now()
    lead = record(pipeline).lead
    event = AgentEvent(lead=lead, type="agent.paused", created_at=now - timedelta(minutes=4), due_at=now, attempts=2)
    event.status_code, event.error = status, f"the agent answered {status}" if status else "ConnectTimeout"
    event.save()
    assert not [
        finding for finding in examine(now, ask_kommo=False) if finding.check == "agent" and not finding.is_well
    ]

    (found,) = [finding for finding in examine(now + timedelta(minutes=2), ask_kommo=False) if finding.check == "agent"]

    assert not found.is_well
    assert event.error in found.message
    assert remedy in found.remedy


def test_it_says_who_paused_an_account_and_when_kommo_is_asked_again(account):
    account_state.pause(account, reason="the token was refused", now=timezone.now())
    [found] = [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.code == "account-paused"]
    assert "Kommo refuses us: the token was refused; it is asked again at" in found.message
    assert "goes on by itself" in found.remedy

    account_state.pause(account, reason="paused by Ana", now=timezone.now(), by=Account.PausedBy.PERSON)
    [found] = [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.code == "account-paused"]
    assert "paused by a person: paused by Ana" in found.message
    assert "account resume" in found.remedy


def test_a_first_comparison_under_way_is_told_and_one_that_never_ends_is_wrong(account):
    Account.objects.update(compared_at=None)
    [found] = [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.code == "first-comparison"]
    assert found.is_well
    assert "the first comparison is not through" in found.message
    later = timezone.now() + timedelta(hours=2)
    [found] = [finding for finding in examine(later, ask_kommo=False) if finding.code == "first-comparison"]
    assert not found.is_well
    assert "kommo_connect --wait" in found.remedy


def test_a_shadow_is_told(account):
    account_state.enter_shadow(account, now=timezone.now())
    assert any("nothing is said to leads" in finding.message for finding in examine(timezone.now(), ask_kommo=False))


def test_a_lead_that_could_not_be_adopted_is_told_until_it_can_be(healthy, pipeline, kommo, monkeypatch):
    record(pipeline)
    drain(healthy)
    card = Card.objects.get()
    kommo.post(f"leads/{card.kommo_lead_id}/edit", {"name": "Outra"})
    with monkeypatch.context() as patched:
        patched.setattr(adoption, "take_values_over", lambda reading: {}["odd"])
        tasks.poll(healthy.pk, full=True)
    [(check, message)] = wrong()
    assert check == "cards"
    assert str(card.kommo_lead_id) in message
    tasks.poll(healthy.pk, full=True)
    assert wrong() == set()


def test_contacts_that_could_not_be_read_are_told_with_their_card(healthy, pipeline, kommo, monkeypatch):
    made = kommo.post("leads", {"name": "Ana", "phone": "+5581911112222"})["id"]
    tasks.poll(healthy.pk)
    kommo.post(f"leads/{made}/main_contact", {"name": "Marido", "phone": "+5581966665555"})
    with monkeypatch.context() as patched:
        patched.setattr(people_on_cards, "_meet", lambda *_: {}["odd"])
        tasks.poll(healthy.pk, full=True)
    assert str(made) in " ".join(message for _, message in wrong())
    tasks.poll(healthy.pk, full=True)
    assert wrong() == set()


def test_a_glance_that_was_kept_says_what_the_first_one_said(healthy):
    Heartbeat.objects.all().delete()

    first, kept = (glance(timezone.now(), language="pt-br") for _ in range(2))

    assert kept == first
    assert not all(finding.is_well for finding in kept)


def test_a_worker_whose_clock_is_ahead_is_named(healthy):
    Heartbeat.objects.create(worker="other:1", at=timezone.now() + timedelta(minutes=10))

    [(check, message)] = wrong()

    assert (check, "worker other:1" in message) == ("clock", True)


def test_a_clock_that_is_not_the_databases_is_named(healthy, monkeypatch):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setattr(database_clock, "measure", lambda: timedelta(minutes=-3))

    assert [message for check, message in wrong() if check == "clock"] == [
        "this host's clock and the database's differ by 3 min"
    ]


@pytest.mark.parametrize("state", [Card.State.BLOCKED, Card.State.DEAD, Card.State.GONE])
def test_a_trouble_of_one_that_becomes_a_trouble_of_two_is_told_once(healthy, pipeline, state):
    """Singular and plural are other words, and yet no other trouble: nobody gets a second mail."""
    messages = []
    for phone in ("+5581977776601", "+5581977776602"):
        lead = record(pipeline, phone=phone).lead
        Card.objects.filter(lead=lead).update(state=state)
        messages.append([alerts.subject_of(finding) for finding in examine(timezone.now()) if finding.code == "cards"])

    assert messages[0] == messages[1] != []


ASK = {"operation": "read account"}
HELPS = [
    (KommoAccessError("401", status_code=401, **ASK), "token"),
    (KommoNotFoundError("404", status_code=404, **ASK), "address and token"),
    (KommoServerError("502", status_code=502, **ASK), "wait"),
    (KommoRateLimitError("429", status_code=429, **ASK), "wait"),
    (KommoHeldError("held", **ASK), "wait"),
    (KommoUnreachableError("no connection", sent=False, **ASK), "reaches the account's address"),
]


@pytest.mark.parametrize(("error", "remedy"), HELPS)
def test_a_token_is_looked_at_only_where_a_token_may_be_wrong(healthy, monkeypatch, error, remedy):
    def fails():
        raise error

    monkeypatch.setattr(kommo_accounts, "client_for", lambda account: SimpleNamespace(account=fails))

    [found] = [finding for finding in examine(timezone.now()) if finding.check == "kommo"]

    assert remedy in found.remedy
    assert ("token" in found.remedy) == ("token" in remedy)


def test_a_webhook_that_is_not_heard_is_told_with_the_address_to_try(healthy):
    secret = "https://bridge.example:8443/webhooks/kommo/s3cr3t/"
    Account.objects.update(webhook_problem="Kommo sends no webhooks", webhook_destination=secret)

    found = [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.code == "webhook"]

    assert "curl https://bridge.example:8443/healthz" in found[0].remedy
    assert "kommo_connect --webhook-url https://bridge.example:8443" in found[0].remedy
    assert "s3cr3t" not in found[0].remedy


def test_leads_without_a_card_are_looked_for_among_the_newest_once_all_were_compared(healthy, pipeline):
    record(pipeline, "+5581999990001")
    old = record(pipeline, "+5581999990002").lead
    Lead.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=3))
    Card.objects.all().delete()

    assert ("cards", "1 lead without a card") in wrong()
    Account.objects.update(compared_at=None)
    assert ("cards", "2 leads without a card") in wrong()


@pytest.mark.parametrize(
    ("waited", "age"), [(timedelta(minutes=7), "7 min"), (timedelta(hours=5), "5 h"), (timedelta(days=39), "39 d")]
)
def test_how_long_the_agent_takes_no_news_is_told_in_the_largest_unit(healthy, pipeline, waited, age):
    lead = record(pipeline).lead
    now = timezone.now()
    AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now - waited, due_at=now, attempts=3)

    assert f"1 event is not taken, for {age}: no answer" in {finding.message for finding in examine(now)}
