"""How many calls changed cards need, counted in the sandbox's journal.

A thousand conversations each report a new fact; then one drain delivers them under Kommo's ceiling. Against: the least
number of batches that holds a thousand cards, and no call refused for coming too soon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from django.utils import timezone

from benchmarks import cards
from benchmarks.figures import Figure, at_most
from benchmarks.harness import Bench, Broken, say
from leads.interaction_values import Interaction
from leads.interactions import record
from leads.models import Pipeline
from leads.phone import parse

UPDATE = ("PATCH", "/api/v4/leads")


def run(bench: Bench) -> Iterator[Figure]:
    count = bench.size(1000, 200)
    account = cards.connect(bench)
    cards.add_leads(account, count)
    cards.deliver(account)
    for batch_size in (50, 250):
        cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING, batch_size=batch_size)
        _change(count, bill_value=batch_size)
        say(f"    {count} changed cards, {batch_size} at once")
        start = bench.journal_end()
        cards.deliver(account)
        calls = [entry for entry in bench.journal(since=start) if entry["counted"]]
        updates = [entry for entry in calls if (entry["method"], entry["path"]) == UPDATE]
        if sum(len(entry["body"]) for entry in updates if entry["status"] == 200) < count:
            raise Broken("not every changed card was sent")
        least = math.ceil(count / batch_size)
        yield at_most(
            least,
            f"update calls for {count} changed cards, batches of {batch_size}",
            len(updates),
            "the fewest batches that hold them",
        )
        yield at_most(
            0,
            f"answers of 429 in {len(calls)} calls, batches of {batch_size}",
            sum(entry["status"] == 429 for entry in calls),
            f"a ceiling of {cards.KOMMO_CEILING} calls a second",
        )


def _change(count: int, *, bill_value: int) -> None:
    """Report a new bill in every conversation, each in a transaction of its own, as the API does."""
    pipeline = Pipeline.objects.get(slug="solar")
    for number in range(count):
        now = timezone.now()
        fact = Interaction(
            phone=parse(cards.phone(number), region="BR"), occurred_at=now, facts={"bill_value": Decimal(bill_value)}
        )
        record(fact, pipeline=pipeline, now=now)
