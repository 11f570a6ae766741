"""The admin's pages over large tables, against the same pages over almost empty ones (PostgreSQL).

A page may cost a constant number of queries, whatever the tables hold: counted against tables that just fill a page. It
may take hardly more time than over those, for showing fifty rows costs what it costs; and never more than half a
second. The tables are filled by the database itself, from rows that the bridge has written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from benchmarks import cards
from benchmarks.copies import AGO, copy, copy_leads
from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, say
from bridge.models import Account, AgentEvent, Card, Delivery, Drift, WebhookEvent, WebhookItem
from leads.models import Event, Lead, Stage, Stay

DELIVERIES_PER_LEAD = 5
EVENTS_OF_ONE_LEAD = 1_000
ONE_PAGE = 60  # rows: a list shows 50
MOST_MS = 500
# What collected static files need is not there; pages are the same without.
PLAIN_FILES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@dataclass(frozen=True)
class Cost:
    queries: int
    p95_ms: float


def run(bench: Bench) -> Iterator[Figure]:
    count, samples = bench.size(200_000, 10_000), bench.size(40, 15)
    account = cards.connect(bench)
    cards.add_leads(account, 1)
    cards.deliver(account)
    _add_one_of_each(account)
    lead = Lead.objects.get()
    with override_settings(STORAGES=PLAIN_FILES):
        browser = Client(SERVER_NAME="localhost")
        browser.force_login(User.objects.create_superuser("ada", "ada@example.com", "a-password"))
        pages = _pages(lead)
        costs = {}
        for leads in (1, ONE_PAGE, count):
            say(f"    {leads:,} leads, {leads * DELIVERIES_PER_LEAD:,} deliveries")
            _fill(leads)
            costs[leads] = {name: _cost(browser, path, samples) for name, path in pages.items()}
    for name in pages:
        alone, few, many = (costs[leads][name] for leads in (1, ONE_PAGE, count))
        # A list with nothing in it asks for less than one that has a row.
        yield at_most(few.queries, f"{name}: queries", many.queries, f"over {ONE_PAGE} rows ({few.queries})")
        yield at_most(
            2,
            f"{name}: p95",
            many.p95_ms / few.p95_ms,
            f"over {ONE_PAGE} rows ({many.p95_ms:.0f} ms, {few.p95_ms:.0f})",
        )
        yield at_most(MOST_MS, f"{name}: p95 in ms", many.p95_ms, f"over {count:,} leads")
        yield shown(f"{name}: p95, empty", many.p95_ms / alone.p95_ms, f"over one row ({alone.p95_ms:.0f} ms)")


def _pages(lead: Lead) -> dict[str, str]:
    lists = (Lead, Event, Card, Delivery, WebhookEvent, AgentEvent, Drift)
    pages = {
        f"list of {model._meta.object_name}": reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
        for model in lists
    }
    leads, deliveries = pages["list of Lead"], pages["list of Delivery"]
    page = reverse("admin:leads_lead_change", args=[lead.pk])
    return (
        {"overview": reverse("admin:index"), "overview, live part": reverse("overview-live")}
        | {"one lead": page, "one lead, deliveries": f"{page}?show=deliveries"}
        | pages
        | {
            "rules": reverse("admin:rules"),
            "rules, history": reverse("admin:rules_history", args=[lead.pipeline_id]),
            "leads found by name": f"{leads}?q=Pessoa+0",
            "leads found by a name nobody has": f"{leads}?q=Zebedeu",
            "leads found by phone": f"{leads}?q={lead.phone}",
            "leads whose card is dead": f"{leads}?card__state__exact={Card.State.DEAD}",
            "leads waiting for a person": f"{leads}?handoff=yes",
            "deliveries, far back": f"{deliveries}?older=30",
            "deliveries that were refused": f"{deliveries}?outcome__exact={Delivery.Outcome.REFUSED}",
            "deliveries of one lead": f"{deliveries}?q={lead.phone}",
            "webhooks that failed": f"{pages['list of WebhookEvent']}?state__exact={WebhookEvent.State.FAILED}",
            "differences to decide": f"{pages['list of Drift']}?resolution__exact={Drift.Resolution.OPEN}",
        }
    )


def _cost(browser: Client, path: str, samples: int) -> Cost:
    """Open a page to warm it up, to count its queries, and then again and again for its time."""
    _open(browser, path)
    with CaptureQueriesContext(connection) as captured:
        _open(browser, path)
    return Cost(len(captured), 1000 * percentile([_open(browser, path) for _ in range(samples)], 95))


def _open(browser: Client, path: str) -> float:
    started = time.perf_counter()
    answer = browser.get(path)
    seconds = time.perf_counter() - started
    if answer.status_code != 200:
        raise Broken(f"{path} answered {answer.status_code}")
    return seconds


def _add_one_of_each(account: Account) -> None:
    """Add what the delivery of one lead has not written: a row to copy for every list."""
    card, now = Card.objects.get(), timezone.now()
    webhook = WebhookEvent.objects.create(
        account=account, body=b"leads[add][0][id]=1", received_at=now, state="processed"
    )
    WebhookItem.objects.create(event=webhook, entity="lead", action="add", kommo_id=1, result="echo")
    AgentEvent.objects.create(
        lead=card.lead, type="lead.stage_changed", created_at=now, due_at=now, state=AgentEvent.State.DELIVERED
    )
    Drift.objects.create(card=card, subject="price", found_at=now, found_by="poll", resolution=Drift.Resolution.ADOPTED)


def _fill(count: int) -> None:
    """Let there be so many leads, by copying a row of each table with what must differ."""
    present = Lead.objects.count()
    if present >= count:
        return
    stages = ",".join(str(pk) for pk in Stage.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    # So that every filtered page is full, over few rows too.
    waits = f"n <= {ONE_PAGE} OR n % 100 = 0"
    copy_leads(
        present + 1,
        count,
        stage_id=f"(ARRAY[{stages}])[1 + n % {Stage.objects.count()}]",
        handoff_source=f"CASE WHEN {waits} THEN 'admin' ELSE '' END",
        handoff_since=f"CASE WHEN {waits} THEN {AGO} END",
    )
    copy(
        Card,
        "(SELECT id, right(phone, 8)::int n FROM leads_lead WHERE id NOT IN (SELECT lead_id FROM bridge_card)) l",
        lead_id="l.id",
        kommo_lead_id="1000000000 + n",
        state=f"CASE WHEN n <= {ONE_PAGE} OR n % 100 = 0 THEN 'dead' WHEN n % 100 = 2 THEN 'due' ELSE 'in_sync' END",
        waiting_reason="CASE WHEN n % 100 = 0 THEN 'field “' || n % 7 || '” is not bound' ELSE '' END",
        due_at=f"CASE WHEN n > {ONE_PAGE} AND n % 100 = 2 THEN now() END",
        pending_since=f"CASE WHEN n > {ONE_PAGE} AND n % 100 = 2 THEN now() END",
    )
    of_every_card = f"bridge_card c, generate_series(1, {DELIVERIES_PER_LEAD}) n"
    # One in a thousand was refused: rare enough to be searched for among all others.
    refused = f"CASE WHEN c.id <= {ONE_PAGE} OR c.id % 1000 = 0 AND n = 1 THEN 'refused' ELSE 'delivered' END"
    copy(Delivery, of_every_card, card_id="c.id", at=AGO, outcome=refused)
    copy(
        Stay,
        "leads_lead l WHERE l.id NOT IN (SELECT lead_id FROM leads_stay)",
        lead_id="l.id",
        stage_id="l.stage_id",
        entered_at="l.updated_at",
    )
    # Where they stood before.
    copy(Stay, "leads_lead l, generate_series(1, 2)", lead_id="l.id", entered_at=AGO, left_at="now()")
    copy(Event, of_every_card, lead_id="c.lead_id", at=AGO)
    copy(Event, f"generate_series(1, {EVENTS_OF_ONE_LEAD}) n", at=AGO)
    failed = f"CASE WHEN n <= {ONE_PAGE} OR n % 1000 = 0 THEN 'failed' ELSE 'processed' END"
    copy(WebhookEvent, f"generate_series(1, {count}) n", received_at=AGO, state=failed)
    copy(WebhookItem, "bridge_webhookevent e", event_id="e.id", kommo_id="1000000000 + e.id")
    copy(AgentEvent, "bridge_card c", id="gen_random_uuid()", lead_id="c.lead_id", created_at=AGO)
    # At most one open difference about one thing.
    which = f"c.id <= {ONE_PAGE}" if present < ONE_PAGE else f"c.id > {ONE_PAGE} AND c.id % 1000 = 0"
    is_open = f"CASE WHEN {which} THEN 'open' ELSE 'adopted' END"
    copy(Drift, "bridge_card c", card_id="c.id", found_at=AGO, resolution=is_open)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
