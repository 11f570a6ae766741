"""What may we do in an account? Said by the token's scopes and the user's rights, before the first call is refused.

A token (a JWT) names its scopes; those made before July 2026 do not know the newer ones, so of what a scope is missing
only that is told which every token names. A user has rights of its own, and webhooks and fields are an administrator's.
Which features a plan has is told nowhere: they are tried by harmless reads. Every lack comes with its remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.errors import KommoError
from bridge.kommo import token_expiry
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import is_block
from bridge.models import Account, Trouble

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Scope -> what needs it. Without the first nothing works; the others are for those who use them.
SCOPES = {
    "crm": gettext_noop("reading and writing leads, contacts, notes and tasks"),
    "list_external_messages": gettext_noop("reading conversations of Kommo's chats"),
    "send_external_messages": gettext_noop("sending messages by Kommo's chats"),
}
NEEDED_SCOPE = "crm"
# Right of the user -> what it is needed for.
RIGHTS = {
    "leads.view": gettext_noop("see every lead"),
    "leads.add": gettext_noop("create leads"),
    "leads.edit": gettext_noop("change leads"),
    "contacts.view": gettext_noop("see every contact"),
    "contacts.add": gettext_noop("create contacts"),
    "contacts.edit": gettext_noop("change contacts"),
}


@dataclass(frozen=True)
class Lack:
    """Something we may not do. remedy: empty where only those who use it want it, who are told by `advice`."""

    subject: str
    message: str
    remedy: str = ""
    advice: str = ""


def look(account: Account, client: KommoClient, *, now: datetime) -> None:
    """Ask what our user may do and what the plan has, and remember it. What is not answered is not known.

    The user may be read by a right of its own, so nothing rests because this is refused.
    """
    known: dict[str, Any] = {"at": now.isoformat(timespec="minutes")}
    if user := _answer(account, lambda: client.user(account.kommo_user_id or 0))[0]:
        known |= {"admin": user.is_admin, "active": user.is_active, "denied": list(user.denied)}
    if settings.SALESBOT_ID:
        _bots, status = _answer(account, client.bots)
        known["bots"] = status if status in (200, 401, 402, 403) else None
    account_traits.remember(account, Trait.PERMISSIONS, known)


def _answer(account: Account, ask: Callable[[], T]) -> tuple[T | None, int | None]:
    """Return what a harmless read brings, with its status; an address that is shut out tells nothing."""
    try:
        return ask(), 200
    except KommoError as error:
        log.info("permission_not_read", account=account.pk, error=error.in_log)
        return None, None if is_block(error) else error.status_code


def lacks(account: Account) -> list[Lack]:
    """Return what we may not do in an account, in the active language. Asks nobody but the database."""
    return [*of_token(account), *_of_user(account), *_of_plan(account)]


def of_token(account: Account) -> list[Lack]:
    """Return what the token's own scopes leave out; nothing for a token that names none."""
    scopes = token_expiry.claims(account.access_token).get("scopes")
    if not isinstance(scopes, list) or not scopes:
        return []
    found = []
    for scope, what in SCOPES.items():
        if scope in scopes:
            continue
        message = _("the token's scopes (%(scopes)s) lack “%(scope)s”: no %(what)s") % {
            "scopes": ", ".join(map(str, scopes)), "scope": scope, "what": _(what),
        }  # fmt: skip
        remedy = _("give the integration the scope “%(scope)s” in Kommo, and make a new token") % {"scope": scope}
        if scope == NEEDED_SCOPE:
            found.append(Lack("token", message, remedy))
        else:
            # Most bridges have no use for it: good to know, and nothing to do.
            found.append(Lack("token", f"{message}; {remedy}"))
    return found


def _of_user(account: Account) -> list[Lack]:
    known = account.traits.get(Trait.PERMISSIONS) or {}
    found = []
    if known.get("active") is False:
        remedy = _("activate it in Kommo, or connect with the token of another user")
        found.append(Lack("user", _("our user in Kommo is deactivated"), remedy))
    if known.get("admin") is False:
        found.append(_no_administrator(account))
    if known.get("admin"):
        # Of whom Kommo keeps no list of rights.
        return found
    for right in known.get("denied", ()):
        if right in RIGHTS:
            message = _("our user in Kommo may not %(what)s") % {"what": _(RIGHTS[right])}
            remedy = _("give it that right in Kommo (Settings, Users), or make it an administrator")
            found.append(Lack("user", message, remedy))
    return found


def _no_administrator(account: Account) -> Lack:
    message = _("our user in Kommo is no administrator: it may read and make no webhooks, stages or fields")
    remedy = _("make it an administrator in Kommo, or connect with an administrator's token")
    # Without a webhook that works by polling; what is refused to one that has it is told as refused.
    refused = Trouble.objects.filter(account=account, subject=Trouble.Subject.WEBHOOKS).exists()
    return Lack("user", message, advice=remedy) if not account.webhook_destination or refused else Lack(
        "user", message, remedy
    )  # fmt: skip


def _of_plan(account: Account) -> list[Lack]:
    known = account.traits.get(Trait.PERMISSIONS) or {}
    status = known.get("bots")
    if not settings.SALESBOT_ID or status in (None, 200):
        return []
    message = _("Kommo shows us no Salesbots (%(status)s), and follow-ups are to leave by one") % {"status": status}
    remedy = _("choose a plan that has Salesbots (Advanced or higher), and see that our user may start them")
    return [Lack("plan", message, remedy)]
