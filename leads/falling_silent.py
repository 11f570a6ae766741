"""When does a message make the agent fall silent? A farewell of the lead, a colleague who writes, or another bot."""

from __future__ import annotations

from datetime import datetime

from common.reasons import Reason
from leads import bot_loops, handoff, optout
from leads.interaction_values import Direction, Message, Recorded
from leads.models import Lead


def is_farewell(message: Message, lead: Lead) -> bool:
    """Say whether a message of the lead asks for no more messages, by the words of the pipeline."""
    return message.direction is Direction.INBOUND and optout.asks_to_stop(message.text, lead.pipeline)


def heed_a_farewell(record: Recorded, now: datetime) -> None:
    message = record.interaction.message
    if message and is_farewell(message, record.lead):
        reason = Reason("lead_wrote", a=f"“{message.text.strip()[:40]}”")
        optout.opt_out(record.lead, by=Lead.Actor.LEAD, reason=reason, now=now)


def heed_a_colleague(record: Recorded, now: datetime) -> None:
    """Let the agent fall silent where a person wrote, as it does when they reply in Kommo's chat."""
    lead, message = record.lead, record.interaction.message
    if message is None or message.direction is not Direction.STAFF or not lead.pipeline.chat_reply_pauses:
        return
    wrote_at = min(message.sent_at or record.interaction.occurred_at, now)
    if lead.resumed_at is not None and lead.resumed_at >= wrote_at:
        return
    reason = Reason("person_wrote_to_lead")
    handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason=reason, now=wrote_at)


def heed_a_bot(record: Recorded, now: datetime) -> None:
    """Let the agent fall silent where it talks with a bot, or where the pipeline yields to one that answers leads."""
    lead, message = record.lead, record.interaction.message
    if message is None or lead.in_handoff:
        return
    at, reason = now, ""
    if message.direction is Direction.INBOUND:
        reason = bot_loops.loop(bot_loops.Turns(lead.quick_turns, lead.turns))
    elif message.direction is Direction.BOT and lead.pipeline.yields_to_bots:
        at = min(message.sent_at or record.interaction.occurred_at, now)
        if lead.resumed_at is None or lead.resumed_at < at:
            reason = f"another bot answers the lead: “{' '.join(message.text.split())[:60]}”"
    if reason:
        handoff.pause(lead, source=Lead.HandoffSource.GUARD, by=Lead.Actor.BRIDGE, reason=reason, now=at)
