"""Of the leads that a person is to speak with: who waits for one, and who is being served?

A person has a lead in hand once somebody wrote to it, paused the agent or moved the card themselves. Whatever the lead
writes after that waits for an answer; and whom the agent handed over waits from that moment on.
"""

from __future__ import annotations

from django.db.models import BooleanField, Case, DateTimeField, F, Q, QuerySet, When

from leads import handoff
from leads.models import Lead

Source = Lead.HandoffSource
TAKEN_BY_SOMEBODY = Q(handoff_source__in=(Source.ADMIN, Source.CHAT, Source.OTHER_CARD)) | Q(
    handoff_source=Source.STAGE, stage_set_by__in=(Lead.Actor.STAFF, Lead.Actor.KOMMO)
)
WRITTEN_TO_SINCE = Q(last_staff_at__gte=F("handoff_since"))
IN_HAND = TAKEN_BY_SOMEBODY | WRITTEN_TO_SINCE
NOTHING_NEW = (
    Q(last_inbound_at=None)
    | Q(last_staff_at__gte=F("last_inbound_at"))
    | (TAKEN_BY_SOMEBODY & Q(last_inbound_at__lte=F("handoff_since")))
)


def with_people(leads: QuerySet[Lead] | None = None) -> QuerySet[Lead]:
    """Return those of some leads, or of all, that people have: with `is_served`, and `waits_since` for the others."""
    since = Case(When(IN_HAND, then=F("last_inbound_at")), default=F("handoff_since"), output_field=DateTimeField())
    served = Case(When(IN_HAND & NOTHING_NEW, then=True), default=False, output_field=BooleanField())
    return handoff.with_people(leads).annotate(is_served=served, waits_since=since)
