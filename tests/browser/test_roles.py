"""Each role's limits as people meet them, and no page of any role that keeps somebody out."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from bridge.admin.confirm import SESSION_KEY
from bridge.models import ApiKey
from tests.browser.visits import PASSWORD, barriers, fits

MACHINERY = {"Users", "Set up", "Who did what", "Webhooks", "Keys", "Queue", "Deliveries"}
SEES = {
    "reader": ({"Overview", "Results", "Leads", "Up next"}, MACHINERY | {"Rules", "Health"}),
    "seller": ({"Overview", "Results", "Leads", "Up next"}, MACHINERY | {"Rules", "Health"}),
    "manager": ({"Leads", "Rules", "Health"}, MACHINERY | {"Stages", "Qualification", "Advanced"}),
    "administrator": ({"Leads", "Rules", *MACHINERY, "Advanced"}, {"Stages", "Qualification", "Pipelines"}),
}


@pytest.mark.parametrize("role", SEES)
def test_the_sidebar_shows_what_a_role_may_open_and_no_more(open_page, role):
    page = open_page(role=role)
    names = page.locator("#nav-sidebar-apps li a > span:not(.material-symbols-outlined)").all_text_contents()
    shown = {name.strip() for name in names}
    offered, hidden = SEES[role]
    assert offered <= shown
    assert not hidden & shown


@pytest.mark.parametrize(("role", "offers"), [("reader", False), ("seller", False), ("manager", True)])
def test_only_a_manager_is_offered_a_list_as_a_file(open_page, played, role, offers):
    page = open_page("/admin/leads/lead/", role=role)
    expect(page.get_by_role("link", name="XLSX")).to_have_count(1 if offers else 0)


def test_a_key_asks_for_the_password_and_then_is_shown_once(open_page):
    page = open_page("/admin/setup/key/", role="administrator")
    forget_confirmation()
    page.get_by_label("Name of the agent").fill("Sophia")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("heading", name="Please confirm that it is you")).to_be_visible()
    assert barriers(page) == []

    page.get_by_label("Your password").fill("a guess")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()

    key = page.locator("#key-text").inner_text()
    assert ApiKey.objects.get().prefix == key[:10]
    page.goto("/admin/setup/key/")
    assert key not in page.content()


def forget_confirmation() -> None:
    """Let it be long ago that anybody gave their password."""
    for session in Session.objects.all():
        store = session.get_session_store_class()(session.session_key)
        store[SESSION_KEY] = 0
        store.save()


def test_with_the_keyboard_alone_one_logs_in(open_page, visits, db):
    User.objects.create_superuser("ada", password=PASSWORD)
    page = open_page(role=None)
    # Whether the browser gives the first field the focus by itself, and when, is its own affair.
    has_focus = page.get_by_label("Username").evaluate
    for _ in range(30):
        if has_focus("field => field === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visits.url}/admin/")


@pytest.mark.parametrize(("viewport", "language"), [("desktop", "en"), ("phone", "pt-BR")])
def test_no_page_of_an_admin_has_a_serious_barrier_or_is_wider_than_the_screen(open_page, played, viewport, language):
    page = open_page(role="administrator", viewport=viewport, language=language)
    found = {}
    for path in ("health/", "auth/user/", "auth/group/", "bridge/apikey/", "bridge/account/", "admin/logentry/"):
        page.goto(f"/admin/{path}")
        found[path] = barriers(page) + ([] if fits(page) else ["wider than the screen"])
    assert not {path: faults for path, faults in found.items() if faults}


@pytest.mark.parametrize("viewport", ["desktop", "phone"])
def test_the_content_is_three_keys_away_and_is_the_pages_one_main_part(open_page, viewport):
    page = open_page("/admin/leads/lead/", role="seller", viewport=viewport)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text("Leads")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_the_pages_of_every_day_are_under_the_thumb(open_page, played, dark):
    page = open_page(role="seller", viewport="phone", dark=dark)
    bar = page.get_by_role("navigation", name="At hand")
    bar.get_by_role("link", name="Leads", exact=True).click()
    expect(page).to_have_url(re.compile("/leads/lead/"))
    expect(bar.get_by_role("link", name="Leads", exact=True)).to_have_attribute("aria-current", "page")
    assert barriers(page) == []
    assert fits(page)
