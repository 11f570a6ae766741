"""No page of the admin keeps anybody out: not one that cannot see, has no mouse, holds a phone or works in the dark.

Every run looks at one page of each kind; EVERY_PAGE=1 at all pages that each role may open, which takes half an hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import pytest
from django.test import Client
from playwright.sync_api import Page

from tests.browser.pages import MODELS, add_one_of_each, every_page
from tests.browser.visits import barriers, fits, person, tab_stops_before_content

MOST_TAB_STOPS = 3
# Each role once, each language on both sizes; everything there is, and its buttons, by somebody who may do all.
PEOPLE = [
    ("superuser", "desktop", "en"),
    ("superuser", "phone", "pt-BR"),
    ("administrator", "phone", "es"),
    ("manager", "desktop", "es"),
    ("seller", "phone", "en"),
    ("reader", "desktop", "pt-BR"),
]
PARTS = 3
only_when_asked = pytest.mark.skipif("EVERY_PAGE" not in os.environ, reason="half an hour: EVERY_PAGE=1")


@pytest.fixture
def pages_of(account, played) -> Callable[[str], list[str]]:
    """Return a function that tells the pages somebody of a role may open."""
    add_one_of_each(account, played)
    return lambda role: every_page(client_of(role))


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(person(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def one_of_each_kind(client: Client, paths: Iterable[str]) -> Iterator[str]:
    """Yield those of some pages that are the first made of their template: what it holds is seen on any of them."""
    seen = set()
    for path in paths:
        template = client.get(path).templates[0].name
        # Django's own lists and forms are made of one template each; what stands in their cells is the table's own.
        if template not in seen:
            seen.add(template)
            yield path


def test_every_table_has_a_row_and_every_row_a_page(pages_of):
    pages = pages_of("superuser")
    assert not [model._meta.label for model in MODELS if not model._default_manager.exists()]
    lists = [path for path in pages if path.count("/") == 4]
    assert len(lists) >= len(MODELS)
    assert len(pages) > 100


@pytest.mark.parametrize(
    ("role", "viewport", "language", "fewest_kinds"),
    [("superuser", "desktop", "es", 25), ("superuser", "phone", "pt-BR", 25), ("reader", "desktop", "en", 15)],
)
def test_a_page_of_each_kind_has_no_barrier(open_page, pages_of, role, viewport, language, fewest_kinds):
    kinds = list(one_of_each_kind(client_of(role), pages_of(role)))
    assert len(kinds) > fewest_kinds
    found = barriers_of(open_page(role=role, viewport=viewport, language=language), kinds)
    assert not found, as_text(found)


@only_when_asked
@pytest.mark.parametrize(("role", "viewport", "language"), PEOPLE)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_page_has_a_barrier(open_page, pages_of, role, viewport, language, part):
    """In parts: each by a worker of its own."""
    found = barriers_of(open_page(role=role, viewport=viewport, language=language), pages_of(role)[part::PARTS])
    assert not found, as_text(found)


def barriers_of(page: Page, paths: Iterable[str]) -> dict[str, list[str]]:
    """Return what keeps people out of some pages, in the light and in the dark."""
    found: dict[str, list[str]] = {}
    for path in paths:
        page.emulate_media(color_scheme="light")
        page.goto(path)
        faults = barriers(page, with_small=True)
        if not fits(page):
            faults.append("wider than the screen")
        if (stops := tab_stops_before_content(page)) > MOST_TAB_STOPS:
            faults.append(f"{stops} tab stops before the content")
        page.emulate_media(color_scheme="dark")
        # What is new in the dark are colours, and nothing else.
        faults += [f"dark: {barrier}" for barrier in barriers(page, only=["color-contrast"])]
        if faults:
            found[path] = faults
    return found


def as_text(found: dict[str, list[str]]) -> str:
    return "\n".join(f"{path}: {fault}" for path, faults in found.items() for fault in faults)
