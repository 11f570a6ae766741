"""The first run in a real browser, from an empty bridge to a card in the sandbox; and every step once more."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from bridge import tasks
from bridge.models import Account, ApiKey
from leads.models import Lead, Stage
from tests.browser.visits import barriers, fits
from tests.conftest import drain

PHONE = "+55 81 99999-0000"


@pytest.fixture
def empty(pipeline, kommo, settings):
    """A bridge that knows no account, and a sandbox that knows no bridge."""
    settings.KOMMO_BASE_URL, settings.KOMMO_LONG_LIVED_TOKEN = kommo.url, ""
    kommo.post("options", {"requests_per_second": 1000})
    return kommo


def connect(page: Page, address: str, token: str = "sandbox-token") -> None:
    page.get_by_label("Address of the account").first.fill(address)
    page.get_by_label("Long-lived token").fill(token)
    page.get_by_role("button", name="Try and connect").click()


def test_from_an_empty_bridge_to_a_card_in_kommo(open_page, visits, empty, picture):
    page = open_page("/admin/setup/", role="administrator")
    expect(page.get_by_role("heading", name="Connect Kommo")).to_be_visible()
    picture(page, "setup-connect", height=720)
    connect(page, empty.url)

    expect(page.get_by_role("heading", name="Choose the pipeline")).to_be_visible()
    picture(page, "setup-pipeline")
    page.get_by_text("Funil de Vendas").check()
    page.get_by_role("button", name="Use this pipeline").click()

    expect(page.get_by_role("heading", name="Bind stages and fields")).to_be_visible()
    assert page.get_by_label("DESQUALIFICADO").input_value() == "create"
    picture(page, "setup-bind", height=1130)
    before = len(empty.journal())
    page.get_by_role("button", name="Show what will be created").click()
    expect(page.get_by_text("stage “DESQUALIFICADO” in the pipeline “Funil de Vendas”")).to_be_visible()
    expect(page.get_by_text("field “Bridge ID” of leads, for the bridge alone")).to_be_visible()
    assert not [call for call in empty.journal()[before:] if call["write"]]
    announced = page.locator(".kb-creations li").count()
    picture(page, "setup-create", height=620)
    page.get_by_role("button", name=re.compile("Create these")).click()

    expect(page.get_by_role("heading", name="Receive changes from Kommo")).to_be_visible()
    expect(page.get_by_text(f"{announced} things were created in Kommo.")).to_be_visible()
    assert not Stage.objects.filter(pipeline__slug="solar", kommo_status_id=None).exists()
    picture(page, "setup-webhook")
    page.get_by_role("button", name="Subscribe").click()

    expect(page.get_by_role("heading", name="Hear the conversations")).to_be_visible()
    page.get_by_role("link", name="Without: my agent reports by itself").click()

    expect(page.get_by_role("heading", name="Make the agent's key")).to_be_visible()
    page.get_by_label("Name of the agent").fill("Sophia")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#key-text").inner_text()
    assert ApiKey.objects.get(name="Sophia").prefix == key[:10]
    picture(page, "setup-key")
    page.get_by_role("link", name="I have kept it").click()

    page.get_by_label("WhatsApp number").fill(PHONE)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("On its way to Kommo")).to_be_visible()
    # What a worker does, and nothing is created before the account was read; the page finds out by itself.
    assert tasks.compare_first(Account.objects.get().pk)
    drain(Account.objects.get())
    expect(page.get_by_text("Kommo has the card")).to_be_visible()
    picture(page, "setup-trial", height=620)

    (card,) = empty.leads()
    lead = Lead.objects.get()
    assert (card["name"], card["status_name"], card["contacts"][0]["phones"]) == (
        lead.name,
        "Novo Lead",
        ["+5581999990000"],
    )
    page.goto("/admin/setup/")
    # All but the ways in, which nobody needs: the first run has ended all the same.
    assert page.locator(".kb-step-done").count() == 6


def test_a_token_that_kommo_refuses_is_said_in_plain_words_and_replaces_none(open_page, empty, account):
    empty.post("options", {"strict_tokens": True})
    page = open_page("/admin/setup/connect/", role="administrator")

    connect(page, empty.url, "another-token")

    expect(page.get_by_role("alert")).to_contain_text("Kommo does not accept this token")
    assert page.get_by_label("Address of the account").first.input_value() == empty.url
    account.refresh_from_db()
    assert account.access_token == "sandbox-token"


def test_an_account_is_connected_by_consent_and_comes_back_to_the_next_step(open_page, visits, empty):
    from kommo_sandbox.tokens import CLIENT_ID, CLIENT_SECRET

    visits.expect_fault(re.escape(empty.url))
    page = open_page("/admin/setup/connect/", role="administrator")
    page.get_by_text("By consent (OAuth)").click()
    form = page.locator("details[open]")
    form.get_by_label("Address of the account").fill(empty.url)
    form.get_by_label("Integration ID").fill(CLIENT_ID)
    form.get_by_label("Secret key").fill(CLIENT_SECRET)
    form.get_by_role("button", name="Go to Kommo and agree").click()

    expect(page.get_by_role("heading", name="Choose the pipeline")).to_be_visible()
    expect(page.get_by_text("Funil de Vendas").first).to_be_visible()
    assert Account.objects.get().refresh_token


def test_every_step_can_be_done_again_and_changes_nothing_that_is_right(open_page, account, kommo):
    page = open_page("/admin/setup/bind/", role="administrator")
    writes = len(kommo.writes())
    bound = list(Stage.objects.values_list("pk", "kommo_status_id"))

    page.get_by_role("button", name="Show what will be created").click()

    expect(page.get_by_text("Everything is bound.")).to_be_visible()
    assert list(Stage.objects.values_list("pk", "kommo_status_id")) == bound
    assert len(kommo.writes()) == writes


def test_two_stages_cannot_take_one_of_kommos(open_page, account):
    page = open_page("/admin/setup/bind/", role="administrator")

    page.get_by_label("QUALIFICADO", exact=True).select_option(label="Novo Lead")
    page.get_by_role("button", name="Show what will be created").click()

    expect(page.get_by_role("alert").first).to_contain_text("“NOVO LEAD” has it already.")


@pytest.mark.parametrize("viewport", ["desktop", "phone"])
def test_in_portuguese_every_step_fits_the_screen_and_keeps_nobody_out(open_page, account, picture, viewport):
    for name, says in (
        ("connect", "Conectar o Kommo"),
        ("pipeline", "Escolher o funil"),
        ("bind", "Vincular etapas e campos"),
        ("webhook", "Receber as mudanças do Kommo"),
        ("ways", "Receber as conversas"),
        ("key", "Criar a chave do agente"),
        ("trial", "Enviar a primeira mensagem"),
    ):
        page = open_page(
            f"/admin/setup/{name}/", role="administrator", language="pt-BR", viewport=viewport, dark=name == "bind"
        )
        expect(page.get_by_role("heading", name=says)).to_be_visible()
        picture(page, f"pt-{viewport}-{name}", full_page=True)
        assert fits(page), name
        assert barriers(page) == []


@pytest.mark.parametrize("role", ["reader", "seller", "manager"])
def test_only_an_admin_sets_up(open_page, visits, account, role):
    visits.expect_fault("403 GET /admin/setup/bind/")
    page = open_page("/admin/setup/bind/", role=role)
    expect(page.get_by_text("403").first).to_be_visible()
