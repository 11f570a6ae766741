"""Does a text still speak of the right day? What was worded for today and leaves tomorrow is worded afresh."""

from __future__ import annotations

from datetime import datetime

from followups import next_step, texts
from followups.models import Attempt
from followups.sequence_versions import SequencePlan


def speaks_of_today(attempt: Attempt, now: datetime) -> bool:
    """Say whether the text was made on this day of the lead's: what it calls tomorrow is tomorrow."""
    there = next_step.clock_of(attempt.enrollment.lead)
    made_at = attempt.rendered_at or attempt.created_at
    return made_at.astimezone(there).date() == now.astimezone(there).date()


def word_anew(attempt: Attempt, plan: SequencePlan, now: datetime) -> None:
    """Say the same step in the words of another day, under the same id: whoever has said it says it no more.

    Raises texts.BrokenTextError.
    """
    step = plan.steps[attempt.step - 1]
    text = texts.render(step.instruction or step.text, texts.facts_of(attempt.enrollment.lead, at=now))
    if attempt.instruction:
        attempt.instruction = text or attempt.instruction
        attempt.save(update_fields=["instruction"])
    else:
        attempt.text = text or attempt.text
    attempt.rendered_at = now
