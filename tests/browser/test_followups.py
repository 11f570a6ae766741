"""An operator at work: sees what goes out next and why, sends one now, holds others, and opts somebody out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from followups.models import Attempt, Enrollment
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.browser.visits import barriers, fits
from tests.conftest import record

LIST, OUTCOMES = "/admin/followups/enrollment/", "/admin/followups/attempt/outcomes/"


@pytest.fixture
def silent(pipeline):
    """Six leads who owe us an answer; one of them has had the first message."""
    for number in range(6):
        record(
            pipeline,
            f"+558199999000{number}",
            name=f"Maria {number}",
            message=Message(Direction.OUTBOUND, text="Olá"),
        )
    first, now = Enrollment.objects.order_by("pk").first(), timezone.now()
    Attempt.objects.create(
        enrollment=first,
        step=1,
        state=Attempt.State.SENT,
        text="Oi, Maria! Ficou alguma dúvida?",
        due_at=now,
        created_at=now,
        ended_at=now,
        answered_at=now,
    )
    Enrollment.objects.filter(pk=first.pk).update(step=2, next_at=now + timedelta(hours=24))
    return first


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_an_operator_sends_holds_and_opts_out(open_page, silent, picture, language):
    words = WORDS[language]
    page = open_page(LIST, role="seller", language=language)
    expect(page.get_by_text("Maria 3", exact=True).first).to_be_visible()
    picture(page, f"followups-{language}")
    assert barriers(page) == []

    page.locator("input[name=_selected_action]").nth(1).check()
    page.locator("select[name=action]").select_option("send_now")
    page.locator("button[name=index]").click()
    expect(page.get_by_text("Ficou alguma dúvida").first).to_be_visible()
    picture(page, f"followups-confirm-{language}")
    assert not Enrollment.objects.filter(sent_by_hand=True).exists()
    page.get_by_role("button", name=words["send"]).click()
    expect(page.get_by_text(words["sent"])).to_be_visible()
    assert Enrollment.objects.filter(sent_by_hand=True).count() == 1

    page.goto(page.url.partition("/admin/")[0] + f"{LIST}{silent.pk}/change/")
    expect(page.get_by_text("Oi, Maria! Ficou alguma dúvida?")).to_be_visible()
    picture(page, f"followups-one-{language}", full_page=True)
    assert barriers(page) == []

    page.goto(page.url.partition("/admin/")[0] + "/admin/leads/optout/person/")
    page.locator("input[name=phone]").fill("(81) 99999-0005")
    page.get_by_role("button", name=words["opt_out"], exact=True).click()
    expect(page.get_by_text("Maria 5").first).to_be_visible()
    assert Lead.objects.get(name="Maria 5").opted_out_at

    page.goto(page.url.partition("/admin/")[0] + OUTCOMES)
    expect(page.get_by_text("100 %").first).to_be_visible()
    picture(page, f"followups-outcomes-{language}")


WORDS = {
    "en": {"send": "Send now", "sent": "1 message will go out at once.", "opt_out": "Opt out"},
    "pt-BR": {
        "send": "Enviar agora",
        "sent": "1 mensagem sai já.",
        "opt_out": "Descadastrar",
    },
}


def test_the_pages_fit_on_a_phone(open_page, silent, picture):
    for path in (LIST, f"{LIST}{silent.pk}/change/", OUTCOMES):
        page = open_page(path, viewport="phone")
        assert fits(page), path
    picture(page, "followups-phone")
