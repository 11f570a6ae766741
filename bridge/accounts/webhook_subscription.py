"""Keeping Kommo's webhook subscribed: Kommo disables an address that failed too often, without a word.

Staff are told on the account's page, in `doctor` and on the first page of the admin. Accounts without a webhook work by
polling alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from django.utils.translation import gettext_noop

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts.refusals import aside
from bridge.errors import KommoRejectedError
from bridge.kommo.client import KommoClient
from bridge.kommo.errors import Purpose
from bridge.models import Account, WebhookEvent
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
# When nothing was heard for so long, the events feed is asked whether there was something to hear.
SILENT_AFTER = timedelta(minutes=30)
# A change this old must have had its webhook by now.
LATE_AFTER = timedelta(minutes=5)
FIRST_LOOK_BACK = timedelta(hours=24)
# What happens to leads has webhooks that we are subscribed to.
HEARD_OF = ("lead_added", "lead_deleted", "lead_restored", "lead_status_changed", "name_field_changed")
MOST_EVENTS = 100
SILENT = gettext_noop(
    "Kommo sends no webhooks although leads change: check that the public address reaches this server"
)


def check(account: Account, client: KommoClient, *, now: datetime) -> str:
    """Look whether the subscription stands, mend it, and return what staff should know; "" when all is well.

    Raises KommoError. Where Kommo does not show us the subscriptions, only what is heard tells.
    """
    problem = ""
    hooks = aside(account, client, Purpose.WEBHOOKS, client.webhooks, now=now) if account.webhook_destination else None
    if hooks is not None:
        hook = next((one for one in hooks if one.destination == account.webhook_destination), None)
        lacks = hook is not None and bool(set(wanted(account)) - set(hook.settings))
        others = hook.settings if hook is not None else ()
        if (hook is None or hook.disabled or lacks) and _subscribe(account, client, others, now):
            what = "had disabled" if hook is not None and hook.disabled else "had lost"
            # One that only heard of less is mended without a word.
            if hook is None or hook.disabled:
                problem = f"Kommo {what} the webhook; it was subscribed again at {now:%Y-%m-%d %H:%M} UTC"
            log.warning("webhook_resubscribed", account=account.pk, disabled=hook is not None)
    if not problem and account.webhook_destination and (_were_missed(account) or _is_silent(account, client, now)):
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


def note_missed(account: Account, count: int, *, now: datetime) -> bool:
    """Tell staff at once when a poll found changes that webhooks should have told of; False when nothing is amiss.

    What waits unread in the inbox was heard, and an account without a webhook expects none. The subscription itself is
    looked at with the next tick.
    """
    unread = WebhookEvent.objects.filter(account=account, state=WebhookEvent.State.RECEIVED)
    if not count or not account.webhook_destination or unread.exists():
        return False
    log.warning("webhooks_missed", account=account.pk, changes=count)
    Account.objects.filter(pk=account.pk).update(webhook_missed_at=now, webhook_problem=SILENT, webhook_checked_at=None)
    return True


def _were_missed(account: Account) -> bool:
    """Say whether changes went by unheard, and nothing has been heard since."""
    missed, heard = account.webhook_missed_at, account.webhook_heard_at
    return missed is not None and (heard is None or heard < missed)


def _is_silent(account: Account, client: KommoClient, now: datetime) -> bool:
    """Say whether leads changed, long enough ago, since the last webhook came."""
    heard = account.webhook_heard_at or account.connected_at or now
    if heard > now - SILENT_AFTER:
        return False
    # What was heard last stands in the feed as well, by the clock of the other side.
    since = max(heard + LATE_AFTER, now - FIRST_LOOK_BACK)
    ask = partial(client.events, types=HEARD_OF, since=since, most=MOST_EVENTS)
    events = aside(account, client, Purpose.EVENTS, ask, now=now) or ()
    return any(datetime.fromtimestamp(event.created_at, UTC) < now - LATE_AFTER for event in events)
