"""Keeping Kommo's webhook subscribed: Kommo disables an address that failed too often, without a word.

Staff are told on the account's page, in `doctor` and on the first page of the admin. Accounts without a webhook work by
polling alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts.refusals import aside
from bridge.accounts.webhook_silence import SILENT, is_silent, were_missed
from bridge.errors import KommoRejectedError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account
from common.reasons import Reason, several
from leads.models import Pipeline

log = structlog.get_logger(__name__)

SETTINGS = (
    "add_lead",
    "update_lead",
    "delete_lead",
    "restore_lead",
    "status_lead",
    "responsible_lead",
    "update_contact",
    # Who wrote in a chat, since July 2026.
    "add_outgoing_message",
)
NEWEST = "add_outgoing_message"
# Where conversations are Kommo's: what leads write, and of which lead a chat comes to be.
OF_CHATS = ("add_message", "add_talk", "add_unsorted", "delete_unsorted")
CHECK_EVERY = timedelta(minutes=30)


def check(account: Account, client: KommoClient, *, now: datetime) -> str:
    """Look whether the subscription stands, mend it, and return what staff should know; "" when all is well.

    Raises KommoError. Where Kommo does not show us the subscriptions, only what is heard tells.
    """
    problem = ""
    hooks = aside(account, client, Purpose.WEBHOOKS, client.webhooks, now=now) if account.webhook_destination else None
    if hooks is not None:
        hook = next((candidate for candidate in hooks if candidate.destination == account.webhook_destination), None)
        lacks = hook is not None and bool(set(wanted(account)) - set(hook.settings))
        others = hook.settings if hook is not None else ()
        if (hook is None or hook.disabled or lacks) and _subscribe(account, client, others, now):
            # One that only heard of less is mended without a word.
            if hook is None or hook.disabled:
                lost = Reason("webhook_lost" if hook is None else "webhook_disabled")
                problem = several([lost, Reason("webhook_subscribed_again", a=f"{now:%Y-%m-%d %H:%M}")])
            log.warning("webhook_resubscribed", account=account.pk, disabled=hook is not None)
    if not problem and account.webhook_destination and (were_missed(account) or is_silent(account, client, now)):
        problem = SILENT
    Account.objects.filter(pk=account.pk).update(webhook_checked_at=now, webhook_problem=problem)
    return problem


def wanted(account: Account) -> list[str]:
    """Return what we want to hear of, without what this account's Kommo does not know."""
    refused = account.traits.get(Trait.REFUSED_SETTINGS, ())
    talks = Pipeline.objects.filter(account_link__account=account, conversations=Pipeline.Conversations.KOMMO)
    settings = (*SETTINGS, *OF_CHATS) if talks.exists() else SETTINGS
    return [setting for setting in settings if setting not in refused]


def subscribe(account: Account, client: KommoClient, destination: str, others: Sequence[str] = ()) -> None:
    """Subscribe a destination to what we want to hear of, and to whatever others had added. Raises KommoError.

    Subscribing again replaces the list (NOVA's tool descriptions). What Kommo refuses to name is left out, and
    remembered: one new kind of news must not cost all of them.
    """
    settings = list(dict.fromkeys([*wanted(account), *others]))
    try:
        client.subscribe(destination, settings)
    except KommoRejectedError as error:
        places = {item.path.partition(".")[2] for item in error.items if item.path.startswith("settings.")}
        refused = [setting for place, setting in enumerate(settings) if str(place) in places]
        if not refused:
            # In other words than ours: what is newest is the likeliest.
            refused = [NEWEST] if NEWEST in settings else []
        if not refused or len(refused) == len(settings):
            raise
        client.subscribe(destination, [setting for setting in settings if setting not in refused])
        known = account.traits.get(Trait.REFUSED_SETTINGS, [])
        account_traits.remember(account, Trait.REFUSED_SETTINGS, sorted({*known, *refused}))


def _subscribe(account: Account, client: KommoClient, others: Sequence[str], now: datetime) -> bool:
    """Subscribe again; False when Kommo refuses."""

    def again() -> bool:
        subscribe(account, client, account.webhook_destination, others)
        return True

    return bool(aside(account, client, Purpose.WEBHOOKS, again, now=now))
