"""Which of an account's users are programs? What they write is no person's, and takes no lead from the agent."""

from __future__ import annotations

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.models import Account

MOST_ROBOTS = 50


def robots(account: Account) -> set[int]:
    """Return the users whose messages are no person's: our own, and those seen to write as bots."""
    return {account.kommo_user_id or 0, *account.traits.get(Trait.ROBOT_USERS, ())} - {0}


def remember(account: Account, user_id: int) -> None:
    known = account.traits.get(Trait.ROBOT_USERS, [])
    if user_id and user_id not in known and user_id != account.kommo_user_id and len(known) < MOST_ROBOTS:
        account_traits.remember(account, Trait.ROBOT_USERS, [*known, user_id])
