"""Maria is found with a key and her name: what happened to her is one press away."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visits import barriers, fits


@pytest.mark.parametrize("key", ["t", "Control+k"])
def test_a_lead_is_found_without_the_mouse(open_page, played, key):
    page = open_page(role="reader")
    page.keyboard.press(key)
    page.get_by_role("searchbox").fill("rocha gabri")
    expect(page.locator("#command-results-list a").filter(has_text="Gabriela Rocha")).to_be_visible()
    expect(page.locator("#command-results-list li.active")).to_contain_text("Gabriela Rocha")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gabriela Rocha").first).to_be_visible()


@pytest.mark.parametrize(("viewport", "dark"), [("desktop", True), ("phone", False)])
def test_a_lead_is_found_by_a_click_or_two(open_page, played, viewport, dark):
    page = open_page(language="pt-BR", viewport=viewport, dark=dark, role="seller")
    if viewport == "phone":
        page.locator("[x-on\\:click*=sidebar]:visible").first.click()
    page.get_by_role("button", name="Buscar tudo").click()
    page.get_by_role("searchbox").fill("gabriela")
    link = page.locator("#command-results-list a").filter(has_text="Gabriela Rocha")
    expect(link).to_be_visible()
    assert fits(page)
    assert barriers(page) == []
    link.click()
    expect(page.get_by_role("heading", name="Gabriela Rocha").first).to_be_visible()


def test_what_nobody_is_called_is_said_and_enter_does_nothing(open_page, played):
    page = open_page(role="reader")
    page.keyboard.press("t")
    page.get_by_role("searchbox").fill("zebedeu")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Nothing found")).to_be_hidden()
