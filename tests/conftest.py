"""What many tests need: the shipped pipeline, a sandbox of Kommo, an account connected to it, and a drain at hand."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone, translation
from hypothesis import settings

from bridge import due_work, tasks
from bridge.accounts import database_clock
from bridge.accounts.connection import client_for
from bridge.cards import account_lease, gathering
from bridge.cards.account_lease import Lease
from bridge.configuration.account_from_environment import ensure_account
from bridge.configuration.connecting import Connection
from bridge.delivery.draining import LONGEST_DRAIN, Drain
from bridge.kommo import transport
from bridge.kommo.parallel_calls import Abreast
from bridge.models import Account, CallSlot, Card
from kommo_sandbox.server import SandboxServer
from kommo_sandbox.staff import Kommo
from leads import interaction_values, interactions
from leads.models import Lead, Pipeline
from leads.phone import parse
from tests import schema
from tests.connected import Connected, all_rows

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("bridge", deadline=None)
settings.load_profile("bridge")

pytest_plugins = ["kommo_sandbox.pytest_plugin"]

REAL_PROCESSES = ("e2e", "operations")
# Fixtures with which a test commits what it stores.
COMMITTING = {"transactional_db", "live_server"}
NO_CEILING = {"requests_per_second": 1000}
MARIA = "+5581999990000"


# Thousands of tests are collected, and stay to the end: nobody looks for garbage among them.
gc.disable()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[ExitStack]:
    """The last fixture before the test database is made."""
    with ExitStack() as until_made:
        with django_db_blocker.unblock():
            until_made.enter_context(schema.made_once(connection))
        yield until_made


@pytest.fixture(scope="session")
def django_db_setup(django_db_modify_db_settings: ExitStack, django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        django_db_modify_db_settings.close()


@pytest.fixture(autouse=True)
def _nothing_remembered_of_another_test() -> None:
    """What a page keeps for a few seconds of how all stands is that of another database by now."""
    cache.delete_many([f"doctor:{language}" for language, _ in django_settings.LANGUAGES])


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        default_alone = item.get_closest_marker("kommo_default")
        if config.getoption("--kommo") != "default" and default_alone:
            item.add_marker(pytest.mark.skip(reason=default_alone.args[0]))
        names, folder = set(getattr(item, "fixturenames", ())), item.path.parent.name
        if folder == "browser":
            # Here, or it would be too late to choose tests by them.
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.once)
        if folder in REAL_PROCESSES:
            # What they share takes long to start: workers side by side would each start their own.
            shared = "stack" if "stack" in names else item.path.stem
            item.add_marker(pytest.mark.xdist_group(shared))
        marked = item.get_closest_marker("django_db")
        # A browser's server answers in threads of its own, so rows must be committed.
        if folder == "browser" or names & COMMITTING or (marked and marked.kwargs.get("transaction")):
            # It ends with every table empty: what migrations brought, the pipeline above all, comes back.
            item.add_marker(pytest.mark.django_db(transaction=True, serialized_rollback=True), append=False)
        elif not (marked or "db" in names or _is_django_case(item) or folder in REAL_PROCESSES):
            item.add_marker(pytest.mark.once)
    if config.getoption("--kommo") != "default":
        apart = [item for item in items if not _asks_the_local_kommo(item)]
        items[:] = [item for item in items if _asks_the_local_kommo(item)]
        config.hook.pytest_deselected(items=apart)
    # First what takes minutes, or one worker would be at it long after the others have ended.
    items.sort(key=lambda item: item.path.parent.name not in REAL_PROCESSES)


def _asks_the_local_kommo(item: pytest.Item) -> bool:
    """Say whether a test says more beside another profile: those of the sandbox itself set what they are about, and
    browsers and processes of their own start one that is as documented.
    """
    apart = {"kommo-sandbox", "browser", *REAL_PROCESSES}
    return "sandbox_server" in getattr(item, "fixturenames", ()) and apart.isdisjoint(item.path.parts)


def _is_django_case(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and issubclass(item.cls or object, TransactionTestCase)


@pytest.fixture(autouse=True)
def no_language_stays_active() -> Iterator[None]:
    """Forget the language of the last page a test asked for: LocaleMiddleware leaves it active in the thread."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's clock is this host's: tests let time pass for this process alone."""
    monkeypatch.setattr(database_clock, "_measured", None)
    monkeypatch.setattr(database_clock, "measure", timedelta)


@pytest.fixture(autouse=True)
def nobody_else_is_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain waits for no other cards to become due: there is but the test. Gathering has tests of its own."""
    monkeypatch.setattr(gathering, "GATHER_WHILE", timedelta(0))


@pytest.fixture(autouse=True)
def nothing_stays_counted() -> None:
    """Forget what was counted by address and key: every test comes from the same one."""
    cache.clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen for two seconds to a Kommo that never answers, not for twenty."""
    monkeypatch.setattr(transport, "TIMEOUT", (5, 2))


