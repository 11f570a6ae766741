"""A seller narrows the list of leads with a press, saves it under a name, and reads it on a phone with a thumb."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from bridge.models import Card
from leads import handoff
from leads.models import Lead, Milestone
from tests.browser.visits import barriers, fits

LIST = "/admin/leads/lead/"
ROW = 72
# How much of a row reaches below it.
CUT = """row => [...row.querySelectorAll("*")].filter(one => one.offsetParent
  && one.getBoundingClientRect().bottom > row.getBoundingClientRect().bottom + 1).length"""


@pytest.fixture
def leads(played):
    """The demo's people; one waits for a person, and each is somebody's in Kommo."""
    waits = next(candidate for candidate in played if candidate.name == "Gabriela Rocha")
    now = timezone.now()
    handoff.pause(waits, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=now)
    Card.objects.filter(lead=waits).update(state=Card.State.DEAD, waiting_reason="refused by Kommo: name: too long")
    return played


def rows(page):
    return page.locator("#result_list tr.data-row")


def test_a_seller_sees_who_waits_saves_the_list_and_takes_the_deletion_back(open_page, leads):
    page = open_page(LIST, role="seller")
    expect(rows(page)).to_have_count(len(leads))

    page.get_by_role("link", name="Waiting for a person").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Gabriela Rocha")
    expect(rows(page)).to_contain_text("refused by Kommo")

    page.get_by_role("button", name="Save this view").click()
    page.get_by_label("Name", exact=True).fill("Mornings")
    page.get_by_label("The whole team sees it").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as “Mornings”.")).to_be_visible()

    colleague = open_page(LIST, role="reader")
    colleague.get_by_role("navigation", name="Saved views").get_by_role("link", name="Mornings").click()
    expect(rows(colleague)).to_have_count(1)
    expect(colleague.get_by_role("button", name="Change this view")).to_have_count(0)

    page.get_by_role("button", name="Change this view").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("navigation", name="Saved views")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("navigation", name="Saved views")).to_contain_text("Mornings")


def test_leads_are_narrowed_to_somebodys_and_sorted_by_value(open_page, leads, account):
    account.catalogue.users = [{"id": 7, "name": "Ana Ribeiro", "email": "seller@example.com"}]
    account.catalogue.save()
    Lead.objects.filter(name="Gabriela Rocha").update(kommo_responsible_id=7, bill_value=9_999_999)
    page = open_page(LIST, role="seller")

    page.locator("summary", has_text="Last touched").click()
    page.get_by_role("link", name="Largest value").click()
    expect(rows(page).first).to_contain_text("9,999,999")

    page.locator("summary", has_text="Responsible").click()
    page.get_by_role("link", name="Ana Ribeiro").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Ana Ribeiro")


@pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [("phone", False, "pt-BR"), ("phone", True, "en"), ("desktop", False, "es"), ("desktop", True, "pt-BR")],
)
def test_the_list_can_be_read_and_used_by_everybody(open_page, leads, viewport, dark, language, picture):
    page = open_page(LIST, role="seller", language=language, viewport=viewport, dark=dark)
    expect(rows(page)).to_have_count(len(leads))
    assert fits(page)
    assert barriers(page) == []
    picture(page, f"leads-{viewport}-{language}")


def test_on_a_phone_a_lead_takes_72_pixels_and_a_press_anywhere_opens_it(open_page, leads):
    page = open_page(LIST, role="seller", viewport="phone", language="pt-BR")
    expect(rows(page)).to_have_count(len(leads))
    heights = page.evaluate("[...document.querySelectorAll('tr.data-row')].map(row => row.offsetHeight)")
    assert set(heights) == {ROW}
    row = rows(page).filter(has_text="Gabriela Rocha")
    cut = row.evaluate(CUT)
    assert cut == 0

    box = row.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 20, box["y"] + box["height"] - 8)
    expect(page.get_by_role("heading", name="Gabriela Rocha")).to_be_visible()


SELLERS = ("/admin/", LIST, "/admin/results/", "/admin/followups/enrollment/", "/admin/followups/attempt/",
           "/admin/leads/optout/")  # fmt: skip
MANAGERS = ("/admin/leads/pipeline/1/rules/", "/admin/bridge/drift/", "/admin/health/")


def test_no_page_of_a_seller_or_manager_scrolls_sideways_on_the_narrowest_phone(open_page, leads, pipeline):
    pages = [
        *SELLERS,
        f"{LIST}{leads[0].pk}/change/",
        *(address.replace("/1/", f"/{pipeline.pk}/") for address in MANAGERS),
    ]
    for language in ("pt-BR", "en"):
        page = open_page(role="manager", viewport="phone", language=language)
        page.set_viewport_size({"width": 360, "height": 740})
        for path in pages:
            page.goto(path)
            assert fits(page), (path, language)


LONG_WORD = "maria.aparecida.de.souza.albuquerque.e.lima@comercial.exemplo.com.br"


def test_no_name_of_one_long_word_widens_a_page_of_the_narrowest_phone(open_page, leads, pipeline):
    """People are called by addresses, and so are stages, sellers and reasons."""
    lead = leads[0]
    Lead.objects.filter(pk=lead.pk).update(name=LONG_WORD, bill_value="9999999999.99")
    lead.stage.name = LONG_WORD
    lead.stage.save()
    now = timezone.now()
    for kind in Milestone.Kind.values:
        Milestone.objects.create(lead=lead, pipeline=pipeline, kind=kind, at=now, detail=LONG_WORD, seconds=999_999)
    page = open_page(role="manager", viewport="phone", language="pt-BR")
    page.set_viewport_size({"width": 360, "height": 740})
    results = "/admin/results/"
    for path in (
        "/admin/",
        results,
        f"{results}leads/",
        f"{results}because/?of={LONG_WORD}",
        f"{LIST}{lead.pk}/change/",
    ):
        page.goto(path)
        expect(page.get_by_text(LONG_WORD).first).to_be_attached()
        assert fits(page), path


def test_rows_of_follow_ups_are_as_low_on_a_phone(open_page, leads):
    page = open_page("/admin/followups/enrollment/", role="seller", viewport="phone", language="pt-BR")
    expect(rows(page).first).to_be_visible()
    heights = page.evaluate("[...document.querySelectorAll('tr.data-row')].map(row => row.offsetHeight)")
    assert set(heights) == {ROW}
    assert barriers(page) == []


def test_a_fact_is_set_right_on_the_leads_page(open_page, leads):
    lead = next(candidate for candidate in leads if candidate.name == "Gabriela Rocha")
    page = open_page(f"{LIST}{lead.pk}/change/", role="seller", language="pt-BR")
    page.get_by_role("button", name="Editar …").click()
    page.get_by_label("Nome", exact=True).fill("Gabriela Rocha Lima")
    page.get_by_label("Valor da conta").fill("1.350,50")
    page.get_by_role("button", name="Salvar", exact=True).click()

    expect(page.get_by_text("Mudado aqui, e logo no Kommo.")).to_be_visible()
    expect(page.get_by_role("heading", name="Gabriela Rocha Lima")).to_be_visible()
    expect(page.locator("section", has=page.get_by_role("heading", name="O que sabemos"))).to_contain_text(
        "R$ 1.350,50"
    )
    card = Card.objects.get(lead=lead)
    assert card.state == Card.State.DUE


def test_the_head_of_a_leads_page_keeps_up_by_itself(open_page, leads):
    lead = next(candidate for candidate in leads if candidate.name != "Gabriela Rocha" and not candidate.in_handoff)
    page = open_page(f"{LIST}{lead.pk}/change/", role="reader")
    expect(page.get_by_text("silent: a person has it")).to_have_count(0)
    handoff.pause(
        lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="vou ligar", now=timezone.now(), user="ana"
    )
    # What a tab does when somebody comes back to it; otherwise it is a matter of ten seconds.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("silent: a person has it")).to_be_visible()
