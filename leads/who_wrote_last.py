"""Who wrote last, from where, and whose wait did a message of ours end?"""

from __future__ import annotations

from datetime import datetime

from leads import bot_loops, order_of_messages
from leads.interaction_values import Direction, Interaction, Message
from leads.models import Lead
from leads.which_fact_stands import Answered, Change

MESSAGE_COLUMN = {
    Direction.INBOUND: "last_inbound_at",
    Direction.OUTBOUND: "last_outbound_at",
    Direction.STAFF: "last_staff_at",
}


def note_message(lead: Lead, interaction: Interaction, changes: Change, now: datetime) -> None:
    message = interaction.message
    assert message is not None
    # Nobody has written in the future: a clock is ahead.
    at = min(message.sent_at or interaction.occurred_at, now)
    column = MESSAGE_COLUMN.get(message.direction)
    if column is None:
        return
    if not interaction.history:
        at = _in_turn(lead, message.direction, at)
        _note_turn(lead, message.direction, at, changes)
    last = getattr(lead, column)
    if last is None or at > last:
        if message.direction is not Direction.INBOUND:
            changes.answered = _answered(lead, message, at)
        setattr(lead, column, at)
        changes.columns.add(column)
        if message.direction is Direction.INBOUND:
            _note_where(lead, interaction.written_from.key, changes)


def _answered(lead: Lead, message: Message, at: datetime) -> Answered | None:
    """Return whose wait a message of ours ends; None for nobody's. `lead` is as it was before."""
    is_first = lead.last_inbound_at is not None and lead.last_outbound_at is None and lead.last_staff_at is None
    since = lead.handoff_since
    # In the chat a person was there already: their message is what began it.
    waits = message.direction is Direction.STAFF and lead.handoff_source != Lead.HandoffSource.CHAT
    if since is None or not waits or since > at or (lead.last_staff_at and lead.last_staff_at >= since):
        since = None
    return (
        Answered(at, is_first, handed_over_at=since, by=message.author if since else "") if is_first or since else None
    )


def _note_turn(lead: Lead, direction: Direction, at: datetime, changes: Change) -> None:
    """Count who answers whom, so that two bots are noticed; what a person of ours writes begins the count anew."""
    counted = bot_loops.Turns(lead.quick_turns, lead.turns)
    if direction is Direction.INBOUND:
        turns = bot_loops.after(counted, at=at, ours=lead.last_outbound_at, before=lead.last_inbound_at)
    else:
        turns = bot_loops.Turns() if direction is Direction.STAFF else counted
    if turns != counted:
        lead.quick_turns, lead.turns = turns.quick, turns.without_pause
        changes.columns |= {"quick_turns", "turns"}


def _note_where(lead: Lead, key: str, changes: Change) -> None:
    """Note from which of their addresses the person has written last."""
    written_from = "" if key == lead.phone_key else key
    if lead.written_from != written_from:
        lead.written_from = written_from
        changes.columns.add("written_from")


def _in_turn(lead: Lead, direction: Direction, at: datetime) -> datetime:
    if direction is Direction.INBOUND:
        return order_of_messages.of_the_lead(at, ours=lead.last_outbound_at)
    return order_of_messages.of_ours(at, theirs=lead.last_inbound_at)
