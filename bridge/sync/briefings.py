"""A note and a task for the seller who takes a lead over, each once per handoff.

Neither call is idempotent in Kommo. So both texts end with a mark of the handoff, and once a call may have been applied
without our hearing of it, later tries look for the mark first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from babel.numbers import format_currency
from django.utils import translation
from django.utils.translation import gettext as _

from bridge.errors import KommoError, KommoNotFoundError
from bridge.kommo.client import KommoClient
from bridge.models import Account, Briefing, Card, Delivery
from leads.models import Event, Lead

log = structlog.get_logger(__name__)

RETRY_AFTER = timedelta(seconds=30)
GIVEN_UP_AFTER = timedelta(days=1)
BATCH = 10
LAST_MESSAGES = 5
LONGEST_QUOTE = 200
TASK_TYPE_FOLLOW_UP = 1


def brief(lead: Lead, *, now: datetime) -> int | None:
    """Have the seller told of a handoff that has just begun; return the account to nudge, if any."""
    pipeline = lead.pipeline
    card = Card.objects.filter(lead=lead).exclude(state__in=[Card.State.GONE, Card.State.CLOSED]).first()
    if card is None or lead.handoff_since is None or not (pipeline.handoff_note or pipeline.handoff_task):
        return None
    Briefing.objects.bulk_create([Briefing(card=card, since=lead.handoff_since, due_at=now)], ignore_conflicts=True)
    return card.account_id


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Write a few due notes and tasks; True when more may be due."""
    if account.state != Account.State.ACTIVE:
        return False
    due = Briefing.objects.filter(card__account=account, card__kommo_lead_id__isnull=False, due_at__lte=now)
    rows = list(due.select_related("card__lead__pipeline", "card__lead__stage").order_by("due_at")[:BATCH])
    for row in rows:
        try:
            _deliver(row, client, now)
        except KommoNotFoundError as error:
            _put_down(row, str(error))
        except KommoError as error:
            row.error = str(error)[:500]
            row.due_at = now + max(RETRY_AFTER, error.retry_after or timedelta(0))
            if not error.retryable or now - row.since > GIVEN_UP_AFTER:
                row.due_at = None
            row.save(update_fields=["error", "due_at"])
            return False
    return len(rows) == BATCH


def _deliver(row: Briefing, client: KommoClient, now: datetime) -> None:
    card, lead = row.card, row.card.lead
    if lead.handoff_since != row.since:
        _put_down(row, "the handoff ended before")
        return
    assert card.kommo_lead_id is not None
    again, row.tried = row.tried, True
    row.save(update_fields=["tried"])
    pipeline, mark = lead.pipeline, mark_of(row.since)
    with translation.override(pipeline.locale.replace("_", "-").lower()):
        if pipeline.handoff_note and row.note_id is None:
            found = _find(client.notes(card.kommo_lead_id), mark) if again else None
            row.note_id = found or _write_note(row, client, f"{summary(lead)}\n\n{mark}", now)
            row.save(update_fields=["note_id"])
        if pipeline.handoff_task and row.task_id is None:
            found = _find(client.tasks(card.kommo_lead_id), mark) if again else None
            row.task_id = found or _write_task(row, client, f"{pipeline.handoff_task} {mark}", now)
            row.save(update_fields=["task_id"])
    _put_down(row, "")


def _put_down(row: Briefing, error: str) -> None:
    row.due_at, row.error = None, error[:500]
    row.save(update_fields=["due_at", "error"])


def mark_of(since: datetime) -> str:
    """Return the mark by which a handoff's note and task are found again."""
    return f"[#{int(since.timestamp()):x}]"


def _find(entries: Iterable[Any], mark: str) -> int | None:
    return next((int(entry.id) for entry in entries if mark in entry.text), None)


