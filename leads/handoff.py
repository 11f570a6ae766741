"""Pausing and resuming the agent: the one place where responsibility passes to a person and back.

The state lives on the Lead row, so "may I reply?" needs no cache and survives every restart.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from common.reasons import Reason
from leads import announcements
from leads.models import Event, Lead, Stage

HANDOFF_FIELDS = ("handoff_source", "handoff_since", "handoff_reason", "handoff_until", "resumed_at", "updated_at")
TURNS = ("quick_turns", "turns")


@transaction.atomic
def pause(
    lead: Lead,
    *,
    source: Lead.HandoffSource,
    by: Lead.Actor,
    reason: str,
    now: datetime,
    tells_staff: bool = True,
    was_only_silent: bool = False,
    found: bool = False,
    user: str = "",
) -> bool:
    """Silence the agent for this lead; False when it is silent already, and then since, source and reason stay.

    With `handoff_max` on the pipeline the handoff ends by itself after that time (leads/agent_or_person.py), unless a
    stage is what silences the agent: that lasts as long as the card stands there. `tells_staff`: somebody is to speak
    in its place, and hears of it. `was_only_silent`: until this moment nobody was, so that this is a handoff although
    the agent was silent. `found`: a person has had the lead all along, and nobody is called. `user`: who it was, by
    their name here.
    """
    lead = _locked(lead)
    begins = not lead.in_handoff or (tells_staff and (was_only_silent or not lead.is_with_people))
    if not begins or lead.erased_at:
        return False
    lead.handoff_source, lead.handoff_since, lead.handoff_reason = source, now, reason[:500]
    longest = None if source == Lead.HandoffSource.STAGE else lead.pipeline.handoff_max
    lead.handoff_until = now + longest if longest else None
    lead.updated_at = now
    lead.save(update_fields=HANDOFF_FIELDS)
    data = {"source": source} | ({"user": user} if user else {})
    lead.events.create(at=now, kind=Event.Kind.HANDOFF, actor=by, reason=reason[:500], data=data)
    announcements.handoff_changed.send(
        Lead, lead=lead, paused=True, tells_staff=tells_staff and not found, reason=reason, now=now, found=found
    )
    return True


@transaction.atomic
def resume(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime) -> bool:
    """Give the lead back to the agent; False when it has it already."""
    lead = _locked(lead)
    if not lead.in_handoff:
        return False
    since = lead.handoff_since
    lead.handoff_source, lead.handoff_since, lead.handoff_reason, lead.handoff_until = "", None, "", None
    lead.resumed_at = lead.updated_at = now
    # Whoever gives it back has had a look.
    lead.quick_turns = lead.turns = 0
    lead.save(update_fields=[*HANDOFF_FIELDS, *TURNS])
    data = {"since": since.isoformat() if since else None}
    lead.events.create(at=now, kind=Event.Kind.RESUMED, actor=by, reason=reason[:500], data=data)
    announcements.handoff_changed.send(
        Lead, lead=lead, paused=False, tells_staff=False, reason=reason, now=now, found=False
    )
    return True


def follow_stage(
    lead: Lead,
    *,
    by: Lead.Actor,
    now: datetime,
    previous: Stage | None = None,
    tells_staff: bool = True,
    found: bool = False,
) -> None:
    """Let a person have a lead exactly while it stands in a stage that pauses the agent, however it came there.

    Every road that sets a lead's stage asks here: a move, a decision, a card that was found, a rule that was changed.
    `previous` is where the lead stood before, if that is known: one who was handed to a person in another way, and was
    taken care of there, is given back as well when the card leaves that stage.
    """
    stage = lead.stage
    if stage and stage.pauses_agent:
        reason = Reason("card_stands_in", a=stage.name)
        source = Lead.HandoffSource.STAGE
        pause(
            lead,
            source=source,
            by=by,
            reason=reason,
            now=now,
            tells_staff=tells_staff and stage.tells_staff,
            was_only_silent=bool(previous and previous.is_only_silent and lead.handoff_source == source),
            found=found,
        )
    elif previous and previous.pauses_agent and previous != stage:
        resume(lead, by=by, reason=Reason("card_left", a=previous.name), now=now)
    elif lead.handoff_source == Lead.HandoffSource.STAGE:
        where = stage.name if stage else lead.other_stage_name
        resume(lead, by=by, reason=Reason("card_stands_where_agent_goes_on", a=where), now=now)


def follow_rule(stage: Stage, *, now: datetime) -> int:
    """Let the leads in a stage follow what was just decided of it, to pause the agent or not; return how many did."""
    leads = Lead.objects.filter(stage=stage, erased_at=None)
    if stage.pauses_agent:
        leads = leads.filter(handoff_source="")
    else:
        leads = leads.filter(handoff_source=Lead.HandoffSource.STAGE)
    count = 0
    for lead in leads.select_related("pipeline", "stage").iterator(chunk_size=500):
        follow_stage(lead, by=Lead.Actor.BRIDGE, now=now, found=True)
        count += 1
    return count


def with_people(leads: QuerySet[Lead] | None = None) -> QuerySet[Lead]:
    """Return those of some leads, or of all, that a person is to speak with; not those that only stand silent."""
    only_silent = {"handoff_source": Lead.HandoffSource.STAGE, "stage__tells_staff": False}
    of = Lead.objects.all() if leads is None else leads
    return of.exclude(handoff_source="").exclude(**only_silent)


def expired(now: datetime) -> QuerySet[Lead]:
    """Return the leads whose longest handoff is over, the longest ago first.

    Where a card stands in a stage that pauses the agent, somebody wants it so for as long as it stands there. Only
    where nobody but we had put it there, because the agent asked for a person, has nobody come.
    """
    silent = Q(stage__pauses_agent=True)
    ours = Q(handoff_source=Lead.HandoffSource.API) & ~Q(stage_set_by__in=(Lead.Actor.STAFF, Lead.Actor.KOMMO))
    over = Lead.objects.filter(handoff_until__lte=now).exclude(handoff_source="")
    return over.exclude(silent & ~ours).order_by("handoff_until")


def _locked(lead: Lead) -> Lead:
    """Read the lead again under a lock and give the caller's instance the same state."""
    Lead.objects.select_for_update(no_key=True).filter(pk=lead.pk).first()
    lead.refresh_from_db(fields=[*(name for name in HANDOFF_FIELDS if name != "updated_at"), "erased_at"])
    return lead
