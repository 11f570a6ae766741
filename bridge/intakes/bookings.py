"""Whose meeting is it, and what became of it: bookings that a calendar tells by itself.

The lead is found by the mark that their booking link carried, then by a booking that is known already, then by phone,
then by e-mail. Who books and is nobody's lead yet becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from bridge.intakes import person_of_call
from bridge.intakes.source_news import Address, Booking
from bridge.models import Intake, IntakeItem
from leads import address_owners
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
    lead = find(booking, pipeline)
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


def find(booking: Booking, pipeline: Pipeline) -> Lead | None:
    """Return whose booking it is; of several leads with the address, one of the pipeline's, the newest spoken to."""
    return (
        _marked(booking.mark)
        or _with_booking(booking)
        or _by_phone(booking.phones, pipeline)
        or _by_email(booking.emails, pipeline)
    )


def _marked(mark: str) -> Lead | None:
    try:
        pk = UUID(mark)
    except ValueError:
        return None
    # A link may have been given out before its lead became one with another.
    return _living().filter(Q(pk=pk) | Q(joined__former_id=pk)).first()


def _with_booking(booking: Booking) -> Lead | None:
    ids = [booking_id for booking_id in (booking.id, booking.replaces) if booking_id]
    found = list(_living().filter(meetings__meeting_id__in=ids).distinct()[:2])
    return found[0] if len(found) == 1 else None


def _by_phone(phones: Iterable[str], pipeline: Pipeline) -> Lead | None:
    keys = [
        address.key for address in person_of_call.addresses_of((Address("phone", phone) for phone in phones), pipeline)
    ]
    return _nearest(_living().filter(address_owners.of_any(keys)), pipeline) if keys else None


def _by_email(emails: Iterable[str], pipeline: Pipeline) -> Lead | None:
    for email in emails:
        theirs = Q(email__iexact=email)
        for address in person_of_call.addresses_of([Address("email", email)], pipeline):
            theirs |= address_owners.of_any([address.key])
        if found := _nearest(_living().filter(theirs), pipeline):
            return found
    return None


def _living() -> QuerySet[Lead]:
    return Lead.objects.filter(erased_at=None).select_related("pipeline")


def _nearest(leads: QuerySet[Lead], pipeline: Pipeline) -> Lead | None:
    rows = list(leads.order_by("-updated_at", "-pk")[:50])
    return next((lead for lead in rows if lead.pipeline_id == pipeline.pk), rows[0] if rows else None)
