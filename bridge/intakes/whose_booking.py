"""Whose is what a calendar tells of? Its mark, then a booking that is known, then the phone, then the e-mail."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from bridge.intakes import person_of_call
from bridge.intakes.source_news import Address, Booking
from leads import address_owners
from leads.models import Lead, Pipeline


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
