"""Absence is believed at the second look; what was stopped because a card was gone goes on when it is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.doctor import examine
from bridge.inbound import missing_leads, reconciliation
from bridge.inbound.reconciliation import Comparison
from bridge.models import Account, Card, Trouble
from followups.models import Enrollment
from leads.interaction_values import Direction, Message
from tests.conftest import drain, due_calls, lead_of, look_again, record, rested
from tests.heard import hear, hook
from tests.saying import saying

PHONES = [f"+5581966{number:06d}" for number in range(12)]


@pytest.fixture
def many(account, pipeline, kommo):
    for phone in PHONES:
        record(pipeline, phone)
    drain(account)
    return account


def compare(account, full=False):
    account.refresh_from_db()
    comparison = Comparison(account, client_for(account), catalogue.stored(account), "poll")
    if full:
        comparison.everything()
    else:
        comparison.changed_since()
    return comparison.report


def states():
    return set(Card.objects.values_list("state", flat=True))


def feature(subject):
    return [
        finding for finding in examine(timezone.now(), ask_kommo=False) if finding.remedy and subject in finding.message
    ]


# --- The second look


def test_a_list_that_lags_makes_nobody_gone(many, kommo):
    kommo.post("options", {"lists_lag_seconds": 60})
    report = compare(many, full=True)
    assert (len(report.missing), report.gone, states()) == (len(PHONES), [], {"in_sync"})
    kommo.post("options", {"lists_lag_seconds": 0})
    look_again(many)
    assert states() == {"in_sync"}
    assert not Card.objects.filter(missing_since__isnull=False).exists()


def test_one_that_a_list_lacks_is_asked_for_alone_and_is_there(account, card, kommo):
    kommo.post("options", {"lists_lag_seconds": 60})
    compare(account, full=True)
    look_again(account)
    assert lead_of().card.state == "in_sync"
    assert lead_of().card.missing_since is None


def test_the_second_look_comes_by_itself_a_little_later(account, card, kommo):
    kommo.post(f"leads/{card.kommo_lead_id}/delete")
    compare(account, full=True)
    wanted = ("bridge.tasks.look_for_missing", (account.pk,))
    assert wanted not in due_calls()
    Card.objects.update(missing_since=timezone.now() - missing_leads.SECOND_LOOK_AFTER)
    assert wanted in due_calls()
    tasks.look_for_missing(account.pk)
    assert lead_of().card.state == "gone"
    assert wanted not in due_calls()


def test_very_many_at_once_are_a_matter_of_rights_and_change_nothing(many, kommo):
    kommo.post("options", {"hides_leads": True})
    compare(many, full=True)
    look_again(many)
    assert states() == {"in_sync"}
    assert feature("12 leads")
    # It is not looked for again and again.
    assert ("bridge.tasks.look_for_missing", (many.pk,)) not in due_calls()

    kommo.post("options", {"hides_leads": False})
    Trouble.objects.update(next_at=timezone.now())
    look_again(many)
    look_again(many)
    assert (states(), feature("leads"), Trouble.objects.count()) == ({"in_sync"}, [], 0)


def test_a_write_to_a_lead_that_is_hidden_waits_and_arrives_when_it_shows(account, pipeline, card, kommo):
    kommo.post("options", {"hides_leads": True, "skip_unknown_ids": True})
    missing_leads.miss([card], reason=missing_leads.NOT_FOUND, now=timezone.now())
    record(pipeline, name="Maria")
    missing_leads.miss([card], reason=missing_leads.NOT_FOUND, now=timezone.now())
    waiting = lead_of().card
    assert (waiting.state, "looked for once more" in waiting.waiting_reason) == ("retrying", True)
    assert waiting.due_at > timezone.now()
    kommo.post("options", {"hides_leads": False})
    look_again(account)
    drain(rested(account))
    assert kommo.lead(card.kommo_lead_id)["name"] == "Maria"


def test_what_kommo_itself_says_is_deleted_is_gone_at_once(account, card, kommo):
    kommo.post(f"leads/{card.kommo_lead_id}/delete")
    hear(account, hook(card.kommo_lead_id, "delete"))
    assert lead_of().card.state == "gone"


def test_a_webhook_of_another_kind_about_a_lead_that_is_not_shown_is_looked_at_again(account, card, kommo):
    kommo.post("options", {"hides_leads": True})
    hear(account, hook(card.kommo_lead_id, "update"))
    assert (lead_of().card.state, lead_of().card.missing_since is None) == ("in_sync", False)
    kommo.post("options", {"hides_leads": False})
    hear(account, hook(card.kommo_lead_id, "update"))
    assert lead_of().card.missing_since is None


# --- What was stopped goes on


def test_follow_ups_that_stopped_because_the_card_was_gone_go_on_when_it_is_back(account, pipeline, kommo):
    record(pipeline, message=Message(Direction.OUTBOUND, text="Oi"))
    drain(account)
    card = lead_of().card
    before = Enrollment.objects.get()
    kommo.post(f"leads/{card.kommo_lead_id}/delete")
    hear(account, hook(card.kommo_lead_id, "delete"))
    assert Enrollment.objects.get().state == "cancelled"

    kommo.post(f"leads/{card.kommo_lead_id}/restore")
    hear(account, hook(card.kommo_lead_id, "restore"))
    after = Enrollment.objects.get()
    assert (lead_of().card.state, after.state, after.next_at) == ("due", "waiting", before.next_at)
    assert saying(lead_of().events.filter(kind="followup"), "goes on: the card is back", str.endswith)


@pytest.mark.parametrize("meanwhile", ["answered", "handed over", "cancelled by staff"])
def test_what_would_not_have_gone_on_anyway_does_not(account, pipeline, kommo, meanwhile):
    record(pipeline, message=Message(Direction.OUTBOUND, text="Oi"))
    drain(account)
    card = lead_of().card
    if meanwhile == "cancelled by staff":
        Enrollment.objects.update(state="cancelled", reason="cancelled by ana", ended_by="staff", next_at=None)
    kommo.post(f"leads/{card.kommo_lead_id}/delete")
    hear(account, hook(card.kommo_lead_id, "delete"))
    if meanwhile == "answered":
        record(pipeline, message=Message(Direction.INBOUND, text="Quero"))
    kommo.post(f"leads/{card.kommo_lead_id}/restore")
    if meanwhile == "handed over":
        kommo.post(f"leads/{card.kommo_lead_id}/move", {"status_id": 90421387})
    hear(account, hook(card.kommo_lead_id, "restore"))
    assert not Enrollment.objects.filter(state="waiting").exists()


# --- Marks of progress, and the list of deleted leads


def test_a_lead_of_the_future_blinds_no_poll(many, kommo):
    first, second = (Card.objects.get(lead__phone=phone).kommo_lead_id for phone in PHONES[:2])
    kommo.post(f"leads/{first}/edit", {"name": "From 2031"})
    kommo.post(f"leads/{first}/edit", {"updated_at": int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())})
    compare(many)
    many.refresh_from_db()
    assert many.polled_until <= timezone.now()
    kommo.post(f"leads/{second}/edit", {"name": "Dona Ana"})
    compare(many)
    assert lead_of(PHONES[1]).name == "Dona Ana"


def test_a_mark_that_is_in_the_future_already_is_not_believed(many, kommo):
    Account.objects.update(polled_until=datetime(2031, 1, 1, tzinfo=UTC))
    kommo.post(f"leads/{lead_of(PHONES[1]).card.kommo_lead_id}/edit", {"name": "Dona Ana"})
    compare(many)
    many.refresh_from_db()
    assert (lead_of(PHONES[1]).name, many.polled_until <= timezone.now()) == ("Dona Ana", True)


def test_where_the_word_for_deleted_leads_is_ignored_nobody_is_gone(many, kommo):
    kommo.post("options", {"ignored_with": "only_deleted"})
    compare(many)
    assert states() == {"in_sync"}


def deleted_reads(kommo):
    return [call for call in kommo.journal() if "only_deleted" in str(call["query"])]


def test_a_large_trash_is_read_in_parts_with_its_place_kept_and_then_only_what_is_new(many, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    kommo.post("options", {"trash_size": 40})
    lost = lead_of(PHONES[0]).card
    clock = iter([timezone.now()] * 3 + [timezone.now() + timedelta(hours=1)] * 50)
    account = many
    account.refresh_from_db()
    comparison = Comparison(account, client_for(account), catalogue.stored(account), "poll")
    with monkeypatch.context() as patch:
        # Time for one page, and no more.
        patch.setattr(reconciliation.timezone, "now", lambda: next(clock))
        comparison._look_for_deleted(timezone.now() + timedelta(minutes=1))
    account.refresh_from_db()
    assert 1 < account.trash_page <= 4

    before = len(deleted_reads(kommo))
    compare(account)
    account.refresh_from_db()
    assert (account.trash_page, account.trash_read_until is None) == (1, False)
    pages = [read["query"]["page"] for read in deleted_reads(kommo)[before:]]
    assert int(pages[0]) > 1

    kommo.post(f"leads/{lost.kommo_lead_id}/delete")
    before = len(deleted_reads(kommo))
    compare(account)
    assert lead_of(PHONES[0]).card.state == "gone"
    # Of twenty pages; the local Kommo's trash grows younger with every second that passes.
    assert len(deleted_reads(kommo)) - before <= 8


def test_polls_that_keep_failing_are_told_and_wait_longer_each_time(many, kommo):
    kommo.fault("500", path="/api/v4/leads", method="GET")
    for _ in range(4):
        Trouble.objects.update(next_at=timezone.now())
        tasks.poll(many.pk)
    trouble = Trouble.objects.get()
    assert (trouble.subject, trouble.tries, trouble.refused) == ("compare", 4, False)
    assert trouble.next_at > timezone.now() + timedelta(seconds=10)
    assert ("bridge.tasks.poll", (many.pk,)) not in due_calls()
    assert not feature("comparison")
    Trouble.objects.update(since=timezone.now() - timedelta(minutes=20), next_at=timezone.now())
    assert feature("comparison")
    kommo.delete("faults")
    tasks.poll(many.pk)
    assert not Trouble.objects.exists()


def test_a_poll_that_breaks_for_a_reason_of_our_own_is_told_as_well(many, monkeypatch):
    def broken(*_, **__):
        raise ValueError("cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(Comparison, "changed_since", broken)
        with pytest.raises(ValueError, match="cannot be read"):
            tasks.poll(many.pk)
    assert Trouble.objects.get().reason == "ValueError: cannot be read"


def test_an_account_that_nothing_looks_at_is_a_finding(many):
    Account.objects.update(connected_at=timezone.now() - timedelta(days=1), compared_at=None, polled_at=None)
    assert "comparison" in {finding.check for finding in examine(timezone.now(), ask_kommo=False) if finding.remedy}


def test_an_inbox_that_cannot_be_read_rests_between_tries_and_is_told(account, card, kommo):
    kommo.fault("500", path="/api/v4/leads", method="GET")
    hear(account, hook(card.kommo_lead_id, "update"))
    assert Trouble.objects.get().subject == "inbox"
    assert ("bridge.tasks.read_inbox", (account.pk,)) not in due_calls()
    kommo.delete("faults")
    Trouble.objects.update(next_at=timezone.now())
    assert ("bridge.tasks.read_inbox", (account.pk,)) in due_calls()
    tasks.read_inbox(account.pk)
    assert not Trouble.objects.exists()
