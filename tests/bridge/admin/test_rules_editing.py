"""The editors of the rules: each box does what its sentence says, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from bridge.admin.rules.editors import EDITORS
from bridge.configuration import document, drafts, exporting, importing, sentences
from bridge.models import RulesDraft
from bridge.settings import BASE_DIR
from leads.models import (
    FieldMapping,
    Pipeline,
    Stage,
    StageMapping,
    UnmappedConversationStage,
)
from tests.bridge.admin.rules_editing import SECTIONS, boxes, edit, errors, page, publish, threshold
from tests.conftest import record


@pytest.mark.parametrize("playbook", ["solar", "clinic"])
def test_a_page_saved_as_it_was_opened_changes_nothing(staff, pipeline, playbook):
    importing.bring_in((BASE_DIR / f"playbooks/{playbook}.yaml").read_bytes(), reason="test")
    for row in Pipeline.objects.all():
        paths = [page("section", row, section=section) for section in SECTIONS]
        paths += [page("sequence", row, slug=sequence.slug) for sequence in row.sequences.all()]
        for path in paths:
            answer = edit(staff, path)
            assert answer.status_code == 302, (path, answer.context["mistakes"], errors(answer))
            draft = drafts.prepared(row)
            assert draft.wanted == draft.live, path


def test_an_unmapped_conversation_stage_is_mapped_with_one_click(staff, pipeline):
    record(pipeline, context={"conversation_stage": "fechamento"})
    threshold(staff, pipeline, 55)
    seen = UnmappedConversationStage.objects.get()

    staff.post(page("map", pipeline), {"unmapped": seen.pk, "does": "move:qualified"})

    assert not UnmappedConversationStage.objects.exists()
    assert record(pipeline, context={"conversation_stage": "Fechamento"}).decision.stage == "qualified"
    assert drafts.prepared(pipeline).conflicts == ()


def test_stages_are_picked_from_the_accounts_own(staff, account, pipeline):
    path = page("section", pipeline, section="stages")
    shown = staff.get(path).content.decode()
    assert "Qualificado" in shown and "Etapa de leads de entrada" not in shown
    editor = staff.get(path).context["editor"]
    free = next(open_status for open_status in editor.kommo.open_statuses if open_status["name"] == "Novo Lead")
    assert editor.stages.forms[0].colour == free["color"] != ""

    stages = list(pipeline.stages.order_by("rank"))
    edit(
        staff,
        path,
        **{
            "stages-1-name": "EM ANÁLISE",
            "stages-0-kommo_status_id": stages[1].kommo_status_id,
            "stages-1-kommo_status_id": stages[0].kommo_status_id,
        },
    )
    publish(staff, pipeline)

    again = {stage.key: stage for stage in Stage.objects.all()}
    assert again["qualifying"].name == "EM ANÁLISE"
    assert again["new"].kommo_status_id == stages[1].kommo_status_id


def test_a_new_stage_gets_a_key_of_its_own_and_its_place(staff, pipeline):
    path = page("section", pipeline, section="stages")
    count = pipeline.stages.count()
    new = {f"stages-{count}-name": "Proposta enviada", f"stages-{count}-ORDER": 3, "stages-TOTAL_FORMS": count + 1}
    answer = edit(
        staff, path, **{f"stages-{place}-ORDER": place + (1 if place < 2 else 2) for place in range(count)}, **new
    )
    assert answer.status_code == 302, errors(answer)
    publish(staff, pipeline)

    keys = list(pipeline.stages.order_by("rank").values_list("key", flat=True))
    assert keys[:4] == ["new", "qualifying", "proposta_enviada", "qualified"]


def test_a_stage_that_rules_name_cannot_be_taken_away_without_a_word(staff, pipeline):
    answer = edit(staff, page("section", pipeline, section="stages"), **{"stages-2-DELETE": "on"})
    assert answer.status_code == 200
    assert "qualified" in " ".join(mistake.text for mistake in answer.context["mistakes"])


def test_criteria_are_written_as_people_write_them(staff, pipeline):
    path = page("section", pipeline, section="qualification")
    new = {
        "criteria-TOTAL_FORMS": 2,
        "criteria-1-field": "bill value",
        "criteria-1-operator": "gte",
        "criteria-1-value": "R$ 4.000",
        "criteria-1-required": "on",
        "criteria-1-ORDER": 2,
    }
    assert edit(staff, path, **new).status_code == 302
    wanted = drafts.prepared(pipeline).wanted.qualification.criteria[1]
    assert (wanted.field, wanted.value, wanted.required) == ("bill_value", 4000, True)

    answer = edit(staff, path, **{"criteria-1-value": "muito"})
    assert "Write a number here." in str(answer.context["criteria"].errors)


def test_options_are_mapped_side_by_side_and_fields_bound_by_name(staff, account, pipeline):
    path = page("section", pipeline, section="fields")
    form = staff.get(path).context["fields"].forms[1]
    assert "Usina Própria" in form.fields["options"].widget.theirs
    flows = list(pipeline.flows.values_list("name", flat=True))

    answer = edit(
        staff,
        path,
        **{
            "fields-1-options-ours": flows,
            "fields-1-options-theirs": ["Fazenda Solar", "", "", ""],
            "fields-TOTAL_FORMS": 3,
            "fields-2-attribute": "meeting_link",
            "fields-2-kommo_field": "link do evento no google calendar",
            "fields-2-type": "url",
            "fields-2-ORDER": 3,
        },
    )
    assert answer.status_code == 302, errors(answer)
    publish(staff, pipeline)

    flow, link = FieldMapping.objects.order_by("position")[1:]
    assert flow.options == {"Instalação Usina Própria": "Fazenda Solar"}
    assert (link.kommo_field_id, flow.kommo_field_id is not None) == (395520, True)


def test_a_field_of_another_type_is_refused_before_kommo_does(staff, account, pipeline):
    answer = edit(staff, page("section", pipeline, section="fields"), **{"fields-0-type": "text"})
    assert answer.status_code == 200
    assert "In Kommo this field is: number." in str(answer.context["fields"].errors)


def test_a_sequence_is_edited_and_its_broken_text_refused(staff, pipeline):
    path = page("sequence", pipeline, slug="reengagement")
    answer = edit(staff, path, **{"steps-0-text": "Olá {{ first_name"})
    assert answer.status_code == 200 and "There is a mistake in the text" in str(answer.context["steps"].errors)

    assert edit(staff, path, **{"steps-0-when_0": "45", "steps-0-when_1": "60"}).status_code == 302
    publish(staff, pipeline)

    step = pipeline.sequences.get(slug="reengagement").steps.first()
    assert step.delay == timezone.timedelta(minutes=45)


def test_a_new_sequence_of_reminders_begins_in_the_draft(staff, pipeline):
    body = {
        "name": "Boas-vindas",
        "starts_on": "meeting_scheduled",
        "steps-TOTAL_FORMS": 1,
        "steps-0-when_0": "2",
        "steps-0-when_1": "3600",
        "steps-0-text": "Até já",
        "steps-0-ORDER": 1,
    }
    answer = edit(staff, page("new_sequence", pipeline), **body)
    assert answer.status_code == 302, (answer.context["mistakes"], errors(answer))
    new = drafts.prepared(pipeline).wanted.sequences[-1]
    assert (new.slug, new.steps[0].before) == ("boas_vindas", timezone.timedelta(hours=2))

    staff.post(page("remove_sequence", pipeline, slug="boas_vindas"))
    assert not RulesDraft.objects.exists()


def test_a_message_reads_as_the_real_lead_would_get_it(staff, pipeline):
    record(pipeline, "+5581988887777", name="João Lima")
    record(pipeline, name="Maria Souza")

    def read(text, **more):
        form = {"steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0, "steps-0-text": text, **more}
        return staff.post(page("timeline", pipeline), form).content.decode()

    assert "Olá Maria!" in read("Olá {{ first_name }}!")
    assert "Olá João!" in read("Olá {{ first_name }}!", lead="8888-7777")
    assert "line 1" in read("{{ name")


def test_the_timeline_of_a_form_nobody_saved_is_shown(staff, pipeline):
    path = page("sequence", pipeline, slug="reengagement")
    editor = staff.get(path).context["editor"]
    body = boxes(editor.forms()) | {"slug": "reengagement", "steps-0-when_0": "45", "steps-0-when_1": "60"}

    stops = staff.post(page("timeline", pipeline), body).context["timeline"]

    assert [stop.kind for stop in stops] == ["start", "message", "message", "message", "end"]


def looked_at(staff, pipeline, slug, **changes):
    editor = staff.get(page("sequence", pipeline, slug=slug)).context["editor"]
    return staff.post(page("timeline", pipeline), boxes(editor.forms()) | {"slug": slug, **changes})


def test_a_reminder_speaks_of_the_meeting_that_the_timeline_shows(staff, pipeline):
    record(pipeline, name="Maria Souza")
    texts = {"steps-0-text": "{{ meeting.when }}", "steps-1-text": "{{ meeting.starts_at }}"}
    for lead in ("", "nobody of this name"):
        answer = looked_at(staff, pipeline, "meeting_reminders", lead=lead, **texts)
        *messages, meeting = [stop for stop in answer.context["timeline"] if stop.kind != "start"]
        there = meeting.moment.astimezone(ZoneInfo(pipeline.time_zone))
        readings = [reading["text"] for _form, reading in answer.context["readings"]]
        assert readings[0] in (f"amanhã às {there:%H:%M}", f"hoje às {there:%H:%M}")
        assert readings[1] == f"{there:%d/%m} às {there:%H:%M}"
        assert sorted(stop.text for stop in messages) == sorted(readings)


def test_one_mistake_takes_neither_the_timeline_nor_the_other_texts_away(staff, pipeline):
    record(pipeline, name="Maria Souza")
    answer = looked_at(staff, pipeline, "reengagement", **{"steps-1-text": "{{ first_nam }}"})
    assert answer.headers["HX-Reswap"] == "none"
    first, second, third = (reading for _form, reading in answer.context["readings"])
    assert first["text"].startswith("Oi, Maria!") and third["text"]
    assert "first_name" in second["error"]


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("pt-br", "você quis dizer"), ("es", "¿quisiste decir"), ("en", "did you mean")],
)
def test_a_mistake_is_named_in_the_readers_language(staff, pipeline, language, sentence):
    answer = staff.post(
        page("timeline", pipeline),
        {"steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0, "steps-0-text": "{{ first_nam }}"},
        headers={"accept-language": language},
    )
    assert sentence in answer.content.decode()


def test_every_change_of_a_document_is_told_in_words(pipeline):
    live = exporting.read_pipeline(pipeline)
    changed = [
        replace(live, handoff_task="Outra"),
        replace(live, tags=live.tags[1:]),
        replace(live, stages=(replace(live.stages[0], always_visit=True), *live.stages[1:])),
        replace(live, kommo_pipeline_id=5),
    ]
    for changed_document in changed:
        told_changes = sentences.changes(live, changed_document)
        assert told_changes and all(
            change.before or change.after for _key, _title, lines in told_changes for change in lines
        )


def test_the_editors_cover_every_part_of_the_document():
    edited = {"stages", "meeting_stage", "without", "stage_mappings", "qualification", "fields", "tags", "flows"}
    edited |= {"sequences", "quiet_hours", "holidays", "opt_out_words", "handoff_max", "chat_reply_pauses"}
    edited |= {"followup_distance", "handoff_stage", "words_for_nothing", "null_means_unknown", "booking_url"}
    edited |= {"silent_when_kommo_is_away", "phone_field", "conversations", "yields_to_bots", "agent_serves"}
    edited |= {"channel", "typing_pauses"}
    edited |= {"meeting_result_task", "meeting_result_task_after", "alert_on_calls"}
    edited |= {"handoff_note", "handoff_task", "handoff_task_within", "name", "time_zone", "locale", "phone_region"}
    elsewhere = {"slug", "is_default", "kommo_pipeline_id"}
    assert {key.attribute for key in drafts.keys_of(document.Pipeline)} == edited | elsewhere
    assert set(EDITORS) | {"sequences"} == {key for key, _title in sentences.SECTIONS}


def test_a_mapping_list_in_another_order_is_kept(staff, pipeline):
    path = page("section", pipeline, section="conversation")
    edit(staff, path, **{"mappings-0-ORDER": 9})
    publish(staff, pipeline)
    last = StageMapping.objects.order_by("position").last()
    assert last.conversation_stage == "estágio_1_apresentar_soluções"
