"""The pages of the README, on a busy morning: they show what they are for, fit, and keep nobody out.

`make pictures` takes them anew.
"""

from __future__ import annotations

import pytest
import time_machine
from django.core.cache import cache
from playwright.sync_api import expect

from leads.models import Lead
from tests.browser import morning
from tests.browser.test_rules import path
from tests.browser.visits import barriers, fits


@pytest.fixture
def leads(account, pipeline):
    account.requests_per_second = 7
    account.save()
    # What pages keep for a while is of another test's day.
    cache.clear()
    with time_machine.travel(morning.NOW, tick=True):
        yield morning.settle_in(pipeline, account)


def test_the_overview_says_what_needs_a_person(open_page, leads, picture):
    page = open_page(role="administrator")
    problems = ("3 cards are blocked", "2 cards were refused", "1 card was deleted in Kommo", "1 difference to decide")
    for text in problems:
        expect(page.get_by_text(text)).to_be_visible()
    page.get_by_text("Technical figures").click()
    expect(page.get_by_text("running")).to_be_visible()
    page.get_by_text("Technical figures").click()
    page.evaluate("scrollTo(0, 0)")
    assert fits(page)
    assert barriers(page) == []
    picture(page, "overview", height=1700)


def test_the_overview_on_a_phone_in_the_dark_in_portuguese(open_page, leads, picture):
    page = open_page(language="pt-BR", viewport="phone", dark=True)
    expect(page.get_by_text("3 cards estão bloqueados")).to_be_visible()
    assert fits(page)
    picture(page, "overview-phone")


@pytest.fixture
def lead(leads):
    return (
        Lead.objects.filter(stage__key="meeting_scheduled")
        .exclude(handoff_source="")
        .order_by("-handoff_since")
        .first()
    )


def test_a_lead_says_where_it_stands_and_why(open_page, lead, picture):
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="seller")
    expect(page.get_by_role("heading", name="Why it is here, and why not elsewhere")).to_be_visible()
    expect(page.get_by_role("button", name="Give back to the agent")).to_be_visible()
    assert fits(page)
    picture(page, "lead", height=1400)


def test_a_lead_on_a_phone_in_portuguese(open_page, lead, picture):
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="seller", language="pt-BR", viewport="phone")
    expect(page.get_by_role("button", name="Devolver ao agente")).to_be_visible()
    assert fits(page)
    picture(page, "lead-phone")


def test_a_threshold_shows_who_would_move(open_page, leads, pipeline, picture):
    page = open_page(path("section", pipeline, section="qualification"), role="manager")
    page.get_by_label("Minimum score", exact=True).fill("78")
    page.keyboard.press("Tab")
    expect(page.locator("#what-if [data-complete]")).to_be_visible()
    expect(page.locator("#what-if")).to_contain_text("minimum 78")
    page.evaluate("document.activeElement.blur()")
    picture(page, "rules-threshold")


def test_a_sequence_shows_when_it_would_speak(open_page, leads, pipeline, picture):
    page = open_page(path("sequence", pipeline, slug="reengagement"), role="manager")
    expect(page.locator(".ru-time li")).to_have_count(5)
    picture(page, "rules-sequence")


@pytest.mark.parametrize(
    ("viewport", "dark", "language", "title"),
    [
        ("desktop", False, "pt-BR", "Resultados"),
        ("phone", True, "en", "Results"),
        ("phone", False, "pt-BR", "Resultados"),
    ],
)
def test_results_say_what_the_agent_was_worth(open_page, leads, picture, viewport, dark, language, title):
    page = open_page("/admin/results/", role="reader", language=language, viewport=viewport, dark=dark)
    expect(page.get_by_role("region", name=title)).to_be_visible()
    picture(
        page,
        "results" if (viewport, language) == ("desktop", "pt-BR") else f"results-{viewport}-{language}",
        full_page=True,
    )
    assert fits(page)
    assert barriers(page) == []
    page.locator("a.kb-tile").first.click()
    expect(page.get_by_role("listitem").first).to_be_visible()
    assert barriers(page) == []


def test_the_board_shows_the_same_leads(browser, leads, kommo, picture):
    context = browser.new_context(
        viewport={"width": 1440, "height": 860}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(kommo.url)
    expect(page.locator(".card").first).to_be_visible()
    picture(page, "board")
    context.close()
