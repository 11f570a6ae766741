"""The first page, as the first test of the harness: it opens for people, in both languages, at both sizes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visits import PASSWORD, fits, person


@pytest.mark.parametrize("viewport", ["desktop", "phone"])
@pytest.mark.parametrize(("language", "says"), [("en", "Funnel"), ("pt-BR", "Funil")])
def test_it_speaks_the_persons_language_and_fits_the_screen(open_page, played, language, says, viewport):
    page = open_page(language=language, viewport=viewport)

    expect(page.get_by_text(says).first).to_be_visible()
    assert fits(page)


def test_a_person_logs_in_with_name_and_password(open_page, visits, db):
    person("superuser")
    page = open_page(role=None)

    page.get_by_label("Username").fill("superuser")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page).to_have_url(f"{visits.url}/admin/")
