"""May we still believe that nobody has taken a lead over?

The agent's permission comes from our own rows, and those from Kommo. While Kommo cannot be asked, a person may have
taken over without our knowing, so after a while the answer is no: a doubt means no.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.conf import settings


class Looks(Protocol):
    """When Kommo was last asked, as an Account has it."""

    @property
    def connected_at(self) -> datetime | None: ...
    @property
    def polled_at(self) -> datetime | None: ...
    @property
    def compared_at(self) -> datetime | None: ...
    @property
    def takeovers_looked_at(self) -> datetime | None: ...


def unknown_since(account: Looks, now: datetime) -> datetime | None:
    """Return since when we cannot know what staff did, once that is too long; None while our rows can be believed.

    Only a look at Kommo proves anything: a webhook that does not come may be a webhook that was lost. Both looks must
    be recent: cards that moved stand in the one, replies in a chat in the other.
    """
    if account.connected_at is None:
        return None
    cards = max(look for look in (account.connected_at, account.polled_at, account.compared_at) if look is not None)
    chats = max(account.connected_at, account.takeovers_looked_at or account.connected_at)
    last = min(cards, chats)
    return last if now - last > settings.HANDOFF_UNKNOWN_AFTER else None
