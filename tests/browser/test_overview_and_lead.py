"""Staff free what is stuck and give leads back with a mouse or a thumb, in both languages, and see it at once."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from bridge.models import Card, Heartbeat
from leads import handoff
from leads.models import Lead
from tests.browser.visits import barriers, fits


@pytest.fixture
def lead(played):
    """One of the demo's leads; a worker is at work."""
    Heartbeat.objects.create(worker="one", at=timezone.now())
    return next(candidate for candidate in played if candidate.name == "Gabriela Rocha")


def hand_over(lead):
    now = timezone.now()
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=now)


def test_cards_that_were_refused_are_sent_again_from_the_overview(page, lead):
    Card.objects.filter(lead=lead).update(state=Card.State.DEAD, waiting_reason="refused by Kommo: name: too long")
    page.reload()
    concern = page.get_by_role("listitem").filter(has_text="1 card was refused")
    expect(concern).to_contain_text("name: too long")

    concern.get_by_role("button", name="Send 1 card again").click()

    expect(page.get_by_text("1 card will be sent again.")).to_be_visible()
    expect(page.get_by_text("1 card was refused")).to_have_count(0)
    assert Card.objects.get(lead=lead).state == Card.State.DUE


def test_a_lead_is_given_back_on_a_phone_in_portuguese(open_page, lead):
    hand_over(lead)
    page = open_page(language="pt-BR", viewport="phone")
    row = page.get_by_role("listitem").filter(has_text="Gabriela Rocha").filter(has_text="quer uma pessoa")
    assert fits(page)

    row.get_by_role("button", name="Devolver ao agente").click()

    expect(page.get_by_text("O agente voltou a responder.")).to_be_visible()
    expect(page.get_by_text("Ninguém espera: o agente responde a todos os leads.")).to_be_visible()
    lead.refresh_from_db()
    assert not lead.in_handoff


def test_the_overview_updates_by_itself(page, lead):
    expect(page.get_by_text("quer uma pessoa")).to_have_count(0)
    hand_over(lead)
    # What a tab does when somebody comes back to it; otherwise it is a matter of ten seconds.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("quer uma pessoa")).to_be_visible()


def test_a_lead_is_moved_after_being_asked_and_its_page_says_so(open_page, lead):
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="seller")
    page.get_by_role("button", name="Move …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()

    page.get_by_role("button", name="Move …").click()
    dialog.get_by_label("Stage").select_option(label="QUALIFICADO")
    dialog.get_by_label("Why, for the timeline").fill("talked on the phone")
    dialog.get_by_role("button", name="Move", exact=True).click()

    expect(page.get_by_text("The lead stands in QUALIFICADO now, and rules leave it there.")).to_be_visible()
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.locator(".kb-timeline")).to_contain_text("talked on the phone")
    lead.refresh_from_db()
    assert (lead.stage.key, lead.stage_set_by) == ("qualified", Lead.Actor.STAFF)


def test_a_viewer_sees_the_lead_and_no_button(open_page, lead):
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="reader")
    expect(page.get_by_role("heading", name="Gabriela Rocha")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Move|Erase|Send|Pause"))).to_have_count(0)


@pytest.mark.parametrize(("viewport", "dark", "language"), [("desktop", False, "en"), ("phone", True, "pt-BR")])
def test_overview_lead_and_logs_can_be_read_and_used_by_everybody(open_page, lead, viewport, dark, language):
    hand_over(lead)
    Card.objects.filter(lead=lead).update(state=Card.State.DEAD, waiting_reason="refused by Kommo: name: too long")
    page = open_page(language=language, viewport=viewport, dark=dark)
    for path in ("/admin/", f"/admin/leads/lead/{lead.pk}/change/", "/admin/leads/lead/", "/admin/bridge/delivery/"):
        page.goto(path)
        assert fits(page), path
        assert barriers(page) == [], path
