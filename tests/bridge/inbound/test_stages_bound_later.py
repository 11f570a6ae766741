"""A lead stands where its card does, and a person has those in human care, also when nothing on the card changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.models import Briefing, Card
from leads import handoff
from leads.models import Event, Lead, Stage
from tests.bridge.inbound.test_joining import may_reply
from tests.conftest import drain, record, rested
from tests.heard import HANDOFF, QUALIFIED, hear, hook

ANA, BIA = "+5581977770000", "+5581966660000"
PLACE = 11672895


@pytest.fixture
def taken_in(account, kommo):
    """Return a maker of leads that staff made in a stage, and that were taken in."""

    def made(phone, status_id):
        kommo_id = kommo.post("leads", {"name": "Ana", "phone": phone, "status_id": status_id})["id"]
        hear(account, hook(kommo_id, "add", pipeline_id=PLACE))
        return Card.objects.select_related("lead").get(kommo_lead_id=kommo_id).lead

    return made


def unbind(key: str) -> None:
    """Let a stage be bound to nothing, as it was when the leads were found."""
    Stage.objects.filter(key=key).update(kommo_status_id=None)
    Stage.objects.get(key=key).pipeline.rules_changed()


def test_a_lead_an_earlier_version_took_in_and_did_not_pause_is_paused(account, taken_in, kommo):
    lead, other = taken_in(ANA, HANDOFF), taken_in(BIA, QUALIFIED)
    Lead.objects.update(handoff_source="", handoff_since=None, handoff_reason="", resumed_at=None)
    assert may_reply(ANA)
    writes = len(kommo.writes())
    tasks.poll(account.pk)
    assert not may_reply(ANA)
    assert may_reply(BIA)
    lead.refresh_from_db()
    assert lead.handoff_reason == f"the card stands in {lead.stage.name}"
    drain(rested(account))
    assert not Briefing.objects.exists()
    assert len(kommo.writes()) == writes
    tasks.poll(account.pk)
    assert lead.events.filter(kind=Event.Kind.HANDOFF).count() == 2
    assert not other.events.filter(kind=Event.Kind.HANDOFF).exists()


def test_whom_a_person_gave_back_to_the_agent_stays_with_it(account, taken_in):
    lead = taken_in(ANA, HANDOFF)
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="it may go on", now=timezone.now())
    tasks.poll(account.pk)
    assert may_reply(ANA)


@pytest.mark.parametrize("road", ["saved", "comparison"])
@pytest.mark.parametrize(
    ("key", "status_id", "replies"), [("human_handoff", HANDOFF, False), ("qualified", QUALIFIED, True)]
)
def test_a_stage_bound_later_is_that_of_the_leads_in_it(account, taken_in, kommo, road, key, status_id, replies):
    unbind(key)
    lead = taken_in(ANA, status_id)
    assert lead.stage is None
    assert may_reply(ANA)
    set_by, set_at, writes = lead.stage_set_by, lead.stage_set_at, len(kommo.writes())
    stage = Stage.objects.get(key=key)
    if road == "saved":
        stage.kommo_status_id = status_id
        stage.save()
    else:
        Stage.objects.filter(pk=stage.pk).update(kommo_status_id=status_id)
        tasks.poll(account.pk)
    lead.refresh_from_db()
    assert (lead.stage, lead.other_stage_name) == (stage, "")
    assert (lead.stage_set_by, lead.stage_set_at) == (set_by, set_at)
    assert may_reply(ANA) is replies
    drain(rested(account))
    assert not Briefing.objects.exists()
    assert len(kommo.writes()) == writes


def test_where_a_person_put_the_card_is_theirs_also_when_its_stage_is_known_only_later(
    account, taken_in, kommo, pipeline
):
    lead = taken_in(ANA, QUALIFIED)
    unbind("meeting_scheduled")
    moved = Card.objects.get().kommo_lead_id
    kommo.post(f"leads/{moved}/move", {"status_id": 89709595})
    hear(account, hook(moved))
    stage = Stage.objects.get(key="meeting_scheduled")
    stage.kommo_status_id = 89709595
    stage.save()
    lead.refresh_from_db()
    assert (lead.stage, lead.stage_set_by) == (stage, Lead.Actor.STAFF)
    record(pipeline, ANA, qualification_score=10)
    drain(rested(account))
    assert kommo.lead(moved)["status_id"] == 89709595


def test_a_found_lead_stands_there_at_least_since_its_last_change(account, kommo, time_machine):
    made = kommo.post("leads", {"name": "Ana", "phone": ANA, "status_id": QUALIFIED})
    time_machine.move_to(timezone.now() + timedelta(days=40))
    tasks.poll(account.pk)
    hear(account, hook(made["id"], "update", pipeline_id=PLACE))
    assert Lead.objects.get().stage_set_at.timestamp() == made["updated_at"]
