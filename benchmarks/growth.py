"""How what is done all day grows from a thousand leads to a million (PostgreSQL).

An interaction of a known lead, the question whether the agent may reply, a page of the API's list, and a drain of fifty
changed cards: each among so many leads, cards, events and deliveries. Every size is measured in turns with a view that
stores one row, which takes the machine's mood out of it. Against: the same among a thousand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from django.db import connection
from django.test import override_settings
from django.utils import timezone

from benchmarks import bare, cards
from benchmarks.copies import AGO, copy, copy_leads
from benchmarks.figures import Figure, at_most
from benchmarks.harness import Bench, say
from benchmarks.inprocess import Caller, in_turns, typical
from benchmarks.interactions_rate import INTERACTIONS, MAY_REPLY, interaction
from bridge.api import api_keys
from bridge.cards import outbox
from bridge.models import Account, ApiKey, Card, Delivery
from leads.models import Event, Lead, Stay

SMALLEST = 1_000
# Those that take part; all others are only there.
BUSY = 200
CHANGED = 50
# Half as much again is still flat; what reads a table whole would be a thousand times.
FLAT = 1.5


def run(bench: Bench) -> Iterator[Figure]:
    sizes = (SMALLEST, 30_000, 1_000_000) if not bench.quick else (SMALLEST, 20_000)
    rounds = bench.size(150, 40)
    account = cards.connect(bench)
    cards.add_leads(account, BUSY)
    cards.deliver(account)
    bare.make_table()
    caller = Caller(Authorization=f"Api-Key {api_keys.issue(ApiKey(name='benchmark'))}")
    costs: dict[int, dict[str, float]] = {}
    for size in sizes:
        say(f"    {size:,} leads")
        _fill(size)
        with override_settings(ROOT_URLCONF=bare.URLCONF):
            seconds = in_turns(_calls(caller, account, size), rounds)
        unit = typical(seconds.pop("bare insert"))
        costs[size] = {name: typical(times) / unit for name, times in seconds.items()}
    for name, before in costs[SMALLEST].items():
        for size in sizes[1:]:
            among = f"{name} among {size:,} leads {bench.on}"
            yield at_most(FLAT, among, costs[size][name] / before, f"among {SMALLEST:,} ({before:.1f} bare inserts)")


def _calls(caller: Caller, account: Account, size: int) -> dict[str, Callable[[int], float]]:
    return {
        "bare insert": lambda n: caller.call("POST", "/bare/", interaction(n, bill_value=n))[0],
        "interaction": lambda n: caller.call("POST", INTERACTIONS, interaction(n % BUSY, bill_value=size + n))[0],
        "may reply": lambda n: caller.call("GET", f"{MAY_REPLY}?phone={cards.phone(n % BUSY)[1:]}")[0],
        "page of leads": lambda n: caller.call("GET", "/api/v1/leads/")[0],
        f"delivery of {CHANGED} cards": lambda n: _delivery(account),
    }


def _delivery(account: Account) -> float:
    """Change some leads' cards behind the bridge's back, and return the seconds until they are right again."""
    busy = Card.objects.filter(lead__phone__startswith="+55819").order_by("pk").values_list("pk", flat=True)[:CHANGED]
    changed = Card.objects.filter(pk__in=list(busy))
    changed.update(observed={})
    outbox.requeue(changed, now=timezone.now(), lane=Card.Lane.LIVE)
    started = time.perf_counter()
    cards.drain(account)
    return time.perf_counter() - started


def _fill(count: int) -> None:
    """Let there be so many leads, each with a card in sync, three events and a delivery."""
    present = Lead.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    copy_leads(present + 1, count)
    without = "NOT EXISTS (SELECT 1 FROM {0} o WHERE o.lead_id = l.id)".format
    cards_of = f"leads_lead l WHERE {without('bridge_card')}"
    copy(Card, cards_of, lead_id="l.id", kommo_lead_id="1000000000 + right(l.phone, 8)::int", state="'in_sync'")
    copy(Stay, f"leads_lead l WHERE {without('leads_stay')}", lead_id="l.id", entered_at=AGO)
    events = f"(SELECT l.id FROM leads_lead l WHERE l.phone LIKE '+5571%' AND {without('leads_event')}) l"
    copy(Event, f"{events}, generate_series(1, 3)", lead_id="l.id", at=AGO)
    bare_cards = "bridge_card c WHERE NOT EXISTS (SELECT 1 FROM bridge_delivery o WHERE o.card_id = c.id)"
    copy(Delivery, bare_cards, card_id="c.id", at=AGO)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
