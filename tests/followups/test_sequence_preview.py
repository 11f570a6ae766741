"""What staff see of a sequence before it runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from followups import sequence_preview, sequence_versions
from followups.models import Sequence
from followups.next_step import hours_of
from followups.schedule import Hours
from followups.sequence_versions import SequencePlan, StepPlan
from tests.followups.conftest import TUESDAY


def timetable(slug, start):
    """Return the timetable of a shipped sequence, on the pipeline's clock and hours."""
    sequence = Sequence.objects.select_related("pipeline").get(slug=slug)
    pipeline = sequence.pipeline
    return sequence_preview.timetable(
        sequence_versions.current(sequence), hours_of(pipeline), pipeline.time_zone, start
    )


def test_the_timetable_says_when_and_why(conversation):
    lines = timetable("reengagement", TUESDAY)
    minutes_after = [(line.step, (line.due.at - TUESDAY) / timedelta(minutes=1)) for line in lines]
    assert minutes_after == [(1, 30), (2, 24 * 60 + 30), (3, 72 * 60 + 30), (None, 96 * 60 + 30)]
    assert lines[0].due.reason == "30 min after our last message"


def test_the_timetable_is_kept(conversation, agent):
    """What the preview shows is what happens to a lead who stays silent."""
    lead = conversation.agent_writes()
    expected = [line.due.at for line in timetable("reengagement", TUESDAY) if line.step]
    conversation.run(timedelta(days=10))
    assert list(lead.enrollments.get().attempts.order_by("step").values_list("ended_at", flat=True)) == expected


def test_reminders_are_shown_before_the_meeting(conversation):
    meeting = TUESDAY + timedelta(days=2)
    lines = timetable("meeting_reminders", meeting)
    assert [meeting - line.due.at for line in lines] == [timedelta(hours=24), timedelta(hours=2)]


def test_hours_that_allow_nothing_end_the_timetable():
    plan = SequencePlan(
        (StepPlan("Oi", delay=timedelta(hours=1)), StepPlan("Oi", delay=timedelta(hours=1))), None, None
    )
    lines = sequence_preview.timetable(plan, Hours(weekdays=frozenset()), "UTC", TUESDAY)
    assert lines == [sequence_preview.Planned(1, None)]


def test_a_text_is_shown_as_a_real_lead_would_read_it(conversation):
    lead = conversation.lead_writes(facts={"name": "Maria Souza"})
    assert sequence_preview.rendered("Oi {{ first_name }}", lead, at=TUESDAY).text == "Oi Maria"
    assert "unexpected" in sequence_preview.rendered("{% nonsense %}", lead, at=TUESDAY).error


@pytest.mark.parametrize(
    ("hours", "template", "needed"), [(23, "", False), (25, "", True), (25, "retomada_1", False), (None, "", True)]
)
def test_free_text_is_for_those_who_wrote_within_a_day(conversation, hours, template, needed):
    lead = conversation.lead_writes()
    lead.last_inbound_at = None if hours is None else TUESDAY - timedelta(hours=hours)
    assert sequence_preview.needs_template(lead, TUESDAY, template) is needed
    assert not sequence_preview.needs_template(lead, None, template)
