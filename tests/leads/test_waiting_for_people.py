"""Who waits for a person and who is being served: by who spoke last, and by whose doing a person has the lead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import waiting_for_people
from leads.models import Lead
from tests.conftest import record

Source, Actor = Lead.HandoffSource, Lead.Actor
# Minutes ago: handed over, the lead wrote, a person wrote; then whether the lead is served, and since when it waits.
HISTORIES = {
    "the agent asked for a person, nobody came": (Source.API, 10, 12, None, False, 10),
    "the lead wrote again meanwhile": (Source.API, 10, 3, None, False, 10),
    "somebody answered": (Source.API, 10, 12, 5, True, None),
    "the lead answered that": (Source.API, 10, 2, 5, False, 2),
    "a person had written before, and the agent asked anew": (Source.API, 10, 30, 20, False, 10),
    "somebody wrote in the chat": (Source.CHAT, 10, 30, 10, True, None),
    "and the lead answered": (Source.CHAT, 10, 4, 10, False, 4),
    "somebody paused the agent and has not written yet": (Source.ADMIN, 10, 30, None, True, None),
    "and the lead wrote since": (Source.ADMIN, 10, 4, None, False, 4),
    "somebody paused it for a lead that never wrote": (Source.ADMIN, 10, None, None, True, None),
    "another bot is in the conversation": (Source.GUARD, 10, 10, None, False, 10),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_whoever_wrote_after_the_last_person_waits(pipeline, history):
    source, handed_over, lead_wrote, person_wrote, is_served, waits = HISTORIES[history]
    now = timezone.now()

    def ago(minutes):
        return None if minutes is None else now - timedelta(minutes=minutes)

    lead = record(pipeline).lead
    Lead.objects.filter(pk=lead.pk).update(
        handoff_source=source,
        handoff_since=ago(handed_over),
        last_inbound_at=ago(lead_wrote),
        last_staff_at=ago(person_wrote),
    )

    [found] = waiting_for_people.with_people()

    assert found.is_served is is_served
    if not is_served:
        assert found.waits_since == ago(waits)


@pytest.mark.parametrize(("by", "is_served"), [(Actor.STAFF, True), (Actor.KOMMO, True), (Actor.BRIDGE, False)])
def test_whoever_moved_the_card_to_the_people_has_it_in_hand(pipeline, by, is_served):
    lead = record(pipeline).lead
    now = timezone.now()
    stage = pipeline.stages.get(key="human_handoff")
    Lead.objects.filter(pk=lead.pk).update(
        stage=stage, stage_set_by=by, handoff_source=Source.STAGE, handoff_since=now, last_inbound_at=now
    )
    [found] = waiting_for_people.with_people()
    assert found.is_served is is_served


def test_whom_the_agent_serves_waits_for_nobody(pipeline):
    record(pipeline)
    assert not waiting_for_people.with_people().exists()