@pytest.fixture
def pipeline(db: None) -> Pipeline:
    return Pipeline.objects.get(slug="solar")


@pytest.fixture(scope="session")
def connections() -> list[Connected]:
    """The connection the first test that needs one has made."""
    return []


@pytest.fixture
def connect(db: None, kommo: Kommo, settings: Any) -> Callable[[], Account]:
    """Connect an account to the sandbox as it is, everything missing created there; its ceiling slows no test."""
    settings.KOMMO_BASE_URL, settings.KOMMO_LONG_LIVED_TOKEN = kommo.url, "sandbox-token"
    settings.KOMMO_REQUESTS_PER_SECOND = 50
    kommo.post("options", NO_CEILING)

    def run() -> Account:
        account = ensure_account()
        assert account is not None
        report = Connection(account, client_for(account), create_missing=True, now=timezone.now()).connect(None)
        assert report.missing == []
        account.refresh_from_db()
        return account

    return run


@pytest.fixture
def account(
    pipeline: Pipeline,
    kommo: Kommo,
    connect: Callable[[], Account],
    sandbox_server: SandboxServer,
    connections: list[Connected],
) -> Account:
    """A connected account, as `connect` makes it."""
    if not connections:
        before = all_rows()
        connect()
        connections.append(Connected.since(before, sandbox_server.sandbox))
    account = connections[0].restore(sandbox_server.sandbox)
    sandbox_server.sandbox.options.update(NO_CEILING)
    return account


def report(phone: str = MARIA, **reported: Any) -> interaction_values.Interaction:
    """An interaction as the API builds it: `context`, `custom`, `message` by name, all else is a fact."""
    parts = {
        key: reported.pop(key)
        for key in ("context", "custom", "message", "occurred_at", "via", "addresses")
        if key in reported
    }
    parts.setdefault("occurred_at", timezone.now())
    return interaction_values.Interaction(phone=parse(phone, region="BR"), facts=reported, **parts)


def record(pipeline: Pipeline, phone: str = MARIA, **reported: Any) -> interaction_values.Recorded:
    pipeline.refresh_from_db()
    return interactions.record(report(phone, **reported), pipeline=pipeline, now=timezone.now())


class OneByOne(Abreast):
    """Each call ends before anything else is done, in the thread of the test: what it does on the way is seen."""

    def _begin(self) -> None:
        self._orders.put(None)
        self._travel()


CALLS: list[type[Abreast]] = [OneByOne]


@pytest.fixture
def abreast() -> Iterator[None]:
    """Let drains have several calls under way, as workers do."""
    CALLS.append(Abreast)
    yield
    CALLS.pop()


def _drain_of(account: Account, lease: Lease, **more: Any) -> Drain:
    client = client_for(account)
    return Drain(account, lease, client, CALLS[-1](client, at_once=django_settings.KOMMO_CALLS_AT_ONCE), **more)


def drain(account: Account) -> bool:
    """Deliver everything that is due, as a worker would."""
    now = timezone.now()
    lease = account_lease.lease(account.pk, now=now)
    assert lease is not None, "somebody else holds the lease, or the account rests"
    fresh = Account.objects.get(pk=account.pk)
    try:
        return _drain_of(fresh, lease).run(until=now + LONGEST_DRAIN)
    finally:
        lease.release()


def drain_later(account: Account, **span: float) -> None:
    """Drain as a worker whose clock runs ahead of this one by a timedelta of `span`."""

    def clock() -> datetime:
        return timezone.now() + timedelta(**span)

    Account.objects.filter(pk=account.pk).update(retry_at=None)
    account.refresh_from_db()
    lease = account_lease.lease(account.pk, now=clock())
    assert lease
    try:
        _drain_of(account, lease, clock=clock).run(until=clock() + LONGEST_DRAIN)
    finally:
        lease.release()


def rested(account: Account) -> Account:
    """Let the waits of an account and its cards be over, as if the time had passed."""
    Account.objects.filter(pk=account.pk).update(retry_at=None)
    CallSlot.objects.filter(account=account).update(free_at=datetime(2020, 1, 1, tzinfo=UTC))
    account.cards.filter(due_at__isnull=False).update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
    account.refresh_from_db()
    return account


def look_again(account: Account) -> None:
    """Let the second look at leads that were missing come, as if the time until it had passed."""
    Card.objects.filter(missing_since__isnull=False).update(missing_since=datetime(2020, 1, 1, tzinfo=UTC))
    tasks.look_for_missing(account.pk)


def due_calls() -> list[tasks.TaskCall]:
    """What the worker's clock would hand to the queue now."""
    return [call for tick in due_work.TICKS for call in tick(timezone.now())]


def amount(value: Any) -> str:
    """Return a number of a card as people read it, in whatever form the account keeps it."""
    return format(Decimal(str(value)).normalize(), "f")


def lead_of(phone: str = MARIA) -> Lead:
    return Lead.objects.select_related("card", "stage").get(phone=phone)
