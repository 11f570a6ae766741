"""What does a failed call stop: itself, its feature, its batch, or the whole account? One table for every caller.

The table is closed by default: what it does not know is retried when the server failed, and refused when the request
did. What closes the account to the cards closes nothing but its own feature to a side call: an account that may not
read the events feed still takes deliveries. Nothing is decided by words, which come in the language of the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any

from bridge.errors import (
    KommoAccessError,
    KommoError,
    KommoHeldError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoRejectedError,
    KommoReplyError,
    KommoServerError,
    KommoUnreachableError,
)

# Kommo's words for "the id you name does not exist here", as a path of a validation error.
ID_PATHS = ("id",)
CHOICE_CODES = frozenset({"NotSupportedChoice"})
# A 400 without culprits that means the account, not the request: no rights, or not paid for. The words around the
# number are in the account's language.
ACCOUNT_CODE = re.compile(r"(?<!\d)244(?!\d)")
# Refusals that are about what was sent; every other one is about the way there.
ABOUT_THE_CARDS = frozenset({400, 422})
# Said by proxies of a request that may well be taken the next time.
ABOUT_THE_MOMENT = frozenset({408, 409, 423, 425})


class Action(Enum):
    """What is done about a failed call."""

    RETRY = "retry with backoff, for as long as it takes"
    RETRY_LATER = "everybody waits as long as Kommo asks"
    PAUSE_ACCOUNT = "stop calling and tell a person"
    REST_FEATURE = "what the call was for rests, and says so; everything else goes on"
    GONE = "the record is not there: stop writing to it"
    REFRESH_CATALOGUE = "something was removed from the account: read it again and retry once"
    SHRINK_BATCH = "send fewer at once"
    DEAD = "Kommo will never take this: a person decides"
    BLOCKED = "the configuration is at fault: a person completes it"


class Purpose(Enum):
    """What a call is made for."""

    CARDS = "cards"
    CREATES = "creates"
    CONTACTS = "contacts"
    NOTES = "notes"
    TASKS = "tasks"
    SALESBOT = "salesbot"
    CHATS = "chats"
    EVENTS = "events"
    WEBHOOKS = "webhooks"
    USERS = "users"
    LOSS_REASONS = "loss_reasons"
    LIMITS = "limits"
    STAGES = "stages"
    TOKEN = "token"


# Without these an account can neither be written to nor read; every other call is a side call.
MAIN_ROADS = frozenset({Purpose.CARDS, Purpose.TOKEN})
# Operation of a call -> what it is for; all others are for the cards.
PURPOSES = {
    "create leads": Purpose.CREATES,
    "read contacts": Purpose.CONTACTS,
    "find contacts": Purpose.CONTACTS,
    "update contacts": Purpose.CONTACTS,
    "read notes": Purpose.NOTES,
    "create notes": Purpose.NOTES,
    "read tasks": Purpose.TASKS,
    "create tasks": Purpose.TASKS,
    "run salesbot": Purpose.SALESBOT,
    "read bots": Purpose.SALESBOT,
    "read talks": Purpose.CHATS,
    "send message": Purpose.CHATS,
    "read limits": Purpose.LIMITS,
    "count records": Purpose.LIMITS,
    "read events": Purpose.EVENTS,
    "read webhooks": Purpose.WEBHOOKS,
    "subscribe webhook": Purpose.WEBHOOKS,
    "unsubscribe webhook": Purpose.WEBHOOKS,
    "read users": Purpose.USERS,
    "create stages": Purpose.STAGES,
    "rename stage": Purpose.STAGES,
    "read loss reasons": Purpose.LOSS_REASONS,
    "exchange token": Purpose.TOKEN,
    "find the account's new address": Purpose.TOKEN,
}


def purpose_of(error: KommoError) -> Purpose:
    """Return what the failed call was for."""
    return PURPOSES.get(error.operation, Purpose.CARDS)


def decide(error: KommoError, purpose: Purpose | None = None) -> Action:
    """Return what to do about an error; `purpose`: what the call was for, where its name does not say it."""
    action = next((action for kind, fits, action, _ in TABLE if isinstance(error, kind) and fits(error)), None)
    if action is None:
        action = Action.RETRY if error.retryable else Action.DEAD
    purpose = purpose or purpose_of(error)
    is_aside = _may_mean_full(error) if purpose is Purpose.CREATES else purpose not in MAIN_ROADS
    # What only tells us more may be refused in any way: that is no door of the account's.
    if action is Action.PAUSE_ACCOUNT and is_aside and (purpose is Purpose.LIMITS or not is_block(error)):
        return Action.REST_FEATURE
    return action


def _may_mean_full(error: KommoError) -> bool:
    """Say whether a create may have been refused because the account takes no more leads; 401 is about the token."""
    return isinstance(error, KommoAccessError | KommoRejectedError) and error.status_code in (400, 402, 403, 422)


def is_block(error: KommoError) -> bool:
    """Say whether our address is shut out, whatever we ask for."""
    return isinstance(error, KommoAccessError) and error.is_block


def _names_choice(error: Any) -> bool:
    return any(item.code in CHOICE_CODES and item.path not in ID_PATHS for item in error.items)


def _names_unknown_id(error: Any) -> bool:
    return any(item.path in ID_PATHS for item in error.items)


def _has_status(*statuses: int) -> Callable[[Any], bool]:
    return lambda error: error.status_code in statuses


def _always(_error: Any) -> bool:
    return True


# First match wins: error, condition, action, reason.
TABLE: tuple[tuple[type[KommoError], Callable[[Any], bool], Action, str], ...] = (
    (KommoHeldError, _always, Action.RETRY_LATER, "nothing was sent: the account is paused or was asked to wait"),
    (KommoUnreachableError, _always, Action.RETRY, "no answer says nothing about the request"),
    (
        KommoReplyError,
        _always,
        Action.RETRY,
        "an unreadable success may have been applied; what was sent stays in doubt",
    ),
    (KommoRateLimitError, _always, Action.RETRY_LATER, "repeated abuse gets the address blocked"),
    (
        KommoServerError,
        lambda error: error.too_large,
        Action.SHRINK_BATCH,
        "504: Kommo could not finish so many in time",
    ),
    (KommoServerError, _always, Action.RETRY, "Kommo's own trouble"),
    (
        KommoAccessError,
        _always,
        Action.PAUSE_ACCOUNT,
        "token, payment, rights or a block: every further call makes it worse",
    ),
    (KommoNotFoundError, _has_status(204), Action.GONE, "deleted, merged, or hidden from our user"),
    (
        KommoNotFoundError,
        _always,
        Action.PAUSE_ACCOUNT,
        "404: no such path at this address, which says nothing of any card",
    ),
    (KommoRejectedError, _has_status(413, 422), Action.SHRINK_BATCH, "more than Kommo, or a proxy, takes at once"),
    (KommoRejectedError, _has_status(*ABOUT_THE_MOMENT), Action.RETRY, "about the moment, not about what was sent"),
    (
        KommoRejectedError,
        lambda error: error.status_code not in ABOUT_THE_CARDS,
        Action.PAUSE_ACCOUNT,
        "a redirect or a wrong method: the way is wrong, and the cards must not pay for it",
    ),
    (
        KommoRejectedError,
        lambda error: not error.items and bool(ACCOUNT_CODE.search(error.detail)),
        Action.PAUSE_ACCOUNT,
        "Kommo's word for missing rights or an unpaid account",
    ),
    (KommoRejectedError, _names_unknown_id, Action.GONE, "Kommo does not know the id we name"),
    (
        KommoRejectedError,
        _names_choice,
        Action.REFRESH_CATALOGUE,
        "an option, stage or field was removed since we looked",
    ),
    (KommoRejectedError, _always, Action.DEAD, "refused as it is; the same request would be refused again"),
)
