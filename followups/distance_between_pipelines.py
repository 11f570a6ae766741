"""What other pipelines say to the same person, by whichever address: two follow-ups to one person keep a distance.

Only other pipelines count. Within one, the delays of its sequences are the distance, as staff have chosen it; and a
reminder, which is bound to its meeting, waits for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Q

from common.reasons import Reason
from followups.models import Attempt, Enrollment
from leads import address_owners
from leads.models import Lead

REASON = Reason("another_pipeline_wrote")
# Somebody else is at another lead of the person at this very moment.
LOOK_AGAIN_AFTER = timedelta(seconds=5)


class Neighbours:
    """When each person whom several leads are was last written to, and by which of them."""

    def __init__(self, now: datetime, people: Mapping[UUID, frozenset[UUID]]) -> None:
        self._now, self._people = now, people
        self._last: dict[UUID, datetime] = {}
        self._busy: set[UUID] = set()

    def until(self, enrollment: Enrollment) -> datetime | None:
        """Return when the lead's next message may leave for the sake of the others; None when now."""
        others = self._people.get(enrollment.lead_id, frozenset()) - {enrollment.lead_id}
        if self._busy & others:
            return self._now + LOOK_AGAIN_AFTER
        last_times = [self._last[pk] for pk in others if pk in self._last]
        until = max(last_times, default=self._now) + (enrollment.lead.pipeline.followup_distance or timedelta(0))
        return until if last_times and until > self._now else None

    def took(self, lead: Lead) -> None:
        """Remember that a message to this lead is on its way."""
        self._last[lead.pk] = self._now


def of(leads: Sequence[Lead], now: datetime) -> Neighbours:
    """Return what was last said to the people of these leads, which are locked. Two queries where no person is several.

    The other leads of a person are locked too, so that of two processes one sees what the other does.
    """
    people = address_owners.of_same_people(leads) if leads else {}
    found = Neighbours(now, people)
    shared = {pk for group in people.values() if len(group) > 1 for pk in group}
    if not shared:
        return found
    strangers = shared - {lead.pk for lead in leads}
    locked = Lead.objects.filter(pk__in=strangers).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    found._busy = strangers - set(locked.values_list("pk", flat=True))
    on_its_way = Q(state=Attempt.State.SENDING, retry_at__isnull=False) | Q(state=Attempt.State.HANDED_OVER)
    heard = Attempt.objects.filter(Q(state__in=Attempt.MAY_HAVE_ARRIVED) | on_its_way, enrollment__lead__in=shared)
    for lead_id, state, at in heard.values_list("enrollment__lead", "state").annotate(at=Max("ended_at")):
        ended_at = now if state in (Attempt.State.SENDING, Attempt.State.HANDED_OVER) else at
        found._last[lead_id] = max(ended_at, found._last.get(lead_id, ended_at))
    return found
