"""The admin in a real browser: a live server on a database of its own, people of every role, and a guard on each page.

`open_page(role=…, language=…, viewport=…, dark=…)` is the way in; the `page` fixture is the commonest case of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from bridge.api import api_keys
from bridge.demo.conversations import CONVERSATIONS
from bridge.models import Account, ApiKey
from leads.models import Lead, Pipeline
from tests.browser.visits import CHROMIUM_FLAGS, Visits, chromium
from tests.conftest import drain

OpenPage = Callable[..., Page]

# A busy machine takes its time; what never comes still fails.
expect.set_options(timeout=30_000)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests after all others: Playwright keeps an event loop in the main thread."""
    ours = [item for item in items if "/browser/" in str(item.path)]
    items[:] = [item for item in items if item not in ours] + ours


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Start the browser, and give these tests a connection for the time its event loop runs.

    Django keeps connections apart for threads with and without a loop, so this one starts out unknown. SQLite's
    database in memory is copied into a file: in memory, all threads of the server would share one connection.
    """
    before = connections[DEFAULT_DB_ALIAS]
    contents = before._test_serialized_contents  # type: ignore[attr-defined]
    kept = connections.settings[DEFAULT_DB_ALIAS]
    if before.vendor == "sqlite":
        path = tmp_path_factory.mktemp("browser") / "bridge.sqlite3"
        with django_db_blocker.unblock(), closing(sqlite3.connect(path)) as copy:
            before.ensure_connection()
            before.connection.backup(copy)
        connections.settings[DEFAULT_DB_ALIAS] = kept | {"NAME": str(path), "CONN_MAX_AGE": 0}
    request.getfixturevalue("browser")
    connections[DEFAULT_DB_ALIAS]._test_serialized_contents = contents  # type: ignore[attr-defined]
    with django_db_blocker.unblock():
        # Every test puts in again what migrations made, by the ids it had then: PostgreSQL must not count from 1 again.
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True, reset_sequences=False)
    yield
    with django_db_blocker.unblock():
        connections[DEFAULT_DB_ALIAS].close()
    connections.settings[DEFAULT_DB_ALIAS] = kept


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium: install it (apt-get install chromium), or name one with CHROMIUM=/path/to/it")
    # Playwright's loop runs in this thread for as long as the browser does; the tests themselves stay synchronous.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[LiveServer]:
    server = LiveServer("127.0.0.1")
    yield server
    server.stop()


@pytest.fixture
def visits(server: LiveServer, browser: Browser, db: None) -> Iterator[Visits]:
    """Everything open in the browser; when the test ends, no page may have met an error or asked another host.

    The server comes before the browser: see `django_db_setup`.
    """
    visits = Visits(browser, server.url)
    yield visits
    visits.close()
    assert not visits.faults, "\n".join(visits.faults)


@pytest.fixture
def open_page(visits: Visits) -> OpenPage:
    """Return a function that opens the admin's first page, logged in: see `Visits.open`."""
    return visits.open


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A desktop page in English of somebody who may do everything."""
    return open_page()


@pytest.fixture
def played(account: Account, pipeline: Pipeline) -> list[Lead]:
    """The demo's conversations, all told and all on their cards in the sandbox."""
    agent = Client(headers={"authorization": f"Api-Key {api_keys.issue(ApiKey(name='demo agent'))}"})
    for conversation in CONVERSATIONS:
        for number, turn in enumerate(conversation.turns):
            body: dict[str, Any] = {
                "lead": {"phone": conversation.phone, **turn.lead},
                "message": {"id": f"{conversation.phone}/{number}", "direction": turn.direction, "text": turn.text},
            }
            if turn.context:
                body["context"] = turn.context
            answer = agent.post("/api/v1/interactions/", body, content_type="application/json")
            assert answer.status_code in (200, 201), answer.content
    drain(account)
    return list(Lead.objects.select_related("card", "stage").order_by("phone"))


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that photographs a page; SCREENSHOTS=docs/images keeps the pictures there."""
    directory = Path(os.environ.get("SCREENSHOTS") or tmp_path)

    def take(page: Page, name: str, *, full_page: bool = False, height: int | None = None) -> Path:
        if height and page.viewport_size:
            page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.png"
        page.screenshot(path=path, full_page=full_page, animations="disabled")
        return path

    return take
