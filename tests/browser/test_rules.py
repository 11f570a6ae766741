"""A manager at work: tries a threshold, sees who would move, publishes, and goes back to what held before."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from bridge import tasks
from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
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
    first.get_by_role("textbox", name="Text", exact=True).fill("Olá {{ first_name }}!")

    expect(first.locator(".ru-bubble")).to_have_text("Olá João!")
    assert barriers(page) == []


def test_every_editor_is_accessible_and_fits_a_phone(open_page, account, pipeline):
    page = open_page(path("overview", pipeline), viewport="phone")
    for section in ("stages", "fields", "hours", "qualification", "sequences"):
        page.goto(path("section", pipeline, section=section))
        assert fits(page), section
        assert barriers(page) == [], section


def names_of(page):
    return page.locator("#stages > [data-row] [name$='-name']").evaluate_all("all => all.map(one => one.value)")


def test_stages_are_dragged_into_place(open_page, pipeline, picture):
    page = open_page(path("section", pipeline, section="stages"))
    before = names_of(page)
    rows = page.locator("#stages > [data-row]")
    grip, there = rows.nth(3).locator("[data-grip]").bounding_box(), rows.nth(1).bounding_box()
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(there["x"] + 20, there["y"] + 4, steps=6)
    expect(rows.nth(1)).to_have_class(re.compile("drop-before"))
    page.mouse.up()

    wanted = [before[0], before[3], before[1], before[2], *before[4:]]
    assert names_of(page) == wanted
    page.get_by_role("button", name="Review and publish").click()
    order = page.locator(".ru-order li")
    expect(order).to_have_count(len(before))
    expect(page.locator(".ru-order li.moved")).to_have_text(re.compile(rf"{before[3]}\s+was number 4"))
    assert barriers(page) == []
    picture(page, "rules-order")

    page.get_by_label("Leave them").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published as revision")).to_be_visible()
    assert list(pipeline.stages.order_by("rank").values_list("name", flat=True)) == wanted


def test_a_stage_let_go_with_escape_stays_where_it_was(open_page, pipeline):
    page = open_page(path("section", pipeline, section="stages"))
    before = names_of(page)
    rows = page.locator("#stages > [data-row]")
    grip, there = rows.nth(2).locator("[data-grip]").bounding_box(), rows.nth(0).bounding_box()
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    page.mouse.move(there["x"] + 20, there["y"] + 4, steps=6)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert names_of(page) == before


def test_stages_are_ordered_by_the_keyboard_and_what_moved_is_said(open_page, pipeline):
    page = open_page(path("section", pipeline, section="stages"))
    before = names_of(page)
    grip = page.locator("#stages > [data-row]").nth(2).locator("[data-grip]")
    grip.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")

    assert names_of(page) == [before[0], before[2], before[1], *before[3:]]
    assert grip.evaluate("one => one.closest('[data-row]').querySelector('[name$=-name]').value") is not None
    expect(page.get_by_role("status").filter(has_text=f"“{before[2]}” is number 2 of {len(before)}")).to_be_attached()
    focused = "document.activeElement.closest('[data-row]').querySelector('[name$=\"-name\"]').value"
    assert page.evaluate(focused) == before[2], "the focus goes along"


def test_a_finger_drags_a_stage_on_a_phone(open_page, pipeline):
    page = open_page(path("section", pipeline, section="stages"), viewport="phone")
    before = names_of(page)
    rows = page.locator("#stages > [data-row]")
    rows.nth(1).scroll_into_view_if_needed()
    grip = rows.nth(1).locator("[data-grip]").bounding_box()
    there = rows.nth(0).bounding_box()
    touch = page.context.new_cdp_session(page)

    def at(kind, x, y):
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    at("touchStart", x, y)
    for part in range(1, 7):
        at("touchMove", x, y + (there["y"] + 4 - y) * part / 6)
    at("touchEnd", 0, 0)
    expect(rows.nth(0).locator("[name$='-name']")).to_have_value(before[1])


def test_a_new_stage_comes_before_those_where_leads_end(open_page, pipeline):
    page = open_page(path("section", pipeline, section="stages"))
    before = names_of(page)
    closed = sum(kind != "open" for kind in pipeline.stages.values_list("kind", flat=True))
    page.get_by_role("button", name="Add a stage").click()
    page.keyboard.type("PROPOSTA ENVIADA")
    assert names_of(page) == [*before[:-closed], "PROPOSTA ENVIADA", *before[-closed:]]


def test_a_stage_is_made_in_kommo_from_the_page_that_makes_it(open_page, account, pipeline, picture):
    page = open_page(path("section", pipeline, section="stages"))
    page.get_by_role("button", name="Add a stage").click()
    page.keyboard.type("PROPOSTA ENVIADA")
    new = page.locator("#stages > [data-row].new")
    expect(new.get_by_label("Stage in Kommo")).to_have_value("create")
    page.get_by_role("button", name="Review and publish").click()

    expect(page.get_by_text("The stage “PROPOSTA ENVIADA” is created there, behind")).to_be_visible()
    assert barriers(page) == []
    picture(page, "rules-in-kommo")
    page.get_by_label("Leave them").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    yes = page.get_by_label("Yes, do this in Kommo when I publish")
    assert yes.evaluate("one => one.validity.valueMissing"), "nothing is done in Kommo that nobody agreed to"
    yes.check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published as revision")).to_be_visible()
    page.goto(path("section", pipeline, section="stages"))
    expect(page.get_by_text("It is being created in Kommo.")).to_be_visible()

    tasks.do_stage_wishes(account.pk)
    page.reload()
    expect(page.get_by_text("It is being created in Kommo.")).to_have_count(0)
    assert pipeline.stages.get(name="PROPOSTA ENVIADA").kommo_status_id


def test_a_stage_that_nobody_binds_needs_a_yes(open_page, account, pipeline):
    page = open_page(path("section", pipeline, section="stages"))
    page.get_by_role("button", name="Add a stage").click()
    page.keyboard.type("SEM LUGAR")
    page.locator("#stages > [data-row].new").get_by_label("Stage in Kommo").select_option("")
    page.get_by_role("button", name="Review and publish").click()
    asked = page.get_by_role("checkbox", name="SEM LUGAR has no stage in Kommo")
    page.get_by_label("Leave them").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    assert asked.evaluate("one => one.validity.valueMissing")
    asked.check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published as revision")).to_be_visible()


def test_a_rename_is_carried_to_kommo_if_that_is_wanted_and_one_from_there_is_told(
    open_page, account, pipeline, picture
):
    options = {"language": "pt-BR", "viewport": "phone", "dark": True}
    page = open_page(path("section", pipeline, section="stages"), **options)
    stage = pipeline.stages.get(key="qualified")
    row = page.locator("#stages > [data-row]").nth(names_of(page).index(stage.name))
    expect(row.get_by_text("renomear também no Kommo")).to_be_hidden()
    row.locator("[name$='-name']").fill("LEAD QUENTE")
    row.get_by_text("renomear também no Kommo").click()
    assert fits(page)
    page.get_by_role("button", name="Revisar e publicar").click()
    expect(page.get_by_text("passa a se chamar “LEAD QUENTE”")).to_be_visible()
    page.get_by_label("Sim, fazer isso no Kommo").check()
    page.locator("[name=move]").first.check()
    page.get_by_role("button", name="Publicar", exact=True).click()
    expect(page.get_by_text("Publicado como revisão")).to_be_visible()
    tasks.do_stage_wishes(account.pk)
    client = client_for(account)
    [name] = [
        status.name for found in client.pipelines() for status in found.statuses if status.id == stage.kommo_status_id
    ]
    assert name == "LEAD QUENTE"

    pipeline.refresh_from_db()
    client.rename_status(pipeline.kommo_pipeline_id, stage.kommo_status_id, "Fervendo")
    catalogue.look_again(account, client, now=timezone.now())
    page.goto("/admin/")
    expect(page.get_by_text("1 etapa foi renomeada no Kommo")).to_be_visible()
    page.goto(path("section", pipeline, section="stages"))
    expect(page.get_by_text("“LEAD QUENTE” agora se chama “Fervendo” lá")).to_be_visible()
    assert barriers(page) == []
    picture(page, "rules-renamed-phone")
    page.get_by_role("button", name="Usar esse nome aqui também").click()
    assert "Fervendo" in names_of(page)
    page.reload()
    page.get_by_role("button", name="Deixar os dois nomes").click()
    expect(page.get_by_text("agora se chama “Fervendo”")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("agora se chama “Fervendo”")).to_have_count(0)


def writer(page, number=0):
    row = page.locator("#steps > [data-row]").nth(number)
    return row, row.get_by_role("textbox", name="Text", exact=True)


def test_a_text_is_written_with_chips_and_reads_as_it_will_arrive(open_page, pipeline, picture):
    record(pipeline, name="João Lima")
    page = open_page(path("sequence", pipeline, slug="reengagement"))
    row, write = writer(page)
    expect(write.locator(".ru-chip")).to_have_text(", first name")
    assert "{" not in write.inner_text(), "no code in sight"

    write.fill("Olá, ")
    write.press("End")
    row.get_by_role("button", name="first name").click()
    page.keyboard.type("! Tudo bem?")
    expect(row.locator(".ru-bubble")).to_have_text("Olá, João! Tudo bem?")
    box = row.locator("textarea[name$='-text']")
    assert box.input_value() == "Olá{% if first_name %}, {{ first_name }}{% endif %}! Tudo bem?"

    write.locator(".ru-chip").click()
    row.get_by_label("Where it is not known, say instead").first.fill(" cliente")
    assert box.input_value() == "Olá{% if first_name %}, {{ first_name }}{% else %} cliente{% endif %}! Tudo bem?"
    assert barriers(page) == []
    picture(page, "rules-chips")
    page.get_by_role("button", name="Review and publish").click()
    expect(page.get_by_text("Olá, [first name, or “ cliente”]! Tudo bem?")).to_be_visible()


def test_lines_pasted_words_and_code_are_kept_as_they_are_meant(open_page, pipeline):
    page = open_page(path("sequence", pipeline, slug="reengagement"))
    row, write = writer(page)
    box = row.locator("textarea[name$='-text']")
    write.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("Um")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.type("dois")
    assert box.input_value() == "Um\n\ndois"
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/plain", " três\\nquatro");
            data.setData("text/html", "<b> três</b><br>quatro");
            const how = { clipboardData: data, bubbles: true, cancelable: true };
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", how));
        }"""
    )
    assert box.input_value() == "Um\n\ndois três\nquatro"
    assert write.locator("b").count() == 0

    page.keyboard.type(" {{ name }}")
    page.locator("#id_name").focus()
    expect(write.locator(".ru-chip")).to_have_text("full name")
    assert box.input_value() == "Um\n\ndois três\nquatro {{ name }}"

    row.get_by_role("button", name="Show as code (advanced)").first.click()
    box.fill("Oi {{ stage }}")
    row.get_by_role("button", name="Show as code (advanced)").first.click()
    expect(write.locator(".ru-chip")).to_have_text("stage")


