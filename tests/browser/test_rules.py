"""A manager at work: tries a threshold, sees who would move, publishes, and goes back to what held before."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from bridge.models import Reevaluation, RulesRevision
from leads.models import Qualification
from tests.browser.visits import barriers, fits
from tests.conftest import record

QUALIFYING = {"conversation_stage": "qualificação"}


def path(name, pipeline, **more):
    return reverse(f"admin:rules_{name}", kwargs={"pk": pipeline.pk, **more})


@pytest.fixture
def scored(pipeline):
    for number, score in enumerate((72, 75, 90, 60)):
        phone = f"+558199999000{number}"
        record(pipeline, phone, name=f"Lead {score}", qualification_score=score, context=QUALIFYING)


def test_a_threshold_is_tried_published_and_rolled_back(open_page, pipeline, scored):
    page = open_page(path("section", pipeline, section="qualification"))
    # The field keeps the focus: what would change is asked while one types.
    page.get_by_label("Minimum score", exact=True).fill("80")

    preview = page.locator("#what-if")
    expect(preview.locator("[data-moving]")).to_have_text("2")
    expect(preview.get_by_text("score 72, minimum 80")).to_be_visible()
    assert Qualification.objects.get().min_score == 70

    page.get_by_role("button", name="Review and publish").click()
    expect(page.get_by_text("at least 80")).to_be_visible()
    expect(page.locator("#what-if [data-complete]")).to_be_visible()
    page.get_by_label("Why?").fill("Too many meetings")
    choice = page.get_by_label("Move those who would move")
    page.get_by_role("button", name="Publish", exact=True).click()
    assert choice.evaluate("one => one.validity.valueMissing"), "nothing is chosen for whoever publishes"
    expect(page.locator("#count-allowed")).to_have_text("(2)")
    choice.check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published as revision 2")).to_be_visible()
    assert Qualification.objects.get().min_score == 80
    assert Reevaluation.objects.get().total == 4

    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_text("“Too many meetings”")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("link", name="Show revision 1").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", name="What the draft changes")).to_be_visible()
    page.get_by_label("Leave them").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published as revision 3")).to_be_visible()

    assert Qualification.objects.get().min_score == 70
    assert RulesRevision.objects.first().origin == "rolled_back"


def test_a_lower_bar_names_everybody_who_would_move(open_page, pipeline):
    for number in range(5):
        phone = f"+558199999000{number}"
        record(pipeline, phone, name=f"Lead {number}", qualification_score=65, context=QUALIFYING)
    page = open_page(path("section", pipeline, section="qualification"))
    page.get_by_label("Minimum score", exact=True).fill("60")

    preview = page.locator("#what-if")
    expect(preview.locator("[data-moving]")).to_have_text("5")
    preview.get_by_text("2 more by name").click()
    expect(preview.get_by_role("link", name="Lead")).to_have_count(5)
    expect(preview.locator("[data-complete]")).to_be_visible()
    page.get_by_role("button", name="Review and publish").click()
    expect(page.locator("#count-allowed")).to_have_text("(5)")
    expect(page.locator("#count-all")).to_have_text("(5)")


def test_a_manager_on_a_phone_and_in_portuguese_maps_and_arranges(open_page, pipeline, picture):
    record(pipeline, context={"conversation_stage": "fechamento"})
    options = {"language": "pt-BR", "viewport": "phone"}
    page = open_page(path("section", pipeline, section="conversation"), **options)
    assert fits(page)

    page.get_by_role("button", name="QUALIFICADO", exact=True).click()
    expect(page.get_by_text("tem um significado a partir de agora")).to_be_visible()

    page.get_by_role("button", name="Adicionar regra").click()
    new = page.locator("#mappings > [data-row]").last
    new.get_by_label("Quando o agente diz").fill("pós-venda")
    new.get_by_label("a ponte").select_option("nothing")
    new.get_by_role("button", name="Mover para cima").click()
    page.get_by_role("button", name="Revisar e publicar").click()

    expect(page.get_by_text("Em “pós-venda”: deixar o card onde está")).to_be_visible()
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Descartar rascunho").click()
    expect(page.get_by_text("Rascunho descartado")).to_be_visible()
    assert asked == ["Descartar este rascunho?"]
    assert list(pipeline.stage_mappings.values_list("conversation_stage", flat=True))[-1] == "fechamento"


def test_a_sequence_shows_when_it_would_speak_and_how_it_reads(open_page, pipeline, picture):
    record(pipeline, name="João Lima")
    page = open_page(path("sequence", pipeline, slug="reengagement"), dark=True)
    expect(page.locator(".ru-time li")).to_have_count(5)

    page.locator("#steps > [data-row]").last.get_by_role("button", name="Remove, or take back").click()
    expect(page.locator(".ru-time li")).to_have_count(4)
    first = page.locator("#steps > [data-row]").first
    first.get_by_label("Text").fill("Olá {{ first_name }}!")
    first.get_by_role("button", name="How it reads").click()

    expect(page.locator(".ru-bubble")).to_have_text("Olá João!")
    assert barriers(page) == []


def test_every_editor_is_accessible_and_fits_a_phone(open_page, account, pipeline):
    page = open_page(path("overview", pipeline), viewport="phone")
    for section in ("stages", "fields", "hours", "qualification", "sequences"):
        page.goto(path("section", pipeline, section=section))
        assert fits(page), section
        assert barriers(page) == [], section
