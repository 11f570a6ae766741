"""A person who wants no more follow-ups gets none, ever."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from leads import announcements
from leads.models import Event, Lead


@transaction.atomic
def opt_out(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime) -> bool:
    """Stop every follow-up of this person in every pipeline; False when they had opted out already."""
    same_person = Lead.objects.filter(phone_key=lead.phone_key) if lead.phone_key else Lead.objects.filter(pk=lead.pk)
    rows = list(same_person.select_for_update().filter(opted_out_at=None))
    for row in rows:
        row.opted_out_at = row.updated_at = now
        row.save(update_fields=["opted_out_at", "updated_at"])
        row.events.create(at=now, kind=Event.Kind.OPTED_OUT, actor=by, reason=reason[:500])
        announcements.opted_out.send(Lead, lead=row, now=now)
    return bool(rows)


@transaction.atomic
def take_back(lead: Lead, *, reason: str, now: datetime) -> bool:
    """Let a person of whom it was a mistake, or who asks for it, be written to again; False when nothing is to undo.

    Only staff do so, and nothing that was stopped begins again by itself. A person who was erased stays opted out.
    """
    same_person = Lead.objects.filter(phone_key=lead.phone_key) if lead.phone_key else Lead.objects.filter(pk=lead.pk)
    rows = list(same_person.select_for_update().filter(opted_out_at__isnull=False, erased_at=None))
    for row in rows:
        row.opted_out_at, row.updated_at = None, now
        row.save(update_fields=["opted_out_at", "updated_at"])
        row.events.create(
            at=now, kind=Event.Kind.FOLLOW_UP, actor=Lead.Actor.STAFF, reason=f"opt-out {reason}"[:500], data={}
        )
    return bool(rows)
