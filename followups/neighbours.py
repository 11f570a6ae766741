"""What other pipelines say to the same phone: two follow-ups to one person keep a distance.

Only other pipelines count. Within one, the delays of its sequences are the distance, as staff have chosen it; and a
reminder, which is bound to its meeting, waits for nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Q

from followups.models import Attempt, Enrollment
from leads.models import Lead

REASON = "another pipeline has just written to this number"
# Somebody else is at another lead of the person at this very moment.
LOOK_AGAIN_AFTER = timedelta(seconds=5)


class Neighbours:
    """When each phone that several leads share was last written to, and by which of them."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._last: dict[str, dict[UUID, datetime]] = defaultdict(dict)
        self._busy: set[str] = set()

    def until(self, one: Enrollment) -> datetime | None:
        """Return when the lead's next message may leave for the sake of the others; None when now."""
        key = one.lead.phone_key or ""
        if key in self._busy:
            return self._now + LOOK_AGAIN_AFTER
        others = [at for lead_id, at in self._last.get(key, {}).items() if lead_id != one.lead_id]
        until = max(others, default=self._now) + (one.lead.pipeline.followup_distance or timedelta(0))
        return until if others and until > self._now else None

    def took(self, lead: Lead) -> None:
        """Remember that a message to this lead is on its way."""
        self._last[lead.phone_key or ""][lead.pk] = self._now


def of(leads: Sequence[Lead], now: datetime) -> Neighbours:
    """Return what was last said to the phones of these leads, which are locked. One query where no phone is shared.

    The other leads of a shared phone are locked too, so that of two processes one sees what the other does.
    """
    found = Neighbours(now)
    ours = {lead.pk: lead.phone_key for lead in leads if lead.phone_key}
    others = dict(Lead.objects.filter(phone_key__in=set(ours.values())).values_list("pk", "phone_key")) if ours else {}
    keys = list(others.values())
    shared = {pk: key for pk, key in others.items() if keys.count(key) > 1}
    if not shared:
        return found
    strangers = {pk: key for pk, key in shared.items() if pk not in ours}
    locked = Lead.objects.filter(pk__in=strangers).select_for_update(skip_locked=True, no_key=True)
    free = set(locked.values_list("pk", flat=True))
    found._busy = {str(key) for pk, key in strangers.items() if pk not in free}
    on_its_way = Q(state=Attempt.State.SENDING, retry_at__isnull=False) | Q(state=Attempt.State.HANDED_OVER)
    heard = Attempt.objects.filter(Q(state__in=Attempt.MAY_HAVE_ARRIVED) | on_its_way, enrollment__lead__in=shared)
    rows = heard.values_list("enrollment__lead", "state").annotate(at=Max("ended_at"))
    for lead_id, state, at in rows:
        last = found._last[str(shared[lead_id])]
        ended_at = now if state in (Attempt.State.SENDING, Attempt.State.HANDED_OVER) else at
        last[lead_id] = max(ended_at, last.get(lead_id, ended_at))
    return found
