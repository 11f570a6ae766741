"""When the messages of a sequence would go out for a lead starting now, on the pipeline's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import formats
from django.utils.translation import gettext as _

from bridge.configuration import document, sentences
from bridge.reasons import in_words
from followups import schedule, texts
from followups.models import Sequence
from followups.schedule import Hours
from leads.models import Lead

# A meeting to show reminders with: far enough ahead for all usual ones, at an hour at which people meet.
MEETING_IN = timedelta(days=3)
MEETING_HOUR = 15
# Past it WhatsApp's official API takes only approved templates.
FREE_TEXT_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Stop:
    """One thing on the timeline. `note`: why it is not when one would expect it; `number`: which step says it."""

    moment: datetime
    at: str
    title: str
    text: str = ""
    note: str = ""
    kind: str = "message"
    warning: str = ""
    number: int | None = None


def meeting_at(pipeline: document.Pipeline, *, now: datetime) -> datetime:
    """Return when the meeting is that all of a page speaks of."""
    there = (now + MEETING_IN).astimezone(ZoneInfo(pipeline.time_zone))
    return there.replace(hour=MEETING_HOUR, minute=0, second=0, microsecond=0)


def facts(
    pipeline: document.Pipeline, lead: Lead | None, *, at: datetime, meeting: datetime, is_reminder: bool
) -> Mapping[str, Any]:
    """Return what a text that leaves then may speak of: of a real lead, or of an example.

    A reminder speaks of the meeting that the timeline shows, whoever gets it; all else of the lead's own.
    """
    zone = ZoneInfo(pipeline.time_zone)
    shown = texts.meeting_told(meeting, at=at, clock=zone, locale=pipeline.locale, link=texts.SAMPLE["meeting"]["link"])
    if lead is None:
        return {**texts.SAMPLE, "meeting": shown}
    known = texts.facts_of(lead, at=at)
    return known | {"meeting": shown} if is_reminder else known


def of(
    pipeline: document.Pipeline, sequence: document.Sequence, *, now: datetime, lead: Lead | None = None
) -> list[Stop]:
    """Return the stops in order: our message (or today), the steps, then giving up or the meeting.

    lead: to whom the texts are said; without one, to an example.
    """
    zone = ZoneInfo(pipeline.time_zone)
    is_reminder = sequence.starts_on == Sequence.StartsOn.MEETING_SCHEDULED
    meeting = meeting_at(pipeline, now=now)

    def stop(moment: datetime, title: str, **more: Any) -> Stop:
        return Stop(moment, formats.date_format(moment.astimezone(zone), "D d/m H:i"), title, **more)

    stops = [stop(now, _("A meeting is booked") if is_reminder else _("Our message"), kind="start")]
    anchor, last_meant, reminded_at = now, now, None
    steps = list(enumerate(sequence.steps, start=1))
    if is_reminder:
        steps.sort(key=lambda entry: -(entry[1].before or timedelta()))
    for number, step in steps:
        hours = hours_of(pipeline).for_step(step.weekdays, is_reminder=is_reminder)
        due = (
            schedule.before(meeting, step.before, hours, pipeline.time_zone)
            if step.before is not None
            else schedule.after(anchor, step.delay or timedelta(), hours, pipeline.time_zone)
        )
        words, title = step.instruction or step.text, _("Message %(number)d") % {"number": number}
        text = texts.render(
            words, facts(pipeline, lead, at=due.at if due else anchor, meeting=meeting, is_reminder=is_reminder)
        )
        if due is None:
            note = _("the hours allow no moment at all")
            stops.append(stop(anchor, title, text=text, note=note, kind="never", number=number))
            break
        meant = meeting - step.before if step.before is not None else anchor + (step.delay or timedelta())
        why = schedule.left_out(
            meant,
            due.at,
            is_moved=due.at != meant,
            only_on_time=step.only_on_time,
            zone=pipeline.time_zone,
            covered_at=reminded_at,
            apart=meant - last_meant,
        )
        last_meant = meant
        if why:
            stops.append(stop(due.at, title, text=text, note=in_words(why), kind="never", number=number))
            continue
        late = due.at > now + FREE_TEXT_FOR and not step.template_id
        warnings = [_needs_template()] if late else []
        warnings += [leaves_a_hole(hole) for hole in texts.holes(words, has_meeting=is_reminder)]
        warning = " · ".join(warnings)
        stops.append(stop(due.at, title, text=text, note=_shifted(meant, due.at), warning=warning, number=number))
        reminded_at = due.at if is_reminder else None
        anchor = due.at
    if is_reminder:
        stops.append(stop(meeting, _("The meeting"), kind="end"))
    elif sequence.give_up_after and sequence.give_up_stage:
        names = {stage.key: stage.name for stage in pipeline.stages}
        title = _("Ended without an answer: %(stage)s") % {"stage": names.get(sequence.give_up_stage, "?")}
        note = _("after %(time)s of silence") % {"time": sentences.duration(sequence.give_up_after)}
        stops.append(stop(anchor + sequence.give_up_after, title, note=note, kind="end"))
    return stops


def hours_of(pipeline: document.Pipeline) -> Hours:
    quiet, kept = pipeline.quiet_hours, pipeline.holidays
    return Hours(
        quiet_from=quiet.quiet_from,
        quiet_to=quiet.quiet_to,
        weekdays=frozenset(quiet.sending_weekdays),
        country=kept.holidays_country if kept else "",
        subdivision=kept.holidays_subdivision if kept else "",
    )


def _shifted(meant: datetime, at: datetime) -> str:
    if at == meant:
        return ""
    words = sentences.duration(abs(at - meant))
    if at > meant:
        return _("postponed by %(time)s: outside the allowed hours") % {"time": words}
    return _("%(time)s earlier: it must come before the meeting") % {"time": words}


def _needs_template() -> str:
    return _("More than 24 h after the lead's message WhatsApp may ask for an approved template")


def leaves_a_hole(text: str) -> str:
    return _("To somebody of whom not everything is known it says: “%(text)s”") % {"text": text}
