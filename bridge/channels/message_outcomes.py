"""What a message comes to in the end: told to the agent, shown to staff, counted in the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from bridge.agent import agent_events
from bridge.channels import queueing_messages
from bridge.channels.part_values import Outcome
from bridge.models import Outgoing
from common.reasons import Reason
from common.statements import update
from followups import channel_outcomes
from followups.channels import Gone
from followups.models import Attempt
from leads.addresses import of_key
from leads.erasure import ForgottenError
from leads.interaction_values import Direction, Interaction
from leads.interaction_values import Message as Said
from leads.interactions import record
from leads.message_parts import SUMMED, sum_up
from leads.models import Event, Lead, Message, MessagePart

DELIVERED, NOT_DELIVERED = "message.delivered", "message.not_delivered"
BEFORE_IT = Reason("what_stands_before_did_not_arrive")
P = MessagePart.State
LEFT = (P.SENT, P.DELIVERED)


def end(
    row: Outgoing,
    parts: list[MessagePart],
    now: datetime,
    *,
    refused: str = "",
    outcome: Outcome | None = None,
    gone: Gone | None = None,
) -> None:
    """End a message as its parts stand; what has not left will not. May be called again when news come late."""
    for part in (candidate for candidate in parts if candidate.state == P.QUEUED):
        part.state, part.reason = P.REFUSED, (refused or BEFORE_IT)[:500]
        part.save(update_fields=["state", "reason"])
    message = row.message
    if row.lead.erased_at:
        # While it was under way: nothing is kept of what was said.
        MessagePart.objects.filter(message=message.pk).update(text="", their_id="", reason="")
        message.text = ""
    if sum_up(message, parts):
        update([message], SUMMED)
    row.state, row.reason, row.holder, row.held_until = Outgoing.State.ENDED, "", "", None
    told_before, row.told = row.told, message.state
    row.save(update_fields=["state", "reason", "holder", "held_until", "told"])
    if row.lead.erased_at or told_before == message.state:
        return
    if not row.is_counted and row.attempt_id is None and any(candidate.state in LEFT for candidate in parts):
        _count(row, parts, now)
    if row.attempt_id:
        _settle_followup(row, parts, outcome, gone, now)
    if message.state == Message.State.DELIVERED:
        agent_events.tell(row.lead, DELIVERED, now=now, message=shown(row, parts), reason=None)
    elif message.state in (Message.State.NOT_DELIVERED, Message.State.REFUSED):
        agent_events.tell(row.lead, NOT_DELIVERED, now=now, message=shown(row, parts), reason=message.reason)
        tell_staff(row, message.reason, now)


def shown(row: Outgoing, parts: list[MessagePart]) -> dict[str, Any]:
    return queueing_messages.shown(row.message, parts, row.changes)


def tell_staff(row: Outgoing, reason: str, now: datetime) -> None:
    """Write on the lead's timeline what became of a message that did not go as it was meant."""
    data = {"message": {"id": str(row.pk), "state": row.message.state}, "channel": row.message.channel}
    row.lead.events.create(at=now, kind=Event.Kind.MESSAGE, actor=Lead.Actor.BRIDGE, reason=reason[:500], data=data)


def _count(row: Outgoing, parts: list[MessagePart], now: datetime) -> None:
    """Let the conversation know what was said, as if the agent had reported it."""
    row.is_counted = True
    row.save(update_fields=["is_counted"])
    lead, message = row.lead, row.message
    text = "\n".join(part.text for part in parts if part.state in LEFT)
    whole = all(part.state in LEFT for part in parts)
    if not lead.phone_key:
        # Found in Kommo, and without an address of any kind.
        Lead.objects.filter(pk=lead.pk).update(last_outbound_at=message.sent_at or now)
        return
    interaction = Interaction(
        phone=None,
        addresses=(of_key(lead.phone_key, value=lead.phone or ""),),
        occurred_at=now,
        message=Said(
            direction=Direction.OUTBOUND,
            id=str(message.pk),
            sent_at=message.sent_at or now,
            text=message.text if whole else text,
        ),
        via=message.channel,
        is_stored=True,
    )
    with suppress(ForgottenError):
        record(interaction, pipeline=lead.pipeline, now=now)


# --- Follow-ups


def followup_due(attempt_id: UUID, lead: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the event by which the agent is asked to say a follow-up."""
    attempt = Attempt.objects.select_related("enrollment__sequence").filter(pk=attempt_id).first()
    data: dict[str, Any] = {"lead": lead, "attempt_id": str(attempt_id)}
    if attempt is not None:
        data |= {"sequence": attempt.enrollment.sequence.slug, "step": attempt.step}
        if attempt.template_id:
            data["template_id"] = attempt.template_id
    return "followup.due", data


def _settle_followup(
    row: Outgoing, parts: list[MessagePart], outcome: Outcome | None, gone: Gone | None, now: datetime
) -> None:
    assert row.attempt_id is not None
    message = row.message
    kind = channel_outcomes.Came.SENT
    if outcome is Outcome.DECLINED:
        kind = channel_outcomes.Came.DECLINED
    elif outcome is Outcome.NOTHING:
        kind = channel_outcomes.Came.NOT_SENT
    elif message.state == Message.State.REFUSED:
        kind = channel_outcomes.Came.DROPPED
    elif any(part.state == P.UNCONFIRMED for part in parts):
        kind = channel_outcomes.Came.UNCONFIRMED
    elif message.state == Message.State.NOT_DELIVERED:
        kind = channel_outcomes.Came.UNREACHABLE if gone else channel_outcomes.Came.NOT_DELIVERED
    text = message.text if kind is channel_outcomes.Came.SENT else ""
    channel_outcomes.settle(row.attempt_id, kind, message.reason, text=text, gone=gone, now=now)
