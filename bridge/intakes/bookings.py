"""Whose meeting is it, and what became of it: bookings that a calendar tells by itself.

The lead is found by the mark that their booking link carried, then by a booking that is known already, then by phone,
then by e-mail. Who books and is nobody's lead yet becomes one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from bridge.intakes import person_of_call, whose_booking
from bridge.intakes.source_news import Booking
from bridge.models import Intake, IntakeItem
from leads.erasure import ForgottenError
from leads.interaction_values import Interaction
from leads.interaction_values import Meeting as Told
from leads.interactions import record
from leads.models import Lead, Meeting, Pipeline

Result = IntakeItem.Result
BOOKED = ("scheduled", "rescheduled")
NOBODY = "neither mark, phone nor e-mail is anybody's"
NO_PIPELINE = "there is no pipeline: choose one for this way in"
# So long the other half of a move, or the booking itself, may still come.
MAY_STILL_COME = timedelta(minutes=1)


class NotYetError(Exception):
    """What this is about may still come."""


def take(
    booking: Booking, intake: Intake, *, received_at: datetime, now: datetime
) -> tuple[IntakeItem.Result, str, Lead | None]:
    """Act on news of a booking; return what became of it, and whose it is. Raises NotYetError."""
    pipeline = person_of_call.pipeline_of(intake)
    if pipeline is None:
        return Result.NOT_FOUND, NO_PIPELINE, None
    lead = whose_booking.find(booking, pipeline)
    is_new = now < received_at + MAY_STILL_COME
    if lead is None and booking.status not in BOOKED:
        if is_new:
            raise NotYetError("the booking it is about is not known yet")
        return Result.NOT_FOUND, NOBODY, None
    known = Meeting.objects.filter(lead=lead, meeting_id=booking.id).first() if lead else None
    if booking.is_moved_away:
        if known is not None and not known.is_booked:
            return Result.KNOWN, "", lead
        if is_new:
            raise NotYetError("where it was moved to is not known yet")
    if booking.is_taken_back and (known is None or known.status != Lead.MeetingStatus.NO_SHOW):
        return Result.KNOWN, "", lead
    status = booking.status
    if booking.is_taken_back and known is not None:
        # They came, unless it is yet to be.
        is_over = known.starts_at is not None and known.starts_at <= now
        status = "completed" if is_over else "scheduled"
    at = min(booking.at or received_at, now)
    meeting = Told(
        status=status, id=booking.id, starts_at=booking.starts_at, link=booking.link, replaces=booking.replaces
    )
    interaction = person_of_call.speak_of(
        lead,
        booking,
        pipeline,
        occurred_at=at,
        context={"meeting": meeting},
        hints={
            key: value
            for key, value in (("name", booking.name), ("email", next(iter(booking.emails), "")))
            if value and status in BOOKED
        },
        actor=Lead.Actor.LEAD,
        via=intake.slug,
    )
    if interaction is None:
        return Result.NOT_FOUND, NOBODY, None
    return _record(interaction, lead.pipeline if lead else pipeline, now)


def _record(interaction: Interaction, pipeline: Pipeline, now: datetime) -> tuple[IntakeItem.Result, str, Lead | None]:
    try:
        with transaction.atomic():
            recorded = record(interaction, pipeline=Pipeline.objects.get(pk=pipeline.pk), now=now)
    except ForgottenError:
        return Result.FORGOTTEN, "", None
    reason = recorded.changes.ignored.get("meeting", "")
    changed = recorded.created or bool(recorded.changes.timeline)
    return Result.TAKEN if changed else Result.KNOWN, reason, recorded.lead
