"""What Kommo's refusal means for the account, done in one place for every caller.

The table (bridge/kommo/what_an_error_stops.py) says which it is. A closed door pauses the account; a
side call that is refused puts its own feature to rest. What becomes of the cards, notes or names that travelled is
their callers'.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from bridge.accounts import account_state, troubles
from bridge.errors import KommoError, KommoHeldError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action, Purpose, decide, purpose_of
from bridge.models import Account

T = TypeVar("T")


def heed(
    account: Account,
    error: KommoError,
    *,
    now: datetime,
    purpose: Purpose | None = None,
    client: KommoClient | None = None,
) -> Action:
    """Pause the account or put a feature to rest if the table says so; return what it says.

    `client`: asked once whether a token that a side call was refused is good for anything else: Kommo answers 401 also
    to a user who may not see what was asked for. An account that refuses a create may take no more leads, or nothing.
    """
    action, purpose = decide(error, purpose), purpose or purpose_of(error)
    if action is Action.REST_FEATURE and client and (closed := _closed_door(client, purpose, error)):
        action, error = Action.PAUSE_ACCOUNT, error if purpose is Purpose.CREATES else closed
    if action is Action.PAUSE_ACCOUNT:
        account_state.pause(account, reason=str(error), now=now)
    elif action is Action.REST_FEATURE:
        troubles.begin(account.pk, purpose.value, str(error), now=now, refused=True)
    return action


def aside(
    account: Account,
    client: KommoClient,
    purpose: Purpose,
    ask: Callable[[], T],
    *,
    now: datetime,
    may_wait_alone: bool = False,
    answered: Callable[[], None] = lambda: None,
) -> T | None:
    """Return what a side call brings; None while its feature rests, or when it is refused just now.

    may_wait_alone: the caller can do all the rest without, so that what keeps failing in passing rests as well.
    answered: called when it works again. Raises KommoError for what passes by itself.
    """
    if troubles.rests_until(account.pk, purpose.value, now=now):
        return None
    try:
        found = ask()
    except KommoHeldError:
        # Nothing was asked.
        raise
    except KommoError as error:
        action = heed(account, error, now=now, purpose=purpose, client=client)
        if action is Action.REST_FEATURE:
            return None
        waits_alone = may_wait_alone and action is not Action.PAUSE_ACCOUNT
        if waits_alone and troubles.fails(account.pk, purpose.value, str(error), now=now):
            return None
        raise
    if troubles.over(account.pk, purpose.value):
        answered()
    return found


def is_only_aside(account: Account, client: KommoClient, error: KommoError, *, now: datetime) -> bool:
    """Put a feature to rest if that is all an error means; False for every other one, of which nothing is done here."""
    if decide(error) is not Action.REST_FEATURE:
        return False
    return heed(account, error, now=now, client=client) is Action.REST_FEATURE


def _closed_door(client: KommoClient, purpose: Purpose, error: KommoError) -> KommoError | None:
    """Return the error when nothing at all may be asked; one harmless read, where the refusal leaves that open."""
    try:
        if purpose is Purpose.CREATES:
            client.list_leads(page=1, limit=1)
        elif error.status_code == 401:
            client.account()
    except KommoError as error:
        return error if decide(error) is Action.PAUSE_ACCOUNT else None
    return None
