"""Handing over and giving back: what the card says and what the agent does never contradict."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import agent_or_person, announcements, handoff, stage_moves
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead, Stage
from tests.conftest import lead_of, record
from tests.leads.test_interactions import GOOD, inbound


@pytest.fixture
def lead(pipeline):
    pipeline.handoff_stage = pipeline.stages.get(key="human_handoff")
    pipeline.save()
    pipeline.rules_changed()
    pipeline.refresh_from_db()
    return record(pipeline, context={"conversation_stage": "estágio_1_apresentar_soluções"}).lead


def stage(key):
    return Stage.objects.get(key=key)


def ask_for_a_person(lead, reason="quer falar com gente"):
    return agent_or_person.hand_over(lead, by=Lead.Actor.AGENT, reason=reason, now=timezone.now())


def give_back(lead, **more):
    return agent_or_person.give_back(lead, by=Lead.Actor.STAFF, reason="given back", now=timezone.now(), **more)


def put(key, by=Lead.Actor.STAFF):
    stage_moves.move(lead_of(), stage(key), by=by, reason="by hand", now=timezone.now() + timedelta(seconds=1))


def place(lead):
    lead.refresh_from_db()
    return lead.stage.key, lead.in_handoff


def test_who_asks_for_a_person_goes_where_people_look_with_the_agents_reason(lead):
    assert ask_for_a_person(lead)
    assert place(lead) == ("human_handoff", True)
    assert (lead.handoff_source, lead.handoff_reason) == ("api", "quer falar com gente")
    assert lead.events.filter(kind=Event.Kind.HANDOFF).count() == 1
    assert not ask_for_a_person(lead)
    assert lead.events.filter(kind=Event.Kind.HANDOFF).count() == 1


def test_without_a_stage_for_it_the_card_stays(lead):
    lead.pipeline.__class__.objects.update(handoff_stage=None)
    assert ask_for_a_person(lead)
    assert place(lead) == ("qualifying", True)
    assert give_back(lead)
    assert place(lead) == ("qualifying", False)


@pytest.mark.parametrize(
    ("key", "by", "why"),
    [
        ("won", Lead.Actor.STAFF, "automatic moves do not leave GANHO"),
        (
            "not_interested",
            Lead.Actor.STAFF,
            "a person moved the card to NÃO INTERESSADO, and nothing moves it back over them",
        ),
    ],
)
def test_where_no_automatic_move_may_go_the_agent_falls_silent_and_the_card_stays(lead, key, by, why):
    put(key, by)
    assert ask_for_a_person(lead_of())
    assert place(lead) == (key, True)
    assert lead.events.get(kind=Event.Kind.MOVE_SUPPRESSED).reason == f"quer falar com gente, but {why}"


def test_given_back_the_card_returns_to_where_it_came_from_and_goes_on(pipeline, lead):
    ask_for_a_person(lead)
    assert give_back(lead)
    assert place(lead) == ("qualifying", False)
    assert record(pipeline, **GOOD).lead.stage.key == "qualified"
    assert not give_back(lead)


def test_given_back_from_where_it_was_found_it_goes_to_qualification(pipeline, lead):
    Lead.objects.update(stage=stage("human_handoff"), stage_set_by="kommo")
    lead.stays.all().delete()
    lead.refresh_from_db()
    handoff.pause(lead, source=Lead.HandoffSource.STAGE, by=Lead.Actor.KOMMO, reason="found", now=timezone.now())
    assert give_back(lead)
    assert place(lead) == ("qualifying", False)


def test_given_back_to_a_stage_a_person_chose_it_is_theirs(pipeline, lead):
    ask_for_a_person(lead)
    assert give_back(lead, stage=stage("qualified"))
    assert place(lead) == ("qualified", False)
    assert lead.stage_set_by == Lead.Actor.STAFF


def test_nobody_is_given_back_to_a_stage_where_the_agent_is_silent(lead):
    ask_for_a_person(lead)
    with pytest.raises(agent_or_person.StaysSilentError):
        give_back(lead, stage=stage("human_handoff"))
    assert place(lead) == ("human_handoff", True)


def test_who_had_not_been_interested_was_talked_to_and_is_taken_up(lead):
    put("not_interested")
    put("human_handoff")
    assert give_back(lead_of())
    assert place(lead) == ("qualifying", False)


def test_a_stage_in_which_a_deal_is_won_keeps_it_whoever_is_silent_there(lead):
    Stage.objects.filter(key="won").update(pauses_agent=True)
    put("won")
    give_back(lead_of())
    assert place(lead) == ("won", False)


class TestSilence:
    """A stage that silences the agent and asks nobody to speak in its place."""

    @pytest.fixture(autouse=True)
    def silent(self, pipeline):
        Stage.objects.filter(key="not_interested").update(pauses_agent=True, tells_staff=False)
        pipeline.rules_changed()
        pipeline.refresh_from_db()

    def test_who_writes_from_there_is_taken_up_and_the_agent_speaks_again(self, pipeline, lead):
        put("not_interested", Lead.Actor.BRIDGE)
        assert place(lead) == ("not_interested", True)

        recorded = record(pipeline, message=inbound("mudei de ideia"))

        assert place(lead) == ("qualifying", False)
        assert recorded.decision.notify_staff

    def test_who_writes_from_there_without_a_way_out_is_told_of_to_staff(self, pipeline, lead):
        Stage.objects.filter(key="not_interested").update(on_reply=None)
        pipeline.rules_changed()
        pipeline.refresh_from_db()
        put("not_interested", Lead.Actor.BRIDGE)

        recorded = record(pipeline, message=Message(Direction.INBOUND, text="alguém aí?"))

        assert place(lead) == ("not_interested", True)
        assert recorded.decision.notify_staff == "the lead wrote from NÃO INTERESSADO; the card stays there"

    def test_a_person_who_takes_over_there_has_the_lead(self, pipeline, lead):
        put("not_interested", Lead.Actor.BRIDGE)
        lead = lead_of()
        assert (lead.in_handoff, lead.is_with_people) == (True, False)
        assert handoff.pause(lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="y", now=timezone.now())
        assert (lead_of().is_with_people, lead_of().handoff_reason) == (True, "y")

    def test_whom_the_agent_asks_a_person_for_there_a_person_has(self, pipeline, lead):
        put("not_interested", Lead.Actor.BRIDGE)
        assert ask_for_a_person(lead_of())
        assert (lead_of().is_with_people, lead_of().stage.key) == (True, "human_handoff")
        assert lead.events.filter(kind=Event.Kind.HANDOFF).count() == 2

    def test_a_card_dragged_from_there_into_human_care_is_told_of(self, pipeline, lead):
        put("not_interested", Lead.Actor.BRIDGE)
        put("human_handoff")
        reasons = lead.events.filter(kind=Event.Kind.HANDOFF).values_list("reason", flat=True)
        assert list(reasons) == ["the card stands in NÃO INTERESSADO", "the card stands in ATENDIMENTO HUMANO"]
        assert lead_of().is_with_people


def test_giving_up_tells_nobody_to_take_over(lead, monkeypatch):
    Stage.objects.filter(key="not_interested").update(pauses_agent=True)
    heard = []

    def hear(paused, tells_staff, **_):
        heard.append((paused, tells_staff))

    announcements.handoff_changed.connect(hear)
    try:
        gone = stage("not_interested")
        stage_moves.move(lead, gone, by=Lead.Actor.BRIDGE, reason="x", now=timezone.now(), tells_staff=False)
    finally:
        announcements.handoff_changed.disconnect(hear)
    assert heard == [(True, False)]
