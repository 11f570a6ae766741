"""What a sequence would do, before it does it: when its messages go out, what they say, where they need a template.

Nothing here stores anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from followups import schedule, texts
from followups.schedule import Due, Hours
from followups.versions import SequencePlan
from leads.models import Lead

# After the lead's last message WhatsApp takes free text this long; later only approved templates.
FREE_TEXT_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Planned:
    """One line of a timetable. `step` is None for the end of patience; `due` is None where the hours allow nothing."""

    step: int | None
    due: Due | None


def timetable(plan: SequencePlan, hours: Hours, zone: str, start: datetime) -> list[Planned]:
    """Return when the messages would go out for a lead who starts now, each sent on time and none answered.

    `start` is our last message, or the meeting. The end of patience comes last.
    """
    found: list[Planned] = []
    anchor = start
    for number, step in enumerate(plan.steps, 1):
        narrowed = hours.narrowed_to(step.weekdays)
        if step.before is not None:
            due = schedule.before(start, step.before, narrowed, zone)
        else:
            due = schedule.after(anchor, step.delay or timedelta(), narrowed, zone)
        found.append(Planned(number, due))
        if due is None:
            return found
        anchor = due.at
    if plan.give_up_after and plan.give_up_stage:
        words = schedule.in_words(plan.give_up_after)
        found.append(Planned(None, Due(anchor + plan.give_up_after, f"given up after {words} of silence")))
    return found


@dataclass(frozen=True)
class Rendered:
    """What a text says to a lead, or why it cannot; one of the two is empty."""

    text: str = ""
    error: str = ""


def rendered(text: str, lead: Lead) -> Rendered:
    """Return what the text would say to this lead, without sending anything."""
    try:
        texts.check(text)
        return Rendered(text=texts.render(text, texts.facts_of(lead)))
    except texts.BrokenTextError as error:
        return Rendered(error=str(error))


def needs_template(lead: Lead, at: datetime | None, template_id: str) -> bool:
    """Say whether a message at this moment needs an approved template and has none."""
    last = lead.last_inbound_at
    return at is not None and not template_id and (last is None or at - last > FREE_TEXT_FOR)
