"""Each role's limits as people meet them, and no page of any role that keeps somebody out."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from bridge.admin.confirm import SESSION_KEY
from bridge.models import ApiKey
from tests.browser.visits import PASSWORD, barriers, fits

SEES = {
    "viewer": ({"Overview", "Leads", "Deliveries"}, {"Users", "Set up", "Record"}),
    "operator": ({"Overview", "Leads", "Health"}, {"Users", "Set up", "Record"}),
    "manager": ({"Leads", "Rules"}, {"Users", "Set up", "Record", "Stages", "Qualification", "Advanced"}),
    "admin": ({"Leads", "Users", "Set up", "Record", "Advanced"}, {"Stages", "Qualification", "Pipelines"}),
}


@pytest.mark.parametrize("role", SEES)
def test_the_sidebar_shows_what_a_role_may_open_and_no_more(open_page, role):
    page = open_page(role=role)
    shown = {link.inner_text().split("\n")[-1].strip() for link in page.locator("#nav-sidebar-apps a, nav a").all()}
    offered, hidden = SEES[role]
    assert offered <= shown
    assert not hidden & shown


@pytest.mark.parametrize(("role", "offers"), [("viewer", False), ("operator", False), ("manager", True)])
def test_only_a_manager_is_offered_a_list_as_a_file(open_page, played, role, offers):
    page = open_page("/admin/leads/lead/", role=role)
    expect(page.get_by_role("link", name="XLSX")).to_have_count(1 if offers else 0)


def test_a_key_asks_for_the_password_and_then_is_shown_once(open_page):
    page = open_page("/admin/setup/key/", role="admin")
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
    page = open_page(role="admin", viewport=viewport, language=language)
    found = {}
    for path in ("health/", "auth/user/", "auth/group/", "bridge/apikey/", "bridge/account/", "admin/logentry/"):
        page.goto(f"/admin/{path}")
        found[path] = barriers(page) + ([] if fits(page) else ["wider than the screen"])
    assert not {path: faults for path, faults in found.items() if faults}
