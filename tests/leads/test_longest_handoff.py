"""A handoff ends by itself after `handoff_max`, and never where the card stands so that the agent is silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import agent_or_person, handoff, stage_moves
from leads.models import Lead, Pipeline, Stage
from tests.conftest import record
from tests.leads.test_agent_or_person import lead as lead
from tests.leads.test_agent_or_person import place

LONGEST = timedelta(hours=4)


@pytest.fixture(autouse=True)
def longest(lead):
    Pipeline.objects.update(handoff_max=LONGEST)
    lead.pipeline.refresh_from_db()


def end(lead, after=LONGEST + timedelta(minutes=1)):
    count = agent_or_person.end_expired(now=timezone.now() + after)
    lead.refresh_from_db()
    return count


def stage(key):
    return Stage.objects.get(key=key)


def pause(lead, source, by=Lead.Actor.STAFF):
    lead.refresh_from_db()
    handoff.pause(lead, source=source, by=by, reason="a person", now=timezone.now())


def move(lead, key, by=Lead.Actor.STAFF):
    stage_moves.move(Lead.objects.get(pk=lead.pk), stage(key), by=by, reason="by hand", now=timezone.now())


@pytest.mark.parametrize("source", [Lead.HandoffSource.CHAT, Lead.HandoffSource.ADMIN, Lead.HandoffSource.API])
def test_where_the_agent_may_speak_it_ends_and_the_card_stays(lead, source):
    pause(lead, source)
    assert end(lead, LONGEST - timedelta(minutes=1)) == 0
    assert place(lead) == ("qualifying", True)
    assert end(lead) == 1
    assert place(lead) == ("qualifying", False)
    assert end(lead) == 0


@pytest.mark.parametrize("by", [Lead.Actor.STAFF, Lead.Actor.KOMMO, Lead.Actor.BRIDGE])
def test_in_human_care_it_lasts_as_long_as_the_card_stands_there(lead, by):
    move(lead, "human_handoff", by=by)
    assert (end(lead), place(lead)) == (0, ("human_handoff", True))
    assert lead.handoff_until is None
    move(lead, "qualified")
    assert place(lead) == ("qualified", False)


def test_who_was_taken_over_in_the_chat_and_then_dragged_there_stays_there(lead):
    pause(lead, Lead.HandoffSource.CHAT)
    move(lead, "human_handoff")
    assert (end(lead), place(lead)) == (0, ("human_handoff", True))


def test_where_the_agent_asked_and_nobody_came_the_card_goes_back_with_it(lead):
    agent_or_person.hand_over(lead, by=Lead.Actor.AGENT, reason="quer gente", now=timezone.now())
    assert place(lead) == ("human_handoff", True)
    assert (end(lead), place(lead)) == (1, ("qualifying", False))
    reasons = list(lead.events.values_list("reason", flat=True))
    assert "the longest handoff of this pipeline is over" in reasons


def test_where_the_agent_asked_and_a_person_took_the_card_it_is_theirs(lead):
    agent_or_person.hand_over(lead, by=Lead.Actor.AGENT, reason="quer gente", now=timezone.now())
    lead.refresh_from_db()
    stage_moves.confirm(lead, by=Lead.Actor.STAFF, reason="moved in Kommo", now=timezone.now())
    assert (end(lead), place(lead)) == (0, ("human_handoff", True))


def test_silence_without_a_person_is_no_handoff_that_ends(lead):
    Stage.objects.filter(key="not_interested").update(pauses_agent=True, tells_staff=False)
    lead.pipeline.rules_changed()
    move(lead, "not_interested", by=Lead.Actor.BRIDGE)
    assert place(lead) == ("not_interested", True)
    assert (end(lead), place(lead)) == (0, ("not_interested", True))


def test_a_lead_that_was_found_goes_back_to_where_it_was_found(pipeline):
    found = record(pipeline, "+5581977770000").lead
    Lead.objects.filter(pk=found.pk).update(stage=stage("qualified"))
    found.stays.all().delete()
    move(found, "human_handoff")
    found.refresh_from_db()
    assert agent_or_person.give_back(found, by=Lead.Actor.STAFF, reason="back", now=timezone.now())
    assert place(found) == ("qualified", False)