def test_a_new_message_is_written_with_chips_too(open_page, pipeline):
    page = open_page(path("sequence", pipeline, slug="reengagement"), viewport="phone")
    page.get_by_role("button", name="Add a message").click()
    row, write = writer(page, -1)
    write.click()
    page.keyboard.type("Até logo")
    row.get_by_role("button", name="when the meeting is").click()
    assert row.locator("textarea[name$='-text']").input_value() == "Até logo{{ meeting.when }}"
    assert fits(page)


def test_what_is_wrong_is_listed_and_leads_to_its_box(open_page, pipeline, picture):
    record(pipeline, name="João Lima")
    page = open_page(path("sequence", pipeline, slug="reengagement"), language="pt-BR", viewport="phone")
    row, write = writer_in(page, "Texto", 2)
    write.fill("Oi {{ first_nam }}")
    expect(row.get_by_text("você quis dizer “first_name”")).to_be_visible()
    page.locator("#id_name").fill("")
    page.locator("#rules-form").evaluate("one => { one.noValidate = true; }")
    page.get_by_role("button", name="Revisar e publicar").click()

    summary = page.get_by_role("alert").filter(has_text="2 erros")
    expect(summary).to_be_focused()
    links = summary.get_by_role("link")
    expect(links).to_have_count(2)
    picture(page, "rules-mistakes-phone")
    links.filter(has_text="Mensagem 3").click()
    row, write = writer_in(page, "Texto", 2)
    expect(write).to_be_focused()
    expect(write).to_be_in_viewport()
    expect(page.locator(".ru-time li")).to_have_count(5)
    assert barriers(page) == []


