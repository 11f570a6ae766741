"""From Kommo's answers to our errors, and from an error to what is done about it: one table for every caller.

Kommo's errors come in two JSON shapes, as HTML pages of a proxy, or empty; all are survived.
The table is closed by default: what it does not know is retried when the server failed, and refused when the request
did. What closes the account to the cards closes nothing but its own feature to a side call: an account that may not
read the events feed still takes deliveries. Nothing is decided by words, which come in the language of the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import orjson

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
    Rejection,
)
from bridge.kommo.reply_values import rows, texts

DEFAULT_RETRY_AFTER = timedelta(seconds=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)
MAX_DETAIL = 300
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


def from_answer(operation: str, status: int, headers: Any, body: bytes, request_id: str) -> KommoError:
    """Return the error an unsuccessful answer stands for."""
    data = read_json(body)
    problem = data if isinstance(data, dict) else {}
    detail = _detail(problem)
    facts: dict[str, Any] = {
        "operation": operation,
        "status_code": status,
        "detail": detail,
        "request_id": request_id,
    }
    message = f"{operation}: Kommo answered {status}" + (f": {detail}" if detail else "")
    if status == 429:
        return KommoRateLimitError(message, retry_after=_retry_after(headers, problem), **facts)
    if status in (401, 402, 403):
        is_block = status == 403 and data is None
        return KommoAccessError(_access_message(status, message, is_block), is_block=is_block, **facts)
    if status == 404:
        return KommoNotFoundError(f"{message}; check the account's address in the admin", **facts)
    if status < 400:
        return KommoRejectedError(f"{message}; {_redirect_message(headers)}", **facts)
    if status >= 500:
        return KommoServerError(message, retry_after=_retry_after(headers, problem, default=None), **facts)
    items = _rejections(problem)
    if items:
        message = f"{operation}: refused by Kommo: " + "; ".join(map(str, items))
    return KommoRejectedError(message[: MAX_DETAIL * 2], items=items, **facts)


def read_json(body: bytes) -> Any:
    """Return the parsed body; None when it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _access_message(status: int, message: str, is_block: bool) -> str:
    remedy = {
        401: "the token was refused: put a new one into the account's page",
        402: "the account or its plan is not paid for, or its quota is used up: settle it in Kommo",
        403: "our user may not do this: give it administrator's rights in Kommo",
    }[status]
    if is_block:
        remedy = "Kommo blocks this address, as it does after too many calls: wait, then ask Kommo's support"
    return f"{message}; {remedy}"


def _redirect_message(headers: Any) -> str:
    """A deactivated user's call is sent to the page where people log in; a renamed account's to another host."""
    path = urlsplit(str(headers.get("Location") or "")).path
    if path.startswith("/api/"):
        return "it points elsewhere: check the account's address in the admin"
    return "it points to a login page: the token's user may be deactivated, look for it in Kommo"


def _detail(problem: dict[str, Any]) -> str:
    parts = (problem.get(key) for key in ("hint", "detail", "title"))
    return next((part[:MAX_DETAIL] for part in parts if isinstance(part, str) and part), "")


def _retry_after(
    headers: Any, problem: dict[str, Any], default: timedelta | None = DEFAULT_RETRY_AFTER
) -> timedelta | None:
    """Return the wait Kommo asks for: documented in the body, and read from the header too in case it comes there."""
    waits = []
    for value in (problem.get("retry_after"), headers.get("Retry-After")):
        try:
            seconds = float(str(value))
        except (TypeError, ValueError):
            continue
        if 0 < seconds < float("inf"):
            waits.append(min(timedelta(seconds=min(seconds, 1e6)), LONGEST_RETRY_AFTER))
    return max(waits) if waits else default


def _rejections(problem: dict[str, Any]) -> tuple[Rejection, ...]:
    return (*_validation_errors(problem), *_errors_by_lead(problem))


def _validation_errors(problem: dict[str, Any]) -> list[Rejection]:
    found: list[Rejection] = []
    for entry in rows(problem.get("validation-errors")):
        if not isinstance(entry, dict):
            continue
        for error in rows(entry.get("errors")):
            if isinstance(error, dict):
                found += (
                    Rejection(
                        code=str(error.get("code", "")),
                        path=str(error.get("path", "")),
                        detail=str(error.get("detail", ""))[:MAX_DETAIL],
                        request_id=request_id,
                    )
                    for request_id in texts(entry.get("request_id")) or (None,)
                )
    return found


def _errors_by_lead(problem: dict[str, Any]) -> list[Rejection]:
    errors = problem.get("errors")
    if not isinstance(errors, dict):
        return []
    return [
        Rejection(code="", path="", detail=str(detail)[:MAX_DETAIL], lead_id=int(lead_id))
        for lead_id, detail in errors.items()
        if str(lead_id).isascii() and str(lead_id).isdigit()
    ]
