"""A conversation on a lead's page, in a real browser: as one knows it, growing by itself, and back in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from leads.models import Lead, Message
from tests.browser.visits import barriers, fits
from tests.conftest import record

CONTA = {"kind": "document", "name": "conta.pdf"}
SAID = (
    (1600, "inbound", "Boa tarde, vi o anúncio de vocês. Quanto custa para uma casa?", {}),
    (1598, "outbound", "Oi, Maria! Aqui é a Sophia. Me conta: quanto vem sua conta de luz por mês?", {"read": True}),
    (1590, "inbound", "áudio", {"kind": "audio"}),
    (1589, "inbound", "Segue a conta", {"kind": "document", "attachments": [CONTA]}),
    (1580, "outbound", "Obrigada! Com R$ 780 por mês vale muito a pena. Posso marcar uma conversa?", {"read": True}),
    (35, "inbound", "Prefiro falar com uma pessoa 🙏", {}),
    (20, "staff", "Oi Maria, Carla aqui. Te ligo às 16h, pode ser?", {"author": "Carla Mendes", "state": "delivered"}),
    (3, "outbound", "Sua reunião está confirmada.", {"state": "not_delivered", "reason": "the conversation is closed"}),
)  # fmt: skip


def say(lead, minutes, direction, text, *, read=False, state="", **more):
    at = timezone.now() - timedelta(minutes=minutes)
    state = state or ("received" if direction == "inbound" else "delivered" if read else "sent")
    more.setdefault("channel", "whatsapp-vendas")
    return Message.objects.create(
        lead=lead, at=at, direction=direction, text=text, state=state, read_at=at if read else None, **more
    )


@pytest.fixture
def lead(account, pipeline) -> Lead:
    found: Lead = record(pipeline, name="Maria Souza").lead
    for minutes, direction, text, more in SAID:
        say(found, minutes, direction, text, **more)
    return found


def test_a_new_message_comes_into_sight_by_itself(open_page, lead, picture):
    for number in range(25):
        say(lead, 2000 + number, "inbound", f"antes {number}")
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="seller")
    talk = page.get_by_role("region", name="Messages")
    talk.evaluate("region => region.scrollIntoView({block: 'end'})")
    expect(talk.get_by_text("Sua reunião está confirmada.")).to_be_in_viewport()
    expect(talk.get_by_text("not delivered: the conversation is closed")).to_be_visible()
    expect(talk.get_by_text("Carla Mendes")).to_be_visible()

    say(lead, 0, "inbound", "Chegou agora")

    expect(talk.get_by_text("Chegou agora")).to_be_in_viewport()
    picture(page, "conversation", height=1000)


def test_one_goes_back_in_time_and_returns(open_page, lead):
    for number in range(40):
        say(lead, 2000 + number, "inbound", f"antes {number}.")
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="reader")
    talk = page.get_by_role("region", name="Messages")
    expect(talk.get_by_text("antes 39.")).to_have_count(0)

    talk.get_by_role("link", name="Earlier messages").click()
    expect(talk.get_by_text("antes 39.")).to_be_attached()
    expect(talk.get_by_text("Boa tarde, vi o anúncio")).to_have_count(0)

    page.locator("section", has=talk).get_by_role("link", name="Newest").click()
    expect(talk.get_by_text("Boa tarde, vi o anúncio")).to_be_attached()


def test_the_page_says_when_it_is_not_up_to_date(open_page, visits, lead):
    page = open_page(f"/admin/leads/lead/{lead.pk}/change/", role="seller")
    page.route("**/conversation/", lambda route: route.abort())
    visits.expect_fault("conversation/")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    talk = page.get_by_role("region", name="Messages")
    expect(talk.get_by_text("Not up to date: the server does not answer.")).to_be_visible()

    page.unroute("**/conversation/")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(talk.get_by_text("Not up to date")).to_have_count(0)
    expect(talk.get_by_text("Sua reunião está confirmada.")).to_be_visible()


@pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [("desktop", False, "en"), ("desktop", True, "pt-BR"), ("phone", False, "pt-BR"), ("phone", True, "en")],
)
def test_it_fits_and_keeps_nobody_out(open_page, lead, picture, viewport, dark, language):
    page = open_page(
        f"/admin/leads/lead/{lead.pk}/change/", role="seller", language=language, viewport=viewport, dark=dark
    )
    page.locator("#conversation").scroll_into_view_if_needed()
    picture(page, f"conversation-{viewport}-{language}", full_page=True)
    assert fits(page)
    assert barriers(page) == []
