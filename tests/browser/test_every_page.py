"""No page of the admin keeps anybody out: not one that cannot see, has no mouse, holds a phone or works in the dark."""

from __future__ import annotations

import os

import pytest
from django.test import Client

from tests.browser.pages import MODELS, add_one_of_each, every_page
from tests.browser.visits import barriers, fits, person, tab_stops_before_content

MOST_TAB_STOPS = 3


@pytest.fixture
def pages(account, played) -> list[str]:
    add_one_of_each(account, played)
    client = Client()
    client.force_login(person("superuser"), backend="django.contrib.auth.backends.ModelBackend")
    return every_page(client)


def test_every_table_has_a_row_and_every_row_a_page(pages):
    assert not [model._meta.label for model in MODELS if not model._default_manager.exists()]
    lists = [path for path in pages if path.count("/") == 4]
    assert len(lists) >= len(MODELS)
    assert len(pages) > 100


@pytest.mark.skipif("EVERY_PAGE" not in os.environ, reason="takes minutes: EVERY_PAGE=1 walks through all pages")
@pytest.mark.parametrize("viewport", ["desktop", "phone"])
@pytest.mark.parametrize("half", [0, 1])
def test_no_page_has_a_barrier_in_the_light_or_in_the_dark(open_page, pages, viewport, half):
    """Two halves: each by a worker of its own."""
    page = open_page(viewport=viewport)
    found: dict[str, list[str]] = {}
    for path in pages[half::2]:
        page.emulate_media(color_scheme="light")
        page.goto(path)
        faults = barriers(page, with_small=True)
        if not fits(page):
            faults.append("wider than the screen")
        if (stops := tab_stops_before_content(page)) > MOST_TAB_STOPS:
            faults.append(f"{stops} tab stops before the content")
        page.emulate_media(color_scheme="dark")
        # What is new in the dark are colours, and nothing else.
        faults += [f"dark: {one}" for one in barriers(page, only=["color-contrast"])]
        if faults:
            found[path] = faults
    assert not found, "\n".join(f"{path}: {fault}" for path, faults in found.items() for fault in faults)
