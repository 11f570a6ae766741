"""What a sequence would do, before it does it: when its messages go out, what they say, where they need a template.

Nothing here stores anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from common.reasons import Reason
from followups import schedule, texts
from followups.schedule import Due, Hours
from followups.sequence_versions import SequencePlan
from leads.models import Lead

# After the lead's last message WhatsApp takes free text this long; later only approved templates.
FREE_TEXT_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Planned:
    """One line of a timetable. `step` is None for the end of patience; `due` is None where the hours allow nothing.

    left_out: why the step is not to come after all.
    """

    step: int | None
    due: Due | None
    left_out: str = ""


def timetable(
    plan: SequencePlan,
    hours: Hours,
    zone: str,
    start: datetime,
    *,
    clock: str = "",
    covered_at: datetime | None = None,
) -> list[Planned]:
    """Return when the messages would go out for a lead who starts now, each sent on time and none answered.

    `start` is our last message, or the meeting. The end of patience comes last. zone: whose hours are kept. clock: by
    which days are told to the lead, where it is another one. covered_at: when the lead was reminded before these.
    """
    found: list[Planned] = []
    anchor, reminded_at = start, covered_at
    for number, step in enumerate(plan.steps, 1):
        narrowed = hours.for_step(step.weekdays, is_reminder=step.before is not None)
        if step.before is not None:
            meant, due = start - step.before, schedule.before(start, step.before, narrowed, zone)
        else:
            delay = step.delay or timedelta()
            meant, due = anchor + delay, schedule.after(anchor, delay, narrowed, zone)
        if due is None:
            return [*found, Planned(number, None)]
        why = schedule.left_out(
            meant,
            due.at,
            is_moved=due.at != meant,
            only_on_time=step.only_on_time,
            zone=clock or zone,
            covered_at=reminded_at,
            apart=plan.apart(number),
        )
        found.append(Planned(number, due, why or ""))
        if why is None:
            anchor = due.at
            reminded_at = due.at if step.before is not None else None
    if plan.give_up_after and plan.give_up_stage:
        words = schedule.in_words(plan.give_up_after)
        found.append(Planned(None, Due(anchor + plan.give_up_after, Reason("given_up_after_silence", span=words))))
    return found


@dataclass(frozen=True)
class Rendered:
    """What a text says to a lead, or why it cannot; one of the two is empty."""

    text: str = ""
    error: str = ""


def rendered(text: str, lead: Lead, *, at: datetime) -> Rendered:
    """Return what the text would say to this lead at that moment, without sending anything."""
    try:
        texts.check(text)
        texts.check_names(text)
        return Rendered(text=texts.render(text, texts.facts_of(lead, at=at)))
    except texts.BrokenTextError as error:
        return Rendered(error=str(error))


def needs_template(lead: Lead, at: datetime | None, template_id: str) -> bool:
    """Say whether a message at this moment needs an approved template and has none."""
    last = lead.last_inbound_at
    return at is not None and not template_id and (last is None or at - last > FREE_TEXT_FOR)
