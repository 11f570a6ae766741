"""Which numbers does no message reach? Said by whoever sends, and no opt-out: the person has asked for nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from common.reasons import Reason, about
from followups.models import Unreachable
from leads import address_owners, optout
from leads.models import Event, FurtherAddress, Lead


def note(lead: Lead, reason: str, *, is_certain: bool, now: datetime) -> None:
    """Remember that nothing reaches the lead's number. Whether it is wrong or not wanted may not have been said."""
    Unreachable.objects.update_or_create(
        phone_key=lead.phone_key or "", defaults={"reason": reason[:500], "is_certain": is_certain, "since": now}
    )


def reasons(leads: Collection[Lead]) -> dict[UUID, str]:
    """Return why nothing reaches some of these leads, by whichever of their addresses that was said. Two queries."""
    rows = list(leads)
    owners: dict[str, list[UUID]] = {}
    for lead in rows:
        if lead.phone_key:
            owners.setdefault(lead.phone_key, []).append(lead.pk)
    further = FurtherAddress.objects.filter(lead__in=[lead.pk for lead in rows])
    for pk, key in further.values_list("lead_id", "key"):
        owners.setdefault(key, []).append(pk)
    found = Unreachable.objects.filter(phone_key__in=owners).values_list("phone_key", "reason")
    return {pk: reason for key, reason in found for pk in owners[key]}


def heard_from(lead: Lead) -> bool:
    """Forget that a number was called invalid: its person writes to us. What may have been a wish stays."""
    return bool(_of(lead).filter(is_certain=True).delete()[0])


def is_noted(lead: Lead) -> bool:
    return _of(lead).exists()


@transaction.atomic
def lift(lead: Lead, *, who: str, now: datetime) -> bool:
    """Let the lead's number be written to again: the person says that it works, or wants to be; False when it may be.

    A person's word alone lifts what may have been a wish. Nothing that was stopped begins again by itself.
    """
    if not _of(lead).delete()[0]:
        return False
    reason = about(Reason("number_may_be_written_to_again"), Reason("lifted_by", a=who))
    for row in Lead.objects.filter(address_owners.of_any(lead.address_keys), erased_at=None):
        row.events.create(at=now, kind=Event.Kind.FOLLOW_UP, actor=Lead.Actor.STAFF, reason=reason[:500], data={})
    return True


def forget(lead: Lead, *, now: datetime) -> None:
    """Keep of an erased person's number nothing but the wish that may have been behind it."""
    rows = _of(lead)
    if rows.filter(is_certain=False).exists():
        optout.keep(lead, by=Lead.Actor.AGENT, reason="", at=now)
    rows.delete()


def _of(lead: Lead) -> QuerySet[Unreachable]:
    return Unreachable.objects.filter(phone_key__in=lead.address_keys)