def _write_note(row: Briefing, client: KommoClient, text: str, now: datetime) -> int | None:
    note = {"entity_id": row.card.kommo_lead_id, "note_type": "common", "params": {"text": text}}
    written = client.create_notes([note])
    _record(row, Delivery.Operation.NOTE, note, now)
    return written[0].id if written else None


def _write_task(row: Briefing, client: KommoClient, text: str, now: datetime) -> int | None:
    task: dict[str, Any] = {
        "entity_id": row.card.kommo_lead_id,
        "entity_type": "leads",
        "task_type_id": TASK_TYPE_FOLLOW_UP,
        "text": text,
        "complete_till": int((now + row.card.lead.pipeline.handoff_task_within).timestamp()),
    }
    if responsible := _responsible(row.card, client):
        task["responsible_user_id"] = responsible
    written = client.create_tasks([task])
    _record(row, Delivery.Operation.TASK, task, now)
    return written[0].id if written else None


def _responsible(card: Card, client: KommoClient) -> int | None:
    """Return whose lead it is: a card that was never read since its creation does not know, and Kommo would take us."""
    if "responsible_user_id" in card.observed:
        return card.observed["responsible_user_id"] or None
    assert card.kommo_lead_id is not None
    return client.lead(card.kommo_lead_id).responsible_user_id


def _record(row: Briefing, operation: Delivery.Operation, sent: dict[str, Any], now: datetime) -> None:
    card = row.card
    Delivery.objects.create(
        account_id=card.account_id,
        card=card,
        at=now,
        operation=operation,
        outcome=Delivery.Outcome.DELIVERED,
        sent=sent,
    )
    Event.objects.create(
        lead_id=card.lead_id,
        at=now,
        kind=Event.Kind.DELIVERY,
        actor=Lead.Actor.BRIDGE,
        reason=f"{operation.value} for the seller at the handoff",
        data={"operation": operation.value, "outcome": "delivered"},
    )


def summary(lead: Lead) -> str:
    """Return what the seller should know of a lead, in the language that is active: only what is known."""
    lines = [_("Handed over: %(reason)s") % {"reason": lead.handoff_reason or lead.handoff_source}]
    known = {
        _("Name"): lead.name,
        _("Interested in"): lead.chosen_flow,
        _("Bill"): _money(lead),
        _("Score"): f"{lead.qualification_score.normalize():f}" if lead.qualification_score is not None else "",
        _("Objections"): ", ".join(objection.name for objection in lead.objections.all()),
        _("Meeting"): _meeting(lead),
        _("Stage"): lead.stage.name if lead.stage else lead.other_stage_name,
    }
    lines += [f"{label}: {value}" for label, value in known.items() if value]
    if said := _last_messages(lead):
        lines += ["", _("Last messages:"), *said]
    return "\n".join(lines)


def _money(lead: Lead) -> str:
    if lead.bill_value is None:
        return ""
    # The pipeline says how amounts are written, and with it whose money it is.
    currency = {"BR": "BRL", "PT": "EUR", "US": "USD"}.get(lead.pipeline.phone_region, "BRL")
    return format_currency(lead.bill_value, currency, locale=lead.pipeline.locale)


def _meeting(lead: Lead) -> str:
    if not (lead.has_standing_meeting and lead.meeting_starts_at):
        return ""
    return f"{lead.meeting_starts_at.astimezone(ZoneInfo(lead.pipeline.time_zone)):%d/%m/%Y %H:%M}"


def _last_messages(lead: Lead) -> list[str]:
    told = lead.events.filter(kind=Event.Kind.INTERACTION, data__has_key="message").order_by("-at", "-id")
    messages = [event.data["message"] for event in told[:LAST_MESSAGES]]
    who = {"inbound": _("Lead"), "outbound": _("Agent"), "staff": _("Team")}
    return [
        f"{who.get(message['direction'], '?')}: {message['text'][:LONGEST_QUOTE]}"
        for message in reversed(messages)
        if message.get("text")
    ]
