"""Leads that need a person whom nobody has taken over: told to the seller once a day, until somebody answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q

from bridge.models import Briefing, Card
from common.reasons.columns import either
from leads.farewells import MAY_ASK_TO_STOP
from leads.models import Lead

ONE_CALL_IN = timedelta(days=1)
CALLS_LAST = timedelta(days=7)


def call(lead: Lead, reason: str, *, now: datetime) -> int | None:
    """Have the seller told that this lead needs a person, once a day; return the account to nudge, if any.

    What a lead says from a stage that no rule leads out of would stand on a timeline that nobody opens. Who may have
    asked for no more messages is told of whatever else was that day.
    """
    card = Card.objects.filter(lead=lead).exclude(state__in=[Card.State.GONE, Card.State.CLOSED]).first()
    briefings = Briefing.objects.filter(card=card, since__gt=now - ONE_CALL_IN, asks_result=False)
    if reason == MAY_ASK_TO_STOP:
        briefings = briefings.filter(call__in=either(reason))
    if card is None or briefings.exists():
        return None
    pipeline = lead.pipeline
    is_told = bool(pipeline.handoff_note or pipeline.handoff_task)
    row = Briefing(card=card, since=now, call=reason[:500], due_at=now if is_told else None)
    Briefing.objects.bulk_create([row], ignore_conflicts=True)
    return card.account_id if is_told else None


def open_calls(*, now: datetime) -> models.QuerySet[Briefing]:
    """Return the calls nobody has answered: no person wrote since, moved the card or has the lead; newest first.

    Of those who may have asked for no more messages it may also be said, either way, whether they did.
    """
    rows = Briefing.objects.exclude(call="").filter(
        since__gt=now - CALLS_LAST, card__lead__erased_at=None, resolved_at=None
    )
    rows = rows.exclude(call=MAY_ASK_TO_STOP, card__lead__opted_out_at__isnull=False)
    lead = "card__lead__"
    answered = Q(**{f"{lead}last_staff_at__gt": F("since")}) | ~Q(**{f"{lead}handoff_source": ""})
    moved = Q(**{f"{lead}stage_set_by": Lead.Actor.STAFF, f"{lead}stage_set_at__gt": F("since")})
    return rows.exclude(answered | moved).order_by("-since")


def dismiss(lead: Lead, *, now: datetime) -> bool:
    """Keep that a lead who may have asked for no more messages did not; False when nobody had asked whether."""
    asked = Briefing.objects.filter(card__lead=lead, call=MAY_ASK_TO_STOP, resolved_at=None)
    return bool(asked.update(resolved_at=now))
