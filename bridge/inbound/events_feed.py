"""What the events feed tells of others at work in the account: merges, and robots that answer people as our agent does.

Looked at with each poll. A merge (`entity_merged`) names the lead that stays; what else it tells is shown nowhere, so
the cards that may have lived in the other are looked for, and follow by their proof. Of robots `robots` tells.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from bridge.accounts.refusals import aside
from bridge.errors import KommoNotFoundError
from bridge.inbound import missing_leads, other_bots_answer
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import EventReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card

MERGED = "entity_merged"
MOST_EVENTS = 500
# The feed is behind by some seconds, and a poll may have been missed.
LOOK_BACK = timedelta(minutes=15)


def look(account: Account, client: KommoClient, *, now: datetime) -> None:
    """Read the newest events of these kinds and act on them. Raises KommoError for what passes by itself."""

    def ask() -> list[EventReply]:
        return client.events(types=[MERGED, *other_bots_answer.EVENTS], since=now - LOOK_BACK, most=MOST_EVENTS)

    events = aside(account, client, Purpose.EVENTS, ask, now=now) or []
    leads = [event for event in events if event.entity_type == "lead"]
    for lead_id in sorted({event.entity_id for event in leads if event.type == MERGED}):
        _follow(account, client, lead_id, now)
    other_bots_answer.look(account, events, now=now)


def _follow(account: Account, client: KommoClient, lead_id: int, now: datetime) -> None:
    """Look for the cards that may live on in this lead: those it carries the id of, and those of its contacts."""
    try:
        reply = client.lead(lead_id, lane=Lane.BULK)
    except KommoNotFoundError:
        reply = None
    if reply is None or reply.is_deleted:
        # Which of the two the event names is shown nowhere: here it is the one that is gone.
        lost = Card.objects.filter(account=account, kommo_lead_id=lead_id)
        missing_leads.miss(lost, reason="a lead was merged in Kommo", now=now)
        return
    ours = reply.field_value(account.bridge_id_field_id) if account.bridge_id_field_id else None
    which = Q(kommo_contact_id__in=reply.contact_ids) | Q(own_contact_id__in=reply.contact_ids)
    if ours and len(str(ours)) == 36:
        which |= Q(lead_id=str(ours))
    cards = Card.objects.filter(which, account=account, kommo_lead_id__isnull=False).exclude(kommo_lead_id=lead_id)
    missing_leads.miss(cards, reason="a lead was merged in Kommo", now=now)
