"""When are Kommo's webhooks taken to have stopped arriving, and not merely nothing to have happened?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from bridge.accounts.refusals import aside
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, WebhookEvent
from common.reasons import Reason

log = structlog.get_logger(__name__)

# When nothing was heard for so long, the events feed is asked whether there was something to hear.
SILENT_AFTER = timedelta(minutes=30)
# A change this old must have had its webhook by now.
LATE_AFTER = timedelta(minutes=5)
FIRST_LOOK_BACK = timedelta(hours=24)
# What happens to leads has webhooks that we are subscribed to.
HEARD_OF = ("lead_added", "lead_deleted", "lead_restored", "lead_status_changed", "name_field_changed")
MOST_EVENTS = 100
SILENT = Reason("no_webhooks_although_leads_change")


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


def were_missed(account: Account) -> bool:
    """Say whether changes went by unheard, and nothing has been heard since."""
    missed, heard = account.webhook_missed_at, account.webhook_heard_at
    return missed is not None and (heard is None or heard < missed)


def is_silent(account: Account, client: KommoClient, now: datetime) -> bool:
    """Say whether leads changed, long enough ago, since the last webhook came."""
    heard = account.webhook_heard_at or account.connected_at or now
    if heard > now - SILENT_AFTER:
        return False
    # What was heard last stands in the feed as well, by the clock of the other side.
    since = max(heard + LATE_AFTER, now - FIRST_LOOK_BACK)
    ask = partial(client.events, types=HEARD_OF, since=since, most=MOST_EVENTS)
    events = aside(account, client, Purpose.EVENTS, ask, now=now) or ()
    return any(datetime.fromtimestamp(event.created_at, UTC) < now - LATE_AFTER for event in events)
