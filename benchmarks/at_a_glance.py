"""What a manager opens every morning over a million leads, against the same pages over an almost empty table (PG).

A million leads are three years of a busy company: what is counted grows with the days that are looked at. Each page may
cost so many queries whatever the tables hold, half a second at most, and its time is told beside that of an empty one.
What the search needs is kept as people write: the part of an interaction's time that takes, in conversations of ten
messages, the name told in the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from benchmarks import cards
from benchmarks.admin_pages import MOST_MS, PLAIN_FILES, Cost, _cost
from benchmarks.copies import copy, copy_leads
from benchmarks.figures import Figure, at_most, shown
from benchmarks.harness import Bench, say
from benchmarks.inprocess import Caller
from benchmarks.interactions_rate import INTERACTIONS, interaction
from bridge.api import api_keys
from bridge.models import ApiKey, Card
from leads import name_words
from leads.announcements import leads_saved
from leads.models import Event, Lead, Meeting, Message, Milestone, NameWord, Stage, Stay

# Who came later stands further down, as where leads come one after the other.
YEARS = "now() - (1 - n / {count}.0) * interval '1095 days'"
EVENTS_PER_LEAD = 3
MESSAGES, MOST_OF_AN_INTERACTION = 10, 0.02
# Numbers of people whom nobody has heard of.
NEWCOMERS = 5_000_000
FIRST = ("ana", "bruno", "camila", "diego", "elisa", "fabio", "gabriela", "hugo", "iris", "joao")


def run(bench: Bench) -> Iterator[Figure]:
    count, samples = bench.size(1_000_000, 20_000), bench.size(30, 10)
    account = cards.connect(bench)
    cards.add_leads(account, 1)
    cards.deliver(account)
    _add_one_of_each()
    with override_settings(STORAGES=PLAIN_FILES, CACHES={"default": {"BACKEND": NO_CACHE}}):
        browser = Client(SERVER_NAME="localhost")
        browser.force_login(User.objects.create_superuser("ada", "ada@example.com", "a-password"))
        empty = {name: _cost(browser, path, samples) for name, path in _pages().items()}
        say(f"    {count:,} leads, {count * EVENTS_PER_LEAD:,} events")
        _fill(count)
        full = {name: _cost(browser, path, samples) for name, path in _pages().items()}
    for name in full:
        yield from _figures(name, empty[name], full[name], count)
    yield _cost_of_the_search(bench.size(200, 20))


# Nothing that is kept for a minute makes a page look cheaper than it is.
NO_CACHE = "django.core.cache.backends.dummy.DummyCache"


def _pages() -> dict[str, str]:
    search = reverse("admin:search")
    return {
        "overview": reverse("overview-live"),
        "results": reverse("results-page"),
        "found by a name many have": f"{search}?s=joao",
        "found by two words": f"{search}?s=silva+ana",
        "found by a name nobody has": f"{search}?s=zebedeu",
    }


def _figures(name: str, empty: Cost, full: Cost, count: int) -> Iterator[Figure]:
    yield at_most(empty.queries + 2, f"{name}: queries", full.queries, f"over an empty table ({empty.queries})")
    yield at_most(MOST_MS, f"{name}: p95 in ms", full.p95_ms, f"over {count:,} leads")
    yield shown(f"{name}: p95", full.p95_ms / empty.p95_ms, f"over an empty table ({empty.p95_ms:.0f} ms)")


def _cost_of_the_search(conversations: int) -> Figure:
    caller = Caller(Authorization=f"Api-Key {api_keys.issue(ApiKey(name='benchmark'))}")
    whole = spent = 0.0

    def follow(saved: list[name_words.Saved], **more: Any) -> None:
        nonlocal spent
        started = time.perf_counter()
        name_words.follow(saved, **more)
        spent += time.perf_counter() - started

    leads_saved.disconnect(name_words.follow)
    leads_saved.connect(follow, weak=False)
    for number in range(conversations):
        for message in range(MESSAGES):
            body = interaction(NEWCOMERS + number, bill_value=100 + message)
            whole += caller.call("POST", INTERACTIONS, body)[0]
    yardstick = f"{conversations} conversations of {MESSAGES} messages"
    return at_most(MOST_OF_AN_INTERACTION, "keeping names findable, of an interaction", spent / whole, yardstick)


def _add_one_of_each() -> None:
    """Add the rows to copy that a first delivery has not written."""
    lead, now = Lead.objects.get(), timezone.now()
    booked = {"status": "scheduled", "began_as": "scheduled", "starts_at": now, "first_told_at": now, "told_at": now}
    Meeting.objects.create(lead=lead, meeting_id="m", is_by_agent=True, **booked)
    Message.objects.create(lead=lead, direction="inbound", text="Oi!", at=now, state="received")
    Milestone.objects.create(lead=lead, pipeline=lead.pipeline, kind="first_reply", at=now, seconds=20)
    NameWord.objects.create(lead=lead, word="primeira")


def _fill(count: int) -> None:
    stages = ",".join(str(pk) for pk in Stage.objects.order_by("rank").values_list("pk", flat=True))
    number = Stage.objects.count()
    names = "ARRAY[" + ",".join(f"'{name}'" for name in FIRST) + f"])[1 + n % {len(FIRST)}]"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    # One in two thousand waits for a person.
    copy_leads(
        2,
        count,
        created_at=YEARS.format(count=count),
        stage_id=f"(ARRAY[{stages}])[1 + n % {number}]",
        bill_value="n % 5000",
        handoff_source="CASE WHEN n % 2000 = 0 THEN 'api' ELSE '' END",
        handoff_since="CASE WHEN n % 2000 = 0 THEN now() - n % 9000 * interval '1 minute' END",
    )
    numbered = "(SELECT id, created_at, stage_id, row_number() OVER () n FROM leads_lead) l"
    copy(NameWord, numbered, lead_id="l.id", word=f"({names}")
    copy(
        NameWord,
        numbered,
        lead_id="l.id",
        word="CASE WHEN n % 3 = 0 THEN 'silva' ELSE 'pessoa' || n END",
    )
    left_at = "l.created_at + interval '2 hours'"
    copy(Stay, numbered, lead_id="l.id", entered_at="l.created_at", left_at=left_at)
    copy(Event, f"{numbered}, generate_series(1, {EVENTS_PER_LEAD})", lead_id="l.id", at="l.created_at")
    spoken = "CASE WHEN m % 2 = 0 THEN 'inbound' ELSE 'outbound' END"
    message = {"id": "gen_random_uuid()", "lead_id": "l.id", "at": "l.created_at + m * interval '1 hour'"}
    copy(Message, f"{numbered}, generate_series(1, 3) m", direction=spoken, message_id="''", **message)
    copy(Milestone, numbered, lead_id="l.id", at="l.created_at", seconds="n % 3000")
    booked = f"(SELECT * FROM {numbered} WHERE n % 5 = 0) l"
    copy(Meeting, booked, lead_id="l.id", meeting_id="'of ' || l.n", first_told_at="l.created_at", starts_at=left_at)
    copy(
        Card,
        "(SELECT id, row_number() OVER () n FROM leads_lead WHERE id NOT IN (SELECT lead_id FROM bridge_card)) l",
        lead_id="l.id",
        kommo_lead_id="1000000000 + n",
    )
    with connection.cursor() as cursor:
        # As autovacuum does.
        cursor.execute("VACUUM ANALYZE")
