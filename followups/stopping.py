"""Letting leads go: what ends an enrollment, by whom and why, with a line on the timeline of each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from common.reasons import Reason
from followups.models import Enrollment
from followups.who_may_be_written_to import UNANSWERED
from leads import address_owners
from leads.models import Event, Lead
from leads.order_of_messages import CLOCK_TOLERANCE


def live(lead: Lead) -> list[Enrollment]:
    """Return what the lead is on its way through: at most one enrollment per purpose."""
    return list(lead.enrollments.filter(state=Enrollment.State.WAITING).select_related("sequence", "version"))


def stop(lead: Lead, reason: str, *, now: datetime) -> None:
    """Cancel whatever the lead is on its way through."""
    cancel(live(lead), reason, now=now)


def stop_elsewhere(lead: Lead, reason: str, *, now: datetime) -> None:
    """Cancel what this person is on the way through in other pipelines."""
    if keys := lead.address_keys:
        theirs = Lead.objects.filter(address_owners.of_any(keys)).values("pk")
        others = Enrollment.objects.filter(lead__in=theirs, state=Enrollment.State.WAITING)
        cancel_unlocked(others.exclude(lead=lead).select_related("sequence"), reason, now=now)


def answered_elsewhere(enrollments: list[Enrollment], at: datetime, now: datetime) -> None:
    """End the silences of this person in other pipelines: it is one person, who has spoken to us."""
    silences = [row for row in enrollments if row.purpose == UNANSWERED and row.state == Enrollment.State.WAITING]
    answered = [row for row in silences if at + CLOCK_TOLERANCE >= row.anchor_at]
    cancel_unlocked(answered, Reason("answered_in_another_pipeline"), now=now)


def cancel_unlocked(enrollments: Iterable[Enrollment], reason: str, *, now: datetime) -> None:
    """Let leads go whose rows are not locked, unless they have been let go meanwhile.

    Two leads of one person, each waiting for the other's lock, would wait for ever. What is claimed at this moment is
    seen to have ended before it leaves.
    """
    for enrollment in enrollments:
        ended = Enrollment.objects.filter(pk=enrollment.pk, state=Enrollment.State.WAITING).update(
            state=Enrollment.State.CANCELLED,
            reason=reason[:500],
            ended_at=now,
            ended_by=Lead.Actor.BRIDGE,
            next_at=None,
            next_reason="",
            held=False,
        )
        if ended:
            Event.objects.bulk_create(
                [note(enrollment, Reason("stopped", a=enrollment.sequence, why=reason), now, outcome="cancelled")]
            )


def cancel(enrollments: list[Enrollment], reason: str, *, now: datetime, by: Lead.Actor = Lead.Actor.BRIDGE) -> None:
    """Let leads go for a stated reason, with a line on each one's timeline."""
    for enrollment in enrollments:
        end(enrollment, Enrollment.State.CANCELLED, reason, now=now, by=by)
    Event.objects.bulk_create(
        note(enrollment, Reason("stopped", a=enrollment.sequence, why=reason), now, actor=by, outcome="cancelled")
        for enrollment in enrollments
    )


def end(
    enrollment: Enrollment,
    state: Enrollment.State,
    reason: str,
    *,
    now: datetime,
    by: Lead.Actor = Lead.Actor.BRIDGE,
) -> None:
    enrollment.state, enrollment.reason, enrollment.ended_at, enrollment.ended_by = state, reason[:500], now, by
    enrollment.next_at, enrollment.next_reason, enrollment.held = None, "", False
    enrollment.save(update_fields=["state", "reason", "ended_at", "ended_by", "next_at", "next_reason", "held"])


def note(
    enrollment: Enrollment,
    reason: str,
    now: datetime,
    *,
    actor: Lead.Actor = Lead.Actor.BRIDGE,
    **data: object,
) -> Event:
    """Return a line for the lead's timeline; the caller stores it."""
    data = {"sequence": enrollment.sequence.slug, "step": enrollment.step, **data}
    return Event(
        lead_id=enrollment.lead_id, at=now, kind=Event.Kind.FOLLOW_UP, actor=actor, reason=reason[:500], data=data
    )
