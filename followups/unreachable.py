"""Which numbers does no message reach? Said by whoever sends, and no opt-out: the person has asked for nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from followups.models import Unreachable
from leads import optout
from leads.models import Event, Lead


def note(lead: Lead, reason: str, *, is_certain: bool, now: datetime) -> None:
    """Remember that nothing reaches the lead's number. Whether it is wrong or not wanted may not have been said."""
    Unreachable.objects.update_or_create(
        phone_key=lead.phone_key or "", defaults={"reason": reason[:500], "is_certain": is_certain, "since": now}
    )


def reasons(leads: Collection[Lead]) -> dict[UUID, str]:
    """Return why nothing reaches some of these leads. One query."""
    rows = Unreachable.objects.filter(phone_key__in={lead.phone_key for lead in leads if lead.phone_key})
    found = dict(rows.values_list("phone_key", "reason"))
    return {lead.pk: found[lead.phone_key] for lead in leads if lead.phone_key in found}


def heard_from(lead: Lead) -> bool:
    """Forget that a number was called invalid: somebody writes from it. What may have been a wish stays."""
    return bool(Unreachable.objects.filter(phone_key=lead.phone_key, is_certain=True).delete()[0])


def is_noted(lead: Lead) -> bool:
    return bool(lead.phone_key) and Unreachable.objects.filter(phone_key=lead.phone_key).exists()


@transaction.atomic
def lift(lead: Lead, *, who: str, now: datetime) -> bool:
    """Let the lead's number be written to again: the person says that it works, or wants to be; False when it may be.

    A person's word alone lifts what may have been a wish. Nothing that was stopped begins again by itself.
    """
    if not lead.phone_key or not Unreachable.objects.filter(phone_key=lead.phone_key).delete()[0]:
        return False
    reason = f"the number may be written to again: lifted by {who}"
    for row in Lead.objects.filter(phone_key=lead.phone_key, erased_at=None):
        row.events.create(at=now, kind=Event.Kind.FOLLOW_UP, actor=Lead.Actor.STAFF, reason=reason[:500], data={})
    return True


def forget(lead: Lead, *, now: datetime) -> None:
    """Keep of an erased person's number nothing but the wish that may have been behind it."""
    rows = Unreachable.objects.filter(phone_key=lead.phone_key)
    if rows.filter(is_certain=False).exists():
        optout.keep(lead, by=Lead.Actor.AGENT, reason="", at=now)
    rows.delete()
