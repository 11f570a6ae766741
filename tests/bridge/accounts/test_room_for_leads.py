"""A full account takes no new leads: they wait with one reason, all else goes on, and they follow by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import account_state, room_for_leads
from bridge.accounts.connection import client_for, open_account
from bridge.cards.why_cards_wait import wait_of
from bridge.doctor import examine
from bridge.models import Account, Card, Trouble
from tests.conftest import drain, drain_later, lead_of, record

ANA, BIA, CARLA = (f"+55819555500{number:02}" for number in (1, 2, 3))
# What a full account answers is documented nowhere.
FULL = pytest.mark.parametrize("status", [402, 403, 400])


@pytest.fixture
def maria(account, pipeline, kommo):
    record(pipeline, name="Maria")
    drain(account)
    return lead_of()


def creates(kommo):
    return [call for call in kommo.journal() if call["method"] == "POST" and call["path"] == "/api/v4/leads/complex"]


def state(phone):
    card = lead_of(phone).card
    return card.state, card.waiting_reason


def findings():
    return [
        finding for finding in examine(timezone.now(), ask_kommo=False) if finding.remedy and finding.check != "worker"
    ]


def names(kommo):
    return {lead["name"] for lead in kommo.leads()}


@FULL
def test_new_cards_wait_with_one_reason_and_changes_go_on(account, pipeline, kommo, maria, status):
    kommo.post("options", {"full_account_status": status})
    for phone, name in ((ANA, "Ana"), (BIA, "Bia"), (CARLA, "Carla")):
        record(pipeline, phone, name=name)
    record(pipeline, name="Maria Souza")
    drain(account)

    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE
    assert names(kommo) == {"Maria Souza"}
    assert {state(phone) for phone in (ANA, BIA, CARLA)} == {("retrying", room_for_leads.NO_ROOM)}
    assert wait_of(lead_of(ANA).card, now=timezone.now()).until <= timezone.now() + timedelta(minutes=15)
    [finding] = findings()
    assert "new leads" in finding.message and "3 new leads wait" in finding.message and str(status) in finding.message
    assert "larger plan" in finding.remedy


@FULL
def test_it_is_tried_gently_and_goes_on_by_itself(account, pipeline, kommo, maria, status):
    kommo.post("options", {"full_account_status": status})
    for phone, name in ((ANA, "Ana"), (BIA, "Bia"), (CARLA, "Carla")):
        record(pipeline, phone, name=name)
    drain(account)
    first = len(creates(kommo))
    record(pipeline, "+5581955550009", name="Duda")
    drain(account)
    assert len(creates(kommo)) == first, "tried again although it rests"
    for minutes in (2, 8, 30):
        before = len(creates(kommo))
        drain_later(account, minutes=minutes)
        assert [len(call["body"]) for call in creates(kommo)[before:]] == [1]
    assert {state(phone)[1] for phone in (ANA, BIA, CARLA)} == {room_for_leads.NO_ROOM}

    kommo.post("options", {"full_account_status": 0})
    drain_later(account, minutes=60)
    assert names(kommo) == {"Maria", "Ana", "Bia", "Carla", "Duda"}
    assert len(kommo.leads()) == 5
    assert not Trouble.objects.exists() and findings() == []
    assert set(Card.objects.values_list("state", "waiting_reason")) == {("in_sync", "")}


@pytest.mark.parametrize("is_of_before", [False, True])
def test_whoever_connects_or_resumes_need_not_wait(account, pipeline, kommo, maria, is_of_before):
    kommo.post("options", {"full_account_status": 402})
    record(pipeline, ANA, name="Ana")
    drain(account)
    if is_of_before:
        Card.objects.exclude(waiting_reason="").update(waiting_reason=room_for_leads.NO_ROOM.sentence)
    kommo.post("options", {"full_account_status": 0})
    account_state.reopen(account, now=timezone.now())
    drain(account)
    assert "Ana" in names(kommo)


def test_whoever_has_a_card_already_is_found_although_there_is_no_room(account, pipeline, kommo, maria):
    kommo.post("options", {"full_account_status": 402})
    record(pipeline, ANA, name="Ana")
    drain(account)
    theirs = kommo.post("leads", {"name": "Bia de Ana", "phone": BIA})["id"]
    record(pipeline, BIA, name="Bia")
    drain(account)
    assert lead_of(BIA).card.kommo_lead_id == theirs


def test_a_plan_that_holds_so_many_leads_takes_more_when_one_is_deleted(account, pipeline, kommo, maria):
    kommo.post("options", {"leads_limit": 2})
    for phone, name in ((ANA, "Ana"), (BIA, "Bia")):
        record(pipeline, phone, name=name)
        drain(account)
    assert state(BIA)[1] == room_for_leads.NO_ROOM
    kommo.post(f"leads/{lead_of(ANA).card.kommo_lead_id}/delete")
    drain_later(account, minutes=2)
    assert "Bia" in names(kommo)


@pytest.mark.parametrize("mode", ["400", "422"])
def test_a_refusal_in_words_we_do_not_read_costs_no_new_lead(account, pipeline, kommo, maria, mode):
    """One at a time, as they come: none of them is given up."""
    kommo.fault(mode, path="/api/v4/leads/complex", method="POST")
    for phone, name in ((ANA, "Ana"), (BIA, "Bia")):
        record(pipeline, phone, name=name)
        drain(account)
    assert {state(phone) for phone in (ANA, BIA)} == {("retrying", room_for_leads.NO_ROOM)}
    kommo.delete("faults")
    drain_later(account, minutes=2)
    assert names(kommo) == {"Maria", "Ana", "Bia"}


def test_a_card_that_is_refused_for_its_own_sake_keeps_out_no_other(account, pipeline, kommo, maria):
    kommo.fault("400", path="/api/v4/leads/complex", method="POST", item="Ana")
    record(pipeline, ANA, name="Ana")
    drain(account)
    assert state(ANA)[1] == room_for_leads.NO_ROOM
    record(pipeline, BIA, name="Bia")
    drain_later(account, minutes=2)
    assert "Bia" in names(kommo)
    drain_later(account, minutes=4)
    assert state(ANA)[0] == "dead" and not Trouble.objects.exists()


def test_an_account_that_is_closed_altogether_is_no_full_one(account, pipeline, kommo, maria):
    kommo.fault("402")
    record(pipeline, ANA, name="Ana")
    drain(account)
    account.refresh_from_db()
    assert account.state == Account.State.PAUSED
    assert not Trouble.objects.filter(subject="creates").exists()


def test_a_worker_that_dies_while_it_waits_loses_nobody(account, pipeline, kommo, maria):
    kommo.post("options", {"full_account_status": 402})
    record(pipeline, ANA, name="Ana")
    drain(account)
    kommo.post("options", {"full_account_status": 0})
    # The one who noted the refusal never parked anybody.
    Card.objects.filter(lead__phone=ANA).update(state="due", due_at=timezone.now(), waiting_reason="")
    drain(account)
    assert state(ANA)[1] == room_for_leads.NO_ROOM
    Trouble.objects.update(next_at=timezone.now())
    Card.objects.filter(lead__phone=ANA).update(due_at=timezone.now())
    tasks.deliver(account.pk)
    assert "Ana" in names(kommo)


class TestTheRoomOfAPlan:
    """Told by the older API where it still answers; counted by a dozen calls."""

    def look(self, account, **later):
        account.refresh_from_db()
        room_for_leads.look(account, client_for(account), now=timezone.now() + timedelta(**later))
        return {trouble.subject: trouble.reason for trouble in Trouble.objects.all()}

    @pytest.mark.parametrize(("limit", "share"), [(10, "8 of 10"), (8, "8 of 8"), (7, "8 of 7")])
    def test_a_nearly_full_account_is_told_before_it_is_full(self, account, kommo, limit, share):
        for number in range(8):
            kommo.post("leads", {"name": f"L{number}"})
        kommo.post("options", {"leads_limit": limit})
        assert self.look(account) == {"plan": f"{share} leads are used"}
        [finding] = findings()
        assert "refused" not in finding.message and "larger plan" in finding.remedy

    def test_what_is_closed_takes_no_room(self, account, kommo):
        for number in range(8):
            lead = kommo.post("leads", {"name": f"L{number}"})
            kommo.post(f"leads/{lead['id']}/move", {"status_id": 143})
        kommo.post("options", {"leads_limit": 9})
        assert self.look(account) == {}

    def test_contacts_and_companies_share_their_room(self, account, kommo):
        for number in range(3):
            kommo.post("leads", {"name": f"L{number}", "phone": f"+55819777700{number:02}"})
        client_for(account).ask("POST", "/api/v4/companies", body=[{"name": "A"}])
        kommo.post("options", {"contacts_limit": 5})
        assert self.look(account) == {"plan": "4 of 5 contacts are used"}

    def test_it_ends_when_there_is_room_again_and_is_looked_at_once_a_day(self, account, kommo):
        kommo.post("leads", {"name": "L"})
        kommo.post("options", {"leads_limit": 1})
        assert "plan" in self.look(account)
        kommo.post("options", {"leads_limit": 100})
        assert "plan" in self.look(account, hours=5)
        assert self.look(account, hours=25) == {}

    @pytest.mark.parametrize("mode", ["302", "401", "403", "403_html", "404", "500", "invalid_json", "empty_body"])
    def test_an_account_that_does_not_tell_is_left_alone(self, account, kommo, mode):
        kommo.fault(mode, path="/private")
        opened, client = open_account(account.pk)
        room_for_leads.look(opened, client, now=timezone.now())
        account.refresh_from_db()
        assert account.state == Account.State.ACTIVE
        assert not Trouble.objects.exists()

    def test_a_crowd_is_counted_by_few_calls(self, account, kommo):
        kommo.post("populate", {"leads": 2600})
        open_leads = sum(lead["status_id"] not in (142, 143) for lead in kommo.leads())
        kommo.post("options", {"leads_limit": open_leads})
        before = len(kommo.journal())
        reason = self.look(account)["plan"]
        assert len(kommo.journal()) - before < 30
        assert reason == f"{open_leads} of {open_leads} leads are used"
