"""Two leads that are probably one person, in a real browser: what joining does is read before it is done."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from leads.models import JoinedLead
from tests.bridge.admin.test_address_words import pair
from tests.browser.visits import barriers, fits

__all__ = ["pair"]


@pytest.mark.parametrize(
    ("viewport", "dark", "language", "opens", "joins"),
    [
        ("desktop", False, "en", "Join them …", "Join them"),
        ("phone", True, "pt-BR", "Unificar …", "Unificar"),
    ],
)
def test_a_pair_is_joined_after_it_was_read_what_that_does(
    open_page, pair, picture, viewport, dark, language, opens, joins
):
    page = open_page(
        f"/admin/leads/lead/{pair.younger_id}/change/", role="seller", language=language, viewport=viewport, dark=dark
    )
    assert fits(page)
    assert barriers(page) == []
    page.get_by_role("button", name=opens).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(str(pair.younger.card.kommo_lead_id))
    picture(page, f"same-{viewport}")

    dialog.get_by_role("button", name=joins, exact=True).click()

    expect(page).to_have_url(f"{page.url.partition('/admin/')[0]}/admin/leads/lead/{pair.older_id}/change/")
    assert JoinedLead.objects.get().former_id == pair.younger_id