def writer_in(page, label, number):
    row = page.locator("#steps > [data-row]").nth(number)
    return row, row.get_by_role("textbox", name=label, exact=True)


def test_what_other_rules_name_is_told_in_portuguese_and_leads_to_its_place(open_page, pipeline):
    page = open_page(path("section", pipeline, section="stages"), language="pt-BR")
    rows = page.locator("#stages > [data-row]")
    name = rows.nth(0).locator("[name$='-name']").input_value()
    rows.nth(1).locator("[name$='-name']").fill(name)
    rows.nth(1).get_by_label("Etapa no Kommo").select_option(index=0)
    page.get_by_role("button", name="Salvar rascunho").click()
    link = page.get_by_role("alert").get_by_role("link").first
    expect(link).to_contain_text("Nome")
    link.click()
    expect(page.locator(":focus")).to_have_value(name)


def test_holidays_are_kept_with_one_click_and_listed(open_page, pipeline, picture):
    pipeline.holidays_country = pipeline.holidays_subdivision = ""
    pipeline.save()
    page = open_page(path("section", pipeline, section="hours"), language="pt-BR", dark=True)
    page.get_by_role("button", name="Respeitar os feriados: Brasil").click()
    expect(page.get_by_text("Nenhum follow-up sai nestes dias")).to_be_visible()
    expect(page.locator("#holidays li")).to_have_count(5)
    page.get_by_label("Feriados: estado").select_option("SP")
    expect(page.locator("#holidays li")).to_have_count(5)
    expect(page.get_by_label("Feriados: estado")).to_have_value("SP")
    assert barriers(page) == []
    picture(page, "rules-hours")
    page.get_by_role("button", name="Salvar rascunho").click()
    expect(page.get_by_text("Rascunho salvo")).to_be_visible()
    expect(page.get_by_label("Feriados: país")).to_have_value("BR")
