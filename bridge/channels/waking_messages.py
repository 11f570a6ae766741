"""Looking again at messages of which something new was told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from bridge.channels import queueing_messages
from bridge.models import Outgoing
from leads.models import Message

FOR_GOOD = (Message.State.DELIVERED, Message.State.NOT_DELIVERED)


def wake(messages: Collection[Message], *, now: datetime) -> None:
    """Let what is under way go on at once, and what had ended be told of anew where it came to something else."""
    ids = [message.pk for message in messages]
    rows = Outgoing.objects.filter(message__in=ids, state=Outgoing.State.DUE).update(due_at=now)
    known = [message.pk for message in messages if message.state in FOR_GOOD]
    if known:
        ended = Outgoing.objects.filter(message__in=known, state=Outgoing.State.ENDED)
        rows += ended.update(state=Outgoing.State.DUE, due_at=now)
    if rows:
        transaction.on_commit(queueing_messages.nudge)
