"""How long does a webhook wait for the answer to our own write to the same card, of which it is likely the echo?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from bridge.accounts import database_clock
from bridge.cards import write_ahead
from bridge.models import Account, Card, WebhookItem
from bridge.webhooks import parsing
from common.reasons import Reason

# So long a webhook waits for the answer to a write to the same card, looked for so often.
LONGEST_WAIT = timedelta(seconds=5)
WAIT_SECONDS = 0.05
UNDER_WAY = Reason("waits_for_change_under_way")

# What is said about a lead, whatever the action.
LEAD_ENTITIES = frozenset({"lead", "unsorted"})
# After these the card says nothing of how the lead stands.
ALWAYS_READ = frozenset({"delete", "restore"})


def waiting_for_writes(account: Account, items: Sequence[WebhookItem]) -> set[int | None]:
    """Return the ids of leads to whose cards a write of ours left a moment ago, and whose answer is still to come.

    What was deleted or restored is no echo, and does not wait. Nor does anything wait for an answer that was lost.
    """
    ids = {item.kommo_id for item in items if item.entity in LEAD_ENTITIES and item.kommo_id}
    now = database_clock.now()
    under_way = Card.objects.filter(
        account=account,
        write_settles_at__gt=now + write_ahead.LONGEST_WRITE - LONGEST_WAIT,
        write_settles_at__lte=now + write_ahead.LONGEST_WRITE,
    )
    urgent = {item.kommo_id for item in items if item.action in ALWAYS_READ}
    changed = under_way.filter(kommo_lead_id__in=ids).values_list("kommo_lead_id", flat=True) if ids else ()
    named = _named_by_us(account, items)
    made = under_way.filter(lead_id__in=named, kommo_lead_id=None).values_list("lead_id", flat=True) if named else ()
    return {*changed, *(named[lead_id] for lead_id in made)} - urgent


def _named_by_us(account: Account, items: Sequence[WebhookItem]) -> dict[UUID, int | None]:
    """Return id of ours -> Kommo id, of the leads whose body carries one: what we made is told of before its answer."""
    named: dict[UUID, int | None] = {}
    for item in items if account.bridge_id_field_id else ():
        if item.entity != "lead" or item.action != "add":
            continue
        values = parsing.custom_field_values(item.data).get(account.bridge_id_field_id or 0) or [{}]
        with suppress(ValueError):
            named[UUID(str(values[0].get("value")))] = item.kommo_id
    return named
