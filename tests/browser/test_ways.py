"""Ways in, in a real browser: chosen by picture, made, copied, tested and seen to hear, in both languages and sizes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import requests
from django.utils import timezone
from playwright.sync_api import expect

from bridge.admin.ways.intake_guides import GUIDES
from bridge.intakes import managing_intakes, reading_calls
from bridge.intakes.source_kinds import SOURCES
from bridge.models import Intake
from leads.models import Lead
from tests.bridge.intakes.bodies import body
from tests.browser.visits import barriers, fits


def tell(server, intake, name="evolution/01"):
    """Let the other side call, and a worker read it."""
    answer = requests.post(f"{server.url}{managing_intakes.path_of(intake)}", json=body(name), timeout=10)
    assert answer.status_code == 200
    reading_calls.read_all()


def test_a_messenger_is_connected_in_the_first_run_and_heard_without_a_reload(
    open_page, visits, server, account, picture
):
    page = open_page("/admin/setup/ways/", role="administrator")
    expect(page.get_by_role("heading", name="Hear the conversations")).to_be_visible()
    picture(page, "setup-ways", height=900)
    page.get_by_role("link", name="Evolution API").click()

    expect(page.get_by_label("Key for the signature")).not_to_have_value("")
    page.get_by_label("Short name").fill("vendas")
    page.get_by_label("Key for the signature").fill("uma-chave-de-assinatura")
    picture(page, "way-make", height=560)
    page.get_by_role("button", name="Make the address").click()

    intake = Intake.objects.get()
    expect(page.locator("#way-address")).to_have_text(f"{server.url}{managing_intakes.path_of(intake)}")
    expect(page.locator("#jwt_key")).to_have_text("uma-chave-de-assinatura")
    expect(page.get_by_text("nothing heard yet")).to_be_visible()
    page.get_by_role("link", name="Go on with the set-up").click()

    expect(page.get_by_role("link", name="vendas")).to_be_visible()
    page.get_by_role("link", name="vendas").click()
    expect(page.locator("#jwt_key")).to_have_count(0)
    page.get_by_role("button", name="Test the address").click()
    expect(page.get_by_text("The address answers.")).to_be_visible()
    managing_intakes.establish("evolution", "vendas", settings={"jwt_key": ""})
    tell(server, intake)
    expect(page.get_by_text("a message, taken in")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="hears")).to_be_visible()
    assert Lead.objects.get().name == "Maria Souza"


def test_the_address_is_copied(open_page, visits, account):
    intake = managing_intakes.establish("zapi", "zap")
    page = open_page(f"/admin/bridge/intake/{intake.pk}/way/", role="administrator")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.get_by_role("button", name="Copy: Address to copy").click()

    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#way-address").inner_text()


def test_a_new_address_and_switching_off_ask_first(open_page, account):
    intake = managing_intakes.establish("zapi", "zap")
    page = open_page(f"/admin/bridge/intake/{intake.pk}/way/", role="administrator")
    old = page.locator("#way-address").inner_text()
    page.get_by_role("button", name="New address …").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#way-address")).to_have_text(old)

    page.get_by_role("button", name="New address …").click()
    page.get_by_role("dialog").get_by_role("button", name="New address").click()
    expect(page.get_by_text("A new address: paste it")).to_be_visible()
    expect(page.locator("#way-address")).not_to_have_text(old)

    page.get_by_role("button", name="Switch off …").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()


@pytest.fixture
def some(account, server, pipeline):
    """Ways in of every kind and state."""
    for kind, slug in (
        ("evolution", "whatsapp-vendas"),
        ("calcom", "reunioes"),
        ("chatwoot", "site"),
        ("waha", "teste"),
    ):
        managing_intakes.establish(kind, slug, pipeline=pipeline)
    tell(server, Intake.objects.get(slug="whatsapp-vendas"))
    now = timezone.now()
    Intake.objects.filter(slug="site").update(heard_at=now - timedelta(hours=3), refused_at=now - timedelta(minutes=2))
    Intake.objects.filter(slug="teste").update(is_active=False)
    return list(Intake.objects.order_by("slug"))


def test_the_page_of_all_ways_shows_who_hears_and_who_does_not(open_page, some, picture):
    page = open_page("/admin/bridge/intake/", role="administrator")
    row = page.get_by_role("listitem").filter(has_text="whatsapp-vendas")
    expect(row).to_contain_text("hears")
    expect(row).to_contain_text("Maria Souza: a message")
    expect(page.get_by_role("listitem").filter(has_text="site")).to_contain_text("wrong signature")
    picture(page, "ways", height=720)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="What to click in Evolution API")).to_be_visible()
    picture(page, "way", height=820)


@pytest.mark.parametrize("kind", SOURCES)
def test_each_kind_once_made_says_what_to_paste_where(open_page, account, picture, monkeypatch, kind):
    account.webhook_destination = "https://bridge.example.com/webhooks/kommo/nobody-sees-this/"
    account.save()
    # What pictures show opens nothing.
    monkeypatch.setattr("secrets.token_urlsafe", lambda size=24: "only-to-be-seen-in-this-picture-")
    page = open_page(f"/admin/bridge/intake/add/?kind={kind}", role="administrator")

    page.get_by_role("button", name="Make the address").click()

    expect(page.locator("#way-address")).to_contain_text("https://bridge.example.com/intake/")
    expect(page.get_by_role("heading", name="What to click in")).to_be_visible()
    for name, key in GUIDES[kind].keys.items():
        expect(page.locator(f"#{name}")).to_have_count(1 if key.ours else 0)
    picture(page, f"way-{kind}", full_page=True)
    assert fits(page)


@pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [("desktop", False, "pt-BR"), ("phone", True, "pt-BR"), ("phone", False, "en"), ("desktop", True, "en")],
)
def test_the_pages_fit_and_keep_nobody_out(open_page, some, picture, viewport, dark, language):
    page = open_page("/admin/setup/ways/", role="administrator", language=language, viewport=viewport, dark=dark)
    paths = ["/admin/setup/ways/", "/admin/bridge/intake/", "/admin/bridge/intake/add/"]
    paths += [f"/admin/bridge/intake/add/?kind={kind}" for kind in ("evolution", "zapi", "whatsapp_cloud")]
    paths += [f"/admin/bridge/intake/{intake.pk}/way/" for intake in some]
    paths += [f"/admin/bridge/intake/{some[0].pk}/change/"]
    for path in paths:
        page.goto(path)
        picture(page, re.sub(r"\W+", "-", f"{viewport}-{language}{path}"), full_page=True)
        assert fits(page), path
        assert barriers(page) == [], path
