"""An agent that wrote to Kommo by itself is led through the whole funnel, for leads that were in Kommo before us."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bridge import tasks
from bridge.cards import outbox
from followups import dispatch
from followups.models import Enrollment
from leads.models import Lead
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import amount, drain, rested
from tests.crm_service import CrmService
from tests.followups.conftest import receiver as receiver_of_followups
from tests.heard import hear, hook
from tests.lived_in import (
    BILL,
    HANDOFF,
    MEETING,
    NEW,
    NOT_INTERESTED,
    PLACE,
    QUALIFIED,
    QUALIFYING,
    SOLUTION,
    Inhabitant,
    live_in,
)  # fmt: skip

agent, receiver = agent_with_a_key, receiver_of_followups
DISQUALIFIED_NAME = "DESQUALIFICADO"
# How a person who has a card may be known to us.
FOUND, IN_A_FIELD, LINKED, IN_CARE = "made by staff", "a phone in a field", "without a contact", "in human care"
HALF_WAY = (FOUND, IN_A_FIELD, LINKED)
GOOD = {"bill_value": "R$ 4.500,00", "qualification_score": 82}
FIRST_TIME, SECOND_TIME = "2030-03-12T14:00:00-03:00", "2030-03-13T10:00:00-03:00"


class Road:
    """One person who was in Kommo before, the agent that talks to them, and everybody else in the account."""

    def __init__(self, kommo: Any, home: Any, inhabitant: Inhabitant, crm: CrmService, phone: str) -> None:
        self.kommo, self.home, self.one, self.crm, self.phone = kommo, home, inhabitant, crm, phone
        self._people = len(kommo.leads())

    @property
    def card(self) -> dict[str, Any]:
        """Their card once everything has been delivered, which is the only one that anybody touched."""
        while outbox.accounts_with_work(now=timezone.now()):
            drain(rested(self.home.account))
        assert len(self.kommo.leads()) == self._people
        assert set(self.home.changed()) <= {self.one.kommo_id}
        return self.kommo.lead(self.one.kommo_id)

    @property
    def stands_in(self) -> int:
        return int(self.card["status_id"])

    def field(self, field_id: int) -> Any:
        values = {field["field_id"]: field["values"][0] for field in self.card["custom_fields_values"] or ()}
        return values[field_id]["value"] if field_id in values else None

    def dragged(self, status_id: int) -> None:
        """A seller drags the card."""
        self.kommo.post(f"leads/{self.one.kommo_id}/move", {"status_id": status_id})
        hear(self.home.account, hook(self.one.kommo_id, status_id=status_id, pipeline_id=PLACE))

    def until_qualified(self) -> None:
        self.crm.move(self.phone, "presenting")
        self.crm.move(self.phone, "judging", **GOOD)
        assert self.stands_in == QUALIFIED
        hear(self.home.account, hook(self.one.kommo_id, "update"))


@pytest.fixture
def road(kommo, sandbox_server, pipeline, connect, agent, receiver, settings, monkeypatch, request) -> Road:
    settings.AGENT_WEBHOOK_URL = receiver.url
    settings.AGENT_WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    monkeypatch.setattr(dispatch, "STAY_FOR", timedelta(0))
    home = live_in(kommo, sandbox_server.sandbox.store, rounds=1)
    type(pipeline).objects.update(phone_field="WhatsApp")
    pipeline.refresh_from_db()
    pipeline.rules_changed()
    home.account, home.pipeline = connect(), pipeline
    tasks.poll(home.account.pk, full=True)
    [inhabitant] = home.of(request.param)
    phone = inhabitant.phones[0] if inhabitant.phones else home.number()
    if request.param == IN_A_FIELD:
        values = inhabitant.before["custom_fields_values"]
        phone = next(iter(values))["values"][0]["value"]
    own_tables = {phone: inhabitant.kommo_id} if request.param == LINKED else None
    return Road(kommo, home, inhabitant, CrmService(agent, own_tables), phone)


everybody = pytest.mark.parametrize("road", HALF_WAY, indirect=True)


@everybody
def test_the_first_message_finds_the_card_and_changes_nothing_on_it(road):
    answer = road.crm.heard(road.phone, "Oi")

    card = road.card
    assert answer["agent"]["may_reply"] is True
    assert road.crm.find(road.phone)["kommo_lead_id"] == road.one.kommo_id
    assert card["status_id"] == NEW
    assert (card["name"], card["price"], card["tags"]) == tuple(
        road.one.before[key] for key in ("name", "price", "tags")
    )


@everybody
def test_a_name_learned_later_is_the_cards(road):
    road.crm.heard(road.phone, "Oi")
    road.crm.heard(road.phone, "Sou a Maria Souza", name="Maria Souza")

    assert road.card["name"] == "Maria Souza"


@everybody
@pytest.mark.parametrize("meaning", ["presenting", "waiting for a choice"])
def test_presented_solutions_move_the_card_to_qualification(road, meaning):
    road.crm.move(road.phone, "collecting the name")
    assert road.stands_in == NEW
    road.crm.move(road.phone, meaning)
    assert road.stands_in == QUALIFYING


@everybody
@pytest.mark.parametrize("meaning", ["judging", "judging in detail"])
def test_who_meets_the_criteria_is_qualified(road, meaning):
    road.crm.move(road.phone, "presenting")
    answer = road.crm.move(road.phone, meaning, **GOOD)

    assert "82" in answer["decision"]["reason"]
    assert road.stands_in == QUALIFIED


@everybody
def test_a_failed_criterion_disqualifies(road):
    road.crm.move(road.phone, "presenting")
    road.crm.move(road.phone, "judging", bill_value=180, qualification_score=90)

    assert road.crm.find(road.phone)["stage_name"] == road.card["status_name"] == DISQUALIFIED_NAME


@everybody
def test_a_score_that_runs_along_disqualifies_and_takes_out_again(road):
    road.crm.move(road.phone, "presenting", qualification_score=10)
    assert road.stands_in == QUALIFYING
    for score in (20, 25, 50):
        road.crm.move(road.phone, "judging", bill_value=4500, qualification_score=score)
        assert road.card["status_name"] == DISQUALIFIED_NAME
    road.crm.move(road.phone, "judging", qualification_score=82)
    assert road.stands_in == QUALIFIED


@everybody
def test_a_meeting_is_booked_moved_and_cancelled_and_its_reminders_with_it(road):
    road.until_qualified()
    road.crm.move(road.phone, "booking")
    assert road.stands_in == QUALIFIED

    road.crm.meeting(road.phone, "scheduled", FIRST_TIME, link="https://meet.example/1")
    assert road.stands_in == MEETING
    first = reminder_of(road)
    road.crm.meeting(road.phone, "rescheduled", SECOND_TIME)
    assert road.stands_in == MEETING
    assert reminder_of(road) > first
    assert road.crm.find(road.phone)["meeting"]["link"] == "https://meet.example/1"

    road.crm.meeting(road.phone, "cancelled")
    assert road.stands_in == QUALIFIED
    assert reminder_of(road) is None


def reminder_of(road: Road) -> datetime | None:
    waiting = Enrollment.objects.filter(lead=lead_on(road), purpose="meeting_scheduled", state="waiting")
    return waiting.values_list("next_at", flat=True).first()


def lead_on(road: Road) -> Lead:
    return Lead.objects.get(card__kommo_lead_id=road.one.kommo_id)


@everybody
def test_a_seller_who_takes_over_is_alone_with_the_lead_and_what_was_said_is_kept(road):
    road.crm.move(road.phone, "presenting")
    assert road.stands_in == QUALIFYING
    road.dragged(HANDOFF)

    assert road.crm.may_reply(road.phone) is False
    road.crm.heard(road.phone, "Ainda está aí?", **GOOD)
    road.crm.move(road.phone, "judging")
    assert road.stands_in == HANDOFF
    assert "Ainda está aí?" in str(road.crm.timeline(road.phone))

    road.dragged(QUALIFYING)
    assert road.crm.may_reply(road.phone) is True
    road.crm.move(road.phone, "judging")
    assert road.stands_in == QUALIFIED


@everybody
def test_who_asks_for_a_person_is_left_to_one(road):
    road.crm.heard(road.phone, "Quero falar com gente")
    answer = road.crm.hand_over(road.phone, "quer falar com gente")

    assert (answer["may_reply"], road.crm.may_reply(road.phone)) == (False, False)
    card = road.card
    assert (len(card["notes"]), len(card["tasks"])) == (1, 1)


@pytest.mark.parametrize("road", [IN_CARE], indirect=True)
def test_who_was_in_human_care_stays_there_until_a_person_gives_them_back_and_goes_on(road):
    assert road.crm.may_reply(road.phone) is False
    answer = road.crm.heard(road.phone, "Oi, fechamos?", name="Maria Souza Lima")
    assert answer["agent"]["may_reply"] is False
    road.crm.move(road.phone, "judging", **GOOD)
    assert road.stands_in == HANDOFF

    road.dragged(QUALIFYING)
    assert road.crm.may_reply(road.phone) is True
    road.crm.move(road.phone, "judging", qualification_score=84)
    assert road.stands_in == QUALIFIED
    road.crm.meeting(road.phone, "scheduled", FIRST_TIME)
    assert road.stands_in == MEETING


@everybody
def test_who_does_not_answer_the_sequence_is_not_interested_and_back_with_their_answer(road, receiver):
    road.crm.heard(road.phone, "Oi")
    road.crm.move(road.phone, "presenting")
    answer = road.crm.said(road.phone, "Qual é a sua conta de luz?")
    assert answer["followup"]["state"] == "waiting"

    with time_machine.travel(timezone.now(), tick=True) as clock:
        let_everything_fall_due(clock)
        assert road.stands_in == NOT_INTERESTED
        bodies = [body for body in receiver.bodies() if body["type"] == "followup.due"]
        assert [body["data"]["step"] for body in bodies] == [1, 2, 3]
        assert {body["data"]["lead"]["id"] for body in bodies} == {str(lead_on(road).pk)}
        clock.shift(timedelta(hours=1))
        road.crm.heard(road.phone, "Desculpe, estava viajando")
        assert road.stands_in == QUALIFYING


def let_everything_fall_due(clock: Any) -> None:
    """Let time pass until no follow-up waits, looking whenever one is due."""
    while (due := Enrollment.objects.filter(state="waiting").order_by("next_at").first()) is not None:
        clock.move_to(max(due.next_at, timezone.now()) + timedelta(seconds=1))
        moment = timezone.now()
        dispatch.fire(holder="test", until=moment + timedelta(seconds=1), clock=lambda at=moment: at)


@everybody
def test_what_the_talk_finds_out_is_on_the_card_beside_what_stood_there(road):
    road.crm.move(road.phone, "presenting", bill_value="R$ 950,50", chosen_flow="Instalação Usina Própria")
    road.crm.objects(road.phone, "preço")
    road.crm.objects(road.phone, "prazo", "preço")
    road.crm.note(road.phone, "telhado", "cerâmica, voltado ao norte")

    assert (amount(road.field(BILL)), road.field(SOLUTION)) == ("950.5", "Usina Própria")
    assert {"fluxo_instalação_usina_própria", "objecao_preço", "objecao_prazo"} <= set(road.card["tags"])
    assert set(road.one.before["tags"]) <= set(road.card["tags"])
    assert road.crm.find(road.phone)["custom"]["telhado"] == "cerâmica, voltado ao norte"
    road.crm.update(road.phone, chosen_flow="Aluguel de Lote")
    assert "fluxo_aluguel_de_lote" in road.card["tags"]
    assert "fluxo_instalação_usina_própria" not in road.card["tags"]


@everybody
def test_the_whole_road_in_one_go_is_one_card(road):
    road.crm.heard(road.phone, "Oi")
    road.until_qualified()
    road.crm.objects(road.phone, "preço")
    road.crm.meeting(road.phone, "scheduled", FIRST_TIME)
    road.dragged(HANDOFF)
    road.crm.heard(road.phone, "Obrigada!")

    assert road.stands_in == HANDOFF
    assert Lead.objects.filter(card__kommo_lead_id=road.one.kommo_id).count() == 1
    assert Lead.objects.filter(phone=lead_on(road).phone).count() == 1
