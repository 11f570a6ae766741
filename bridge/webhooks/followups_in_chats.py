"""Is what a bot said in a chat a follow-up of ours? Those that leave by `FOLLOWUP_CHANNEL` are no message on its way.

A Salesbot says them, and Kommo tells of them as of any bot's words. They are the agent's side of the conversation:
kept there, by Kommo's id, and no reason to yield.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from bridge.webhooks.chat_items import Chat
from common.statements import insert_missing
from followups.models import Attempt
from leads.message_parts import RECOGNIZED_FOR, plainly
from leads.models import Lead, Message

S = Attempt.State
# It may be said by now: also while the answer to the bot's run is on its way, or lost.
MAY_BE_SAID = (S.SENDING, S.SENT, S.UNCONFIRMED, S.DROPPED)


def note_said(lead: Lead, chat: Chat, *, via: str, at: datetime, now: datetime) -> bool:
    """Keep a follow-up that a lead's chat shows; False where none of theirs has these words. Repeated, it does nothing.

    One query where it is none.
    """
    words = plainly(chat.text)
    recent = Q(ended_at=None) | Q(ended_at__gt=now - RECOGNIZED_FOR)
    theirs = Attempt.objects.filter(recent, enrollment__lead=lead, state__in=MAY_BE_SAID).exclude(text="")
    matching = words and next((text for text in theirs.values_list("text", flat=True) if plainly(text) == words), "")
    if not matching:
        return False
    row = Message(
        lead=lead,
        direction=Message.Direction.OUTBOUND,
        message_id=chat.id,
        channel=via,
        text=matching,
        state=Message.State.DELIVERED,
        at=at,
        sent_at=at,
        delivered_at=at,
        is_heard=True,
    )
    insert_missing([row], returning="id")
    return True
