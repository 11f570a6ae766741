"""Whose stage is it? Told through the agent's API and seen on the card, while people and programs move it in Kommo."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Lead, Pipeline, Qualification, Stage
from tests.conftest import drain, lead_of
from tests.heard import HANDOFF, NEW, QUALIFIED, hear, hook

QUALIFYING, BOOKED, NOT_INTERESTED, PLACE = 89709463, 89709595, 89709599, 11672895
MARIA = "+5581999990000"
TALK = {"conversation_stage": "qualificação"}


class Stand:
    """One lead in talk with the agent, its card, and the people in Kommo."""

    def __init__(self, account, agent, kommo):
        self.account, self.agent, self.kommo = account, agent, kommo

    def says(self, context=TALK, **lead):
        answer = self.agent.says(context=context, **lead)
        assert answer.status_code in (200, 201), answer.content
        drain(self.account)
        return answer.json()

    def starts(self, **lead):
        self.says(context={"conversation_stage": "estágio_1_apresentar_soluções"}, **lead)
        self.hears("update")

    def hears(self, action, **more):
        hear(self.account, hook(self.kommo_id, action, **more))
        drain(self.account)

    @property
    def kommo_id(self):
        return lead_of().card.kommo_lead_id

    def dragged(self, status_id):
        self.kommo.post(f"leads/{self.kommo_id}/move", {"status_id": status_id})
        self.hears("status", status_id=status_id, pipeline_id=PLACE)

    @property
    def card(self):
        """Where the card stands in Kommo, by the name of our stage."""
        status_id = self.kommo.lead(self.kommo_id)["status_id"]
        return Stage.objects.get(pipeline=lead_of().pipeline, kommo_status_id=status_id).key


@pytest.fixture
def stand(account, agent, kommo):
    return Stand(account, agent, kommo)


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        ({"qualification_score": 82}, "qualified"),
        ({"qualification_score": 12}, "disqualified"),
        ({"qualification_score": 82, "bill_value": 90}, "disqualified"),
    ],
)
def test_a_card_handed_back_from_human_care_goes_on_through_the_funnel(stand, facts, stage):
    stand.starts()
    stand.dragged(HANDOFF)
    stand.dragged(QUALIFYING)

    answer = stand.says(**facts)

    assert (answer["decision"]["changed"], answer["decision"]["stage"]) == (True, stage)
    assert stand.card == stage


def test_what_was_said_while_a_person_had_the_lead_counts_once_it_is_given_back(stand):
    stand.starts()
    stand.dragged(HANDOFF)
    assert stand.says(qualification_score=82)["decision"]["changed"] is False
    stand.dragged(QUALIFYING)

    assert stand.says(qualification_score=82)["lead"]["stage"] == "qualified"


def test_a_handed_back_lead_reaches_every_stage_after_it(stand):
    stand.starts()
    stand.dragged(HANDOFF)
    stand.dragged(QUALIFYING)
    stand.says(qualification_score=82)
    assert stand.card == "qualified"
    stand.dragged(HANDOFF)
    stand.dragged(QUALIFIED)
    meeting = {"id": "evt_1", "status": "scheduled", "starts_at": "2030-03-12T14:00:00-03:00"}
    stand.says(context={"meeting": meeting})
    assert stand.card == "meeting_scheduled"
    stand.says(context=TALK | {"meeting": {"id": "evt_1", "status": "cancelled"}})
    assert stand.card == "qualified"
    stand.says(qualification_score=20)
    assert stand.card == "disqualified"


def test_a_card_taken_back_from_qualified_stays_while_the_agent_repeats_itself(stand):
    stand.starts()
    stand.says(qualification_score=82)
    stand.dragged(QUALIFYING)
    before = len(stand.kommo.writes())

    for score in (82, 85, 91):
        answer = stand.says(qualification_score=score)
        assert answer["decision"]["stage"] == "qualifying"
        assert (
            "a person moved the card to EM QUALIFICAÇÃO and nothing new was concluded since"
            in (answer["decision"]["reason"])
        )

    assert stand.card == "qualifying"
    assert all("status_id" not in str(write["body"]) for write in stand.kommo.writes()[before:])


def test_nothing_moves_a_card_back_over_a_person(stand):
    stand.starts()
    stand.dragged(BOOKED)

    for facts in ({"qualification_score": 82}, {"qualification_score": 12}):
        assert stand.says(**facts)["decision"]["changed"] is False
    stand.says(context={"meeting": {"id": "evt_1", "status": "cancelled"}})

    assert stand.card == "meeting_scheduled"


def test_two_ways_to_say_one_thing_wear_no_person_down(stand):
    """An agent whose analyzer and tools speak two languages says the same by turns."""
    pipeline = Pipeline.objects.get(slug="solar")
    pipeline.stage_mappings.create(
        conversation_stage="tool: qualified", action="move", move_to=pipeline.stages.get(key="qualified"), position=9
    )
    pipeline.rules_changed()
    stand.starts()
    stand.says(qualification_score=82)
    stand.says(context={"conversation_stage": "tool: qualified"})
    stand.dragged(QUALIFYING)

    for context in (TALK, {"conversation_stage": "tool: qualified"}, TALK):
        stand.says(context=context, qualification_score=82)

    assert stand.card == "qualifying"


def test_a_verdict_that_turns_is_followed_as_often_as_it_turns(stand):
    stand.starts()
    for score, stage in ((10, "disqualified"), (25, "disqualified"), (82, "qualified"), (50, "disqualified")):
        stand.says(qualification_score=score)
        assert stand.card == stage
    stand.says(qualification_score=82, bill_value=4500)
    assert stand.card == "qualified"


def test_a_verdict_that_turns_is_followed_in_whatever_order_the_stages_stand(stand):
    pipeline = Qualification.objects.get().pipeline
    pipeline.stages.filter(key="disqualified").update(rank=1, reachable_from_anywhere=False)
    pipeline.rules_changed()
    stand.starts()
    stand.says(qualification_score=82)
    stand.says(qualification_score=10)
    assert stand.card == "disqualified"
    stand.says(qualification_score=82)
    assert stand.card == "qualified"


def test_a_lead_that_a_form_made_is_qualified(account, agent, kommo, stand):
    kommo_id = made_in_kommo(kommo, NEW)
    hear(account, hook(kommo_id, "add"))
    assert stand.kommo_id == kommo_id

    answer = stand.says(qualification_score=82)

    assert (answer["lead"]["stage"], answer["lead"]["kommo_lead_id"]) == ("qualified", kommo_id)
    assert stand.card == "qualified"


def test_a_found_stage_is_nobodys_and_a_move_from_there_is_the_persons(account, agent, kommo, stand):
    kommo_id = made_in_kommo(kommo, NEW)
    hear(account, hook(kommo_id, "add"))
    stand.says(qualification_score=82)
    stand.dragged(NEW)

    assert stand.says(qualification_score=84)["decision"]["changed"] is False
    assert stand.card == "new"


def test_another_programs_move_stands_against_a_repetition_and_yields_to_news(stand):
    stand.starts()
    stand.says(qualification_score=82)
    stand.kommo.post(f"leads/{stand.kommo_id}/move", {"status_id": BOOKED, "user_id": 0})
    stand.hears("status", status_id=BOOKED, pipeline_id=PLACE)
    lead = lead_of()
    assert (lead.stage.key, lead.stage_set_by) == ("meeting_scheduled", Lead.Actor.KOMMO)

    assert stand.says(qualification_score=85)["decision"]["changed"] is False
    assert stand.says(qualification_score=15)["lead"]["stage"] == "disqualified"


def test_who_asks_for_a_person_finds_the_card_with_people_and_gives_it_back_from_there(stand):
    pipeline = Pipeline.objects.get(slug="solar")
    pipeline.handoff_stage = pipeline.stages.get(key="human_handoff")
    pipeline.save()
    stand.starts()
    path = f"leads/{lead_of().pk}/handoff/"

    for _ in range(2):
        answer = stand.agent.post(path, {"reason": "quer falar com gente"}).json()
        assert (answer["may_reply"], answer["reason"]) == (False, "quer falar com gente")
    drain(stand.account)
    assert stand.card == "human_handoff"

    for _ in range(2):
        assert stand.agent.delete(path).json()["may_reply"] is True
    drain(stand.account)
    assert stand.card == "qualifying"
    assert stand.says(qualification_score=82)["lead"]["stage"] == "qualified"


def test_a_card_that_staff_dragged_to_people_is_given_back_out_of_there(stand):
    stand.starts()
    stand.dragged(HANDOFF)

    assert stand.agent.delete(f"leads/{lead_of().pk}/handoff/").json()["may_reply"] is True
    drain(stand.account)

    assert stand.card == "qualifying"


def test_an_imported_past_moves_nobody_over_what_a_person_did_since(stand):
    stand.says(context=None)
    stand.hears("update")
    stand.dragged(QUALIFYING)
    past = (timezone.now() - timedelta(days=3)).isoformat()
    body = {"lead": {"phone": MARIA, "qualification_score": 82}, "context": TALK, "occurred_at": past}

    answer = stand.agent.post("interactions/", body)
    drain(stand.account)

    assert answer.status_code == 200
    assert "a person moved the card to EM QUALIFICAÇÃO after that" in answer.json()["decision"]["reason"]
    # What it had concluded then is nothing new now.
    assert stand.says(qualification_score=83)["decision"]["changed"] is False
    assert stand.card == "qualifying"


def test_an_imported_past_is_no_reason_to_move_a_found_card_and_none_to_freeze_it(account, agent, kommo, stand):
    hear(account, hook(made_in_kommo(kommo, NEW), "add"))
    past = (timezone.now() - timedelta(days=300)).isoformat()
    body = {"lead": {"phone": MARIA, "qualification_score": 82}, "context": TALK, "occurred_at": past}

    decision = agent.post("interactions/", body).json()["decision"]

    assert "the card stood in NOVO LEAD in Kommo after that" in decision["reason"]
    assert stand.says(qualification_score=82)["lead"]["stage"] == "qualified"


def test_a_past_that_nobody_else_knew_makes_a_lead_where_it_ended(stand):
    past = (timezone.now() - timedelta(days=30)).isoformat()
    body = {"lead": {"phone": MARIA, "qualification_score": 82}, "context": TALK, "occurred_at": past}
    assert stand.agent.post("interactions/", body).json()["lead"]["stage"] == "qualified"


def made_in_kommo(kommo, status_id):
    return kommo.post("leads", {"status_id": status_id, "phone": MARIA, "name": "Maria"})["id"]
