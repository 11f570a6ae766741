"""Every call the bridge makes, and every answer Kommo may give to it: what waits, what is told, what goes on.

One row a call, one column an answer. A main road that is closed stops the account; a side call that is refused puts its
own feature to rest and is told with a remedy; what passes by itself is told only once it lasts.
Whatever it was, everything is as it should be once Kommo answers again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import account_state
from bridge.accounts.connection import client_for
from bridge.channels.salesbot import FIELD, Salesbot
from bridge.configuration.connecting import Connection, destination_for
from bridge.doctor import examine
from bridge.models import Account, Briefing, Card, Trouble
from followups.channels import Outcome, Outgoing
from leads import handoff
from leads.models import Lead
from tests.conftest import drain, lead_of, record, rested
from tests.heard import hear, hook

ANA = "+5581955550001"
# Answers that say no until somebody changes something, and those that pass by themselves.
REFUSED = ("302", "402", "403", "404", "405")
PASSING = ("401 once", "429", "500", "504", "drop_before", "drop_after", "timeout", "invalid_json")
# Shut for whoever asks for whatever: the address is blocked.
BLOCKED = ("403_html",)
DEAD_TOKEN = ("401 lasting",)


@dataclass(frozen=True)
class Row:
    """One call: where it goes, what is done to have it made, and the feature that rests when it is refused.

    feature: empty for a main road. but: answer -> the feature that rests instead, where an answer may mean no more.
    """

    name: str
    method: str
    path: str
    do: Callable[[Account, Lead], object]
    feature: str = ""
    but: dict[str, str] = field(default_factory=dict)


def _new_lead(account, lead):
    record(lead.pipeline, ANA, name="Ana")
    _drain(account)


def _change(account, lead):
    record(lead.pipeline, name="Maria Souza")
    _drain(account)


def _read_back(account, lead):
    hear(account, hook(lead.card.kommo_lead_id, "update"))


def _drain(account):
    rested(account)
    account.refresh_from_db()
    if account.state == Account.State.ACTIVE:
        tasks.deliver(account.pk)


def _rename_contact(account, lead):
    Card.objects.filter(lead=lead).update(contact_due_at=timezone.now() - timedelta(minutes=1))
    record(lead.pipeline, name="Maria Souza")
    _drain(account)
    Card.objects.filter(lead=lead).update(contact_due_at=timezone.now() - timedelta(minutes=1))
    _drain(account)


def _hand_over(account, lead):
    handoff.pause(
        Lead.objects.get(pk=lead.pk),
        source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asks for a person", now=timezone.now(),
    )  # fmt: skip
    Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
    _drain(account)


def _say_by_bot(account, lead):
    return Salesbot().send(Outgoing("1", lead.phone, "Oi", "x", 1, {"id": str(lead.pk)}), now=timezone.now())


ROWS = (
    Row("create", "POST", "/api/v4/leads/complex", _new_lead, but={"402": "creates", "403": "creates"}),
    Row("update", "PATCH", "/api/v4/leads", _change),
    Row("read back", "GET", "/api/v4/leads", _read_back),
    Row("poll", "GET", "/api/v4/leads", lambda account, _: tasks.poll(account.pk)),
    Row("compare", "GET", "/api/v4/leads", lambda account, _: tasks.poll(account.pk, True)),
    Row("stages", "GET", "/api/v4/leads/pipelines", lambda account, _: tasks.look_at_catalogue(account.pk)),
    Row("fields", "GET", "/api/v4/leads/custom_fields", lambda account, _: tasks.look_at_catalogue(account.pk)),
    Row("users", "GET", "/api/v4/users", lambda account, _: tasks.look_at_catalogue(account.pk), "users"),
    Row("reasons", "GET", "/api/v4/leads/loss_reasons", lambda account, _: tasks.look_at_catalogue(account.pk),
        "loss_reasons"),
    Row("events", "GET", "/api/v4/events", lambda account, _: tasks.notice_takeovers(account.pk), "events"),
    Row("webhooks", "GET", "/api/v4/webhooks", lambda account, _: tasks.check_subscription(account.pk), "webhooks"),
    Row("read contacts", "GET", "/api/v4/contacts", _rename_contact, "contacts"),
    Row("rename contacts", "PATCH", "/api/v4/contacts", _rename_contact, "contacts"),
    Row("note", "POST", "/api/v4/leads/notes", _hand_over, "notes"),
    Row("task", "POST", "/api/v4/tasks", _hand_over, "tasks"),
    Row("bot", "POST", "/api/v4/bots/run", _say_by_bot, "salesbot"),
)  # fmt: skip
by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture
def lead(account, pipeline, kommo, settings):
    """A lead with its card, in an account that is subscribed and has a bot."""
    settings.SALESBOT_ID = 565
    client_for(account).create_custom_fields("leads", [{"name": FIELD, "type": "textarea"}])
    Connection(account, client_for(account), create_missing=False, now=timezone.now()).connect("https://bridge.example")
    assert destination_for(account, "https://bridge.example")
    record(pipeline, name="Maria")
    drain(account)
    return lead_of()


def order(kommo, row, answer):
    """Have the call answered so: once for what passes, again and again for what does not."""
    mode, _, how = answer.partition(" ")
    lasting = {} if answer in REFUSED + BLOCKED or how == "lasting" else {"count": 1}
    where = {} if answer in DEAD_TOKEN else {"path": row.path, "method": row.method}
    kommo.fault(mode, seconds=0.4, retry_after=0.1, location="https://www.kommo.com/", **where, **lasting)


def state(account):
    account.refresh_from_db()
    return account.state


def wrong():
    return [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.remedy]


def somebody_else_changes(account, kommo, feature):
    """Show that deliveries go on: another lead is made in Kommo, or changed where none can be made."""
    if feature == "creates":
        _change(account, lead_of())
        return "Maria Souza" in {each_lead["name"] for each_lead in kommo.leads()}
    record(lead_of().pipeline, "+5581944440000", name="Bia")
    _drain(account)
    return "Bia" in {each_lead["name"] for each_lead in kommo.leads()}


def all_is_well_again(account, kommo, row, lead):
    kommo.delete("faults")
    Trouble.objects.update(next_at=timezone.now())
    account_state.resume(account, now=timezone.now())
    Card.objects.update(write_settles_at=None)
    Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
    rested(account)
    result = row.do(account, lead)
    _drain(account)
    assert getattr(result, "outcome", Outcome.SENT) is Outcome.SENT
    assert not Trouble.objects.exists()
    assert set(Card.objects.values_list("state", flat=True)) == {"in_sync"}
    assert len(kommo.leads()) == Card.objects.count()
    for briefing in Briefing.objects.all():
        assert (briefing.note_id is None, briefing.task_id is None, briefing.due_at) == (False, False, None)


@by_row
@pytest.mark.parametrize("answer", REFUSED)
def test_what_is_refused_stops_what_it_was_for_and_is_told_with_a_remedy(account, lead, kommo, row, answer):
    order(kommo, row, answer)
    row.do(account, lead)
    feature = row.but.get(answer, row.feature)

    if not feature:
        assert state(account) == Account.State.PAUSED
        # It ends: after a minute at first, and never later than in a quarter of an hour.
        assert account.paused_until <= timezone.now() + timedelta(minutes=15)
        assert answer in account.state_reason
    else:
        assert state(account) == Account.State.ACTIVE
        trouble = Trouble.objects.get(subject=feature)
        assert trouble.refused
        assert timezone.now() < trouble.next_at <= timezone.now() + timedelta(minutes=15)
        assert [finding.check for finding in wrong()].count("feature") == 1
        calls = len(kommo.journal())
        row.do(account, lead)
        # What our user may do is another question, asked each time (bridge/accounts/permissions.py).
        struck = [call for call in kommo.journal()[calls:] if call["fault"] and call["path"] == row.path]
        assert struck == [], "it is asked again although it rests"
        assert somebody_else_changes(account, kommo, feature)
    if answer == "302":
        assert "login page" in " ".join(
            [account.state_reason, *(each_trouble.reason for each_trouble in Trouble.objects.all())]
        )
    all_is_well_again(account, kommo, row, lead)


@by_row
@pytest.mark.parametrize("answer", PASSING)
def test_what_passes_by_itself_stops_nothing_for_good_and_is_nobodys_business(
    account, lead, kommo, row, answer, monkeypatch
):
    if answer == "401 once":
        monkeypatch.setattr("bridge.accounts.connection.AccountToken.refresh", lambda self, rejected: "sandbox-token")
    order(kommo, row, answer)
    with monkeypatch.context() as brief:
        if answer == "timeout":
            # For this answer alone: on a busy machine any other may take as long.
            brief.setattr("bridge.kommo.transport.TIMEOUT", (2, 0.2))
        row.do(account, lead)
    assert state(account) == Account.State.ACTIVE
    assert not [finding for finding in wrong() if finding.check in ("feature", "handoffs", "account")]
    assert not Trouble.objects.filter(refused=True).exists()
    if row.name == "bot" and answer not in ("401 once", "429"):
        # It may have been said: it is not said once more.
        return
    all_is_well_again(account, kommo, row, lead)


@by_row
@pytest.mark.parametrize("answer", BLOCKED + DEAD_TOKEN)
def test_a_blocked_address_or_a_dead_token_stops_the_account_whatever_was_asked_for(account, lead, kommo, row, answer):
    order(kommo, row, answer)
    row.do(account, lead)
    assert state(account) == Account.State.PAUSED
    assert ("support" if answer == "403_html" else "token was refused") in account.state_reason
    assert [finding.check for finding in wrong()].count("account") == 1
    all_is_well_again(account, kommo, row, lead)


@by_row
def test_a_401_for_a_feature_alone_is_a_matter_of_rights_and_no_dead_token(account, lead, kommo, row):
    if not row.feature:
        pytest.skip("a main road")
    kommo.fault("401", path=row.path, method=row.method)
    row.do(account, lead)
    assert state(account) == Account.State.ACTIVE
    assert Trouble.objects.get(subject=row.feature).refused
    all_is_well_again(account, kommo, row, lead)
