"""In shadow nothing leaves, both hands are compared, and leaving it moves no card for what was concluded long ago."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from bridge import shadow_report
from bridge.accounts import account_state, leaving_shadow
from bridge.accounts.catalogue import stored
from bridge.accounts.connection import client_for
from bridge.configuration.account_from_environment import ensure_account
from bridge.errors import ConfigurationError
from bridge.inbound import reconciliation
from bridge.models import Account, Card
from bridge.shadow_report import Verdict
from leads import handoff
from leads.models import Lead
from tests.conftest import drain, lead_of, record, rested

pytestmark = pytest.mark.django_db

ANA, BIA, CAIO, DUDA = (f"+558197777{number:04d}" for number in range(4))
QUALIFIES = {"qualification_score": 90, "bill_value": 900, "context": {"conversation_stage": "qualificação"}}


@pytest.fixture
def place(pipeline, account):
    def of(key: str) -> int:
        return pipeline.stages.get(key=key).kommo_status_id

    return of


def carded(account, pipeline, *phones):
    for phone in phones:
        record(pipeline, phone)
    drain(account)
    return [lead_of(phone).card.kommo_lead_id for phone in phones]


def enter(account):
    account_state.enter_shadow(account, now=timezone.now())
    account.refresh_from_db()


def hear(account):
    reconciliation.Comparison(account, client_for(account), stored(account), "poll").everything()


def test_nothing_of_ours_leaves_no_note_no_task_no_name_of_a_contact(account, pipeline, kommo):
    carded(account, pipeline, ANA)
    enter(account)
    before = len(kommo.journal())
    record(pipeline, ANA, name="Ana Lima", **QUALIFIES)
    handoff.pause(lead_of(ANA), source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asks", now=timezone.now())
    Card.objects.update(contact_due_at=timezone.now())
    for _ in range(3):
        drain(rested(account))
    assert [call for call in kommo.journal()[before:] if call["write"]] == []


def test_both_hands_are_compared_card_by_card(account, pipeline, kommo, place):
    ids = dict(zip((ANA, BIA, CAIO, DUDA), carded(account, pipeline, ANA, BIA, CAIO, DUDA), strict=True))
    enter(account)
    # Both say qualified; both moved and differ; only we; only they.
    record(pipeline, ANA, **QUALIFIES)
    kommo.post(f"leads/{ids[ANA]}/move", {"status_id": place("qualified")})
    record(pipeline, BIA, **QUALIFIES)
    kommo.post(f"leads/{ids[BIA]}/move", {"status_id": place("not_interested")})
    record(pipeline, CAIO, **QUALIFIES)
    kommo.post(f"leads/{ids[DUDA]}/move", {"status_id": place("qualifying")})
    hear(account)
    drain(account)

    report = shadow_report.compare(account)

    verdicts = {row.kommo_id: row.verdict for row in report.rows}
    assert verdicts == {
        ids[ANA]: Verdict.AGREE,
        ids[BIA]: Verdict.DIFFER,
        ids[CAIO]: Verdict.ONLY_WE,
        ids[DUDA]: Verdict.ONLY_THEY,
    }
    differ = next(row for row in report.rows if row.verdict is Verdict.DIFFER)
    assert (differ.ours, differ.theirs) == ("qualified", "not_interested")
    assert "score" in differ.reason


def test_the_report_is_told_with_counts_and_a_list(account, pipeline, kommo, place, capsys):
    carded(account, pipeline, ANA)
    enter(account)
    record(pipeline, ANA, name="Ana Lima", **QUALIFIES)
    record(pipeline, BIA)
    drain(account)
    call_command("account", "show")
    output = capsys.readouterr().out
    assert "shadow report, card by card: agree: 0, differ: 0, only we: 1, only they: 0" in output
    assert "new cards the bridge would have made: 1" in output
    assert "we qualified (" in output
    assert "what the bridge would write now: 1 new cards, 1 changes" in output


def test_leaving_it_writes_what_is_fresh(account, pipeline, kommo, place):
    [kommo_id] = carded(account, pipeline, ANA)
    enter(account)
    record(pipeline, ANA, **QUALIFIES)
    drain(account)

    assert leaving_shadow.leave(account, now=timezone.now())

    account.refresh_from_db()
    drain(account)
    assert kommo.lead(kommo_id)["status_id"] == place("qualified")


def test_leaving_it_moves_no_card_for_what_was_concluded_long_ago(account, pipeline, kommo, place):
    [kommo_id] = carded(account, pipeline, ANA)
    enter(account)
    record(pipeline, ANA, name="Ana Lima", **QUALIFIES)
    drain(account)
    Lead.objects.update(stage_set_at=timezone.now() - timedelta(days=20))

    leaving_shadow.leave(account, now=timezone.now())
    account.refresh_from_db()
    drain(account)

    card = kommo.lead(kommo_id)
    # What is true of the person is no conclusion.
    assert (card["status_id"], card["name"]) == (place("new"), "Ana Lima")
    lead = lead_of(ANA)
    assert lead.stage.key == "new"
    assert "concluded too long ago" in lead.decision_reason
    assert not leaving_shadow.leave(account, now=timezone.now())


def test_a_card_in_human_care_stays_there_when_shadow_ends(account, pipeline, kommo, place):
    [kommo_id] = carded(account, pipeline, ANA)
    enter(account)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": place("human_handoff")})
    hear(account)
    record(pipeline, ANA, **QUALIFIES)
    drain(account)
    leaving_shadow.leave(account, now=timezone.now())
    account.refresh_from_db()
    drain(account)
    assert kommo.lead(kommo_id)["status_id"] == place("human_handoff")


def test_a_new_account_starts_in_shadow_when_it_is_told_to(pipeline, kommo, settings):
    settings.KOMMO_BASE_URL, settings.KOMMO_LONG_LIVED_TOKEN = kommo.url, "sandbox-token"
    settings.KOMMO_MODE = "shadow"
    account = ensure_account()
    assert (account.state, account.is_silent) == (Account.State.SHADOW, True)
    assert account.shadow_since is not None


def test_another_word_for_it_is_refused(pipeline, kommo, settings):
    settings.KOMMO_BASE_URL, settings.KOMMO_MODE = kommo.url, "silent"
    with pytest.raises(ConfigurationError, match="KOMMO_MODE"):
        ensure_account()
