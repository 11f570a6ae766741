"""The rules pages: what holds in sentences, a draft nobody feels, what would change, publication and roll-back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge.admin.rules.editors import EDITORS
from bridge.configuration import document, drafts, exporting, importing
from bridge.models import Reevaluation, RulesDraft, RulesRevision
from leads.models import (
    FieldMapping,
    Pipeline,
    Qualification,
    Stage,
    StageMapping,
    UnmappedConversationStage,
)
from tests.conftest import MARIA, lead_of, record

SECTIONS = ("stages", "conversation", "qualification", "fields", "hours")
SCORED = {"qualification_score": 60, "context": {"conversation_stage": "qualificação"}}


def page(name, pipeline, **more):
    return reverse(f"admin:rules_{name}", kwargs={"pk": pipeline.pk, **more})


def boxes(forms):
    """Return what a browser would send of these forms and formsets."""
    body = {}
    for form in forms:
        if hasattr(form, "management_form"):
            body |= boxes([form.management_form, *form.forms])
            continue
        for field in form:
            value = field.value()
            if hasattr(field.field.widget, "decompress"):
                value = field.field.widget.decompress(value) if not isinstance(value, list) else value
                body |= {f"{field.html_name}_{place}": "" if one is None else one for place, one in enumerate(value)}
            elif isinstance(value, dict):
                body |= {f"{field.html_name}-ours": list(value), f"{field.html_name}-theirs": list(value.values())}
            elif value is True:
                body[field.html_name] = "on"
            elif value is not None and value is not False:
                body[field.html_name] = list(value) if isinstance(value, tuple) else value
                if hasattr(field.field, "longest"):
                    body[field.html_name] = field.field.prepare_value(value)
    return body


def edit(client, path, *, button="save", **changes):
    """Open an editor, change the named boxes and press a button."""
    context = client.get(path).context
    body = boxes(context["editor"].forms()) | {"seen": context["prepared"].mark, "section": context["editor"].key}
    body |= {"slug": context["sequence"].slug} if context.get("sequence") else {}
    return client.post(path, {**body, **changes, button: "1"})


def threshold(client, pipeline, score, **more):
    answer = edit(client, page("section", pipeline, section="qualification"), min_score=score, **more)
    assert answer.status_code == 302, answer.context["problems"]
    return answer


def publish(client, pipeline, **said):
    seen = client.get(page("review", pipeline)).context["prepared"].mark
    return client.post(page("review", pipeline), {"seen": seen, **said})


@pytest.mark.parametrize("language, connected", [("pt-br", True), ("en", False)])
def test_every_page_opens_in_both_languages(staff, pipeline, language, connected, request):
    if connected:
        request.getfixturevalue("account")
    record(pipeline, context={"conversation_stage": "nunca vista"})
    threshold(staff, pipeline, 55)
    paths = [page(name, pipeline) for name in ("overview", "history", "review", "new_sequence")]
    paths += [page("section", pipeline, section=section) for section in (*SECTIONS, "sequences")]
    paths += [page("sequence", pipeline, slug=one.slug) for one in pipeline.sequences.all()]
    paths.append(page("revision", pipeline, number=1))
    for path in paths:
        assert staff.get(path, headers={"accept-language": language}).status_code == 200, path


def test_the_rules_read_as_sentences(staff, pipeline):
    shown = staff.get(page("overview", pipeline), headers={"accept-language": "en"}).content.decode()
    for sentence in (
        "In “agendamento”, once a meeting is booked: move to REUNIÃO AGENDADA",
        "bill value at least 400: disqualifies when it fails",
        "The score must be at least 70; below it the lead is disqualified",
        "no automatic move takes a lead out, the agent falls silent",
        "No message between 20:00 and 08:00",
    ):
        assert sentence in shown
    in_portuguese = staff.get(page("overview", pipeline), headers={"accept-language": "pt-BR"}).content.decode()
    assert "Em “agendamento”, quando houver reunião marcada: mover para REUNIÃO AGENDADA" in in_portuguese


def test_the_sentences_are_portuguese_to_the_last_word(staff, pipeline):
    shown = staff.get(page("overview", pipeline), headers={"accept-language": "pt-br"}).content.decode()
    assert "no Kommo: " in shown or "não vinculado ao Kommo" in shown
    assert "Fluxos: Instalação" in shown
    assert "in Kommo" not in shown


@pytest.mark.parametrize("playbook", ["solar", "clinic"])
def test_a_page_saved_as_it_was_opened_changes_nothing(staff, pipeline, playbook):
    from bridge.settings import BASE_DIR

    importing.bring_in((BASE_DIR / f"playbooks/{playbook}.yaml").read_bytes(), reason="test")
    for row in Pipeline.objects.all():
        paths = [page("section", row, section=section) for section in SECTIONS]
        paths += [page("sequence", row, slug=one.slug) for one in row.sequences.all()]
        for path in paths:
            answer = edit(staff, path)
            assert answer.status_code == 302, (path, answer.context["problems"], _errors(answer))
            draft = drafts.prepared(row)
            assert draft.wanted == draft.live, path


def _errors(answer):
    return [form.errors for form in answer.context["editor"].forms()]


def test_s13_a_published_threshold_decides_the_next_interaction(staff, pipeline):
    threshold(staff, pipeline, 55)
    assert record(pipeline, "+5581999990001", **SCORED).decision.stage == "disqualified"

    publish(staff, pipeline, comment="Too strict")

    assert record(pipeline, "+5581999990002", **SCORED).decision.reason == "qualification_score 60 >= 55"
    newest = RulesRevision.objects.first()
    assert (newest.author_name, newest.comment) == ("ada", "Too strict")


def test_what_would_change_is_answered_for_a_form_nobody_saved(staff, account, pipeline):
    record(pipeline, name="Maria", qualification_score=72, context={"conversation_stage": "qualificação"})
    editor = staff.get(page("section", pipeline, section="qualification")).context["editor"]
    body = boxes(editor.forms()) | {"section": "qualification", "min_score": "80"}

    answer = staff.post(page("what_if", pipeline), body, headers={"accept-language": "en"})

    outlook = answer.context["outlook"]
    assert (outlook.moves, answer.context["cost"].calls) == ({"qualified>disqualified": 1}, 1)
    shown = answer.content.decode()
    assert "Maria" in shown and "qualification_score 72 &lt; 80" in shown
    assert not RulesDraft.objects.exists() and Qualification.objects.get().min_score == 70


def test_a_changed_field_names_the_cards_that_show_it(staff, account, pipeline):
    record(pipeline, name="Maria")
    edit(staff, page("section", pipeline, section="fields"), **{"tags-0-template": "plano_{value}"})

    answer = staff.post(page("what_if", pipeline), headers={"accept-language": "en"})

    assert (answer.context["cards"], answer.context["is_same"]) == (1, True)
    assert "card shows what you changed" in answer.content.decode()


def test_the_sidebar_marks_the_rules_and_nothing_else(staff, pipeline):
    for path in (reverse("admin:rules"), page("history", pipeline)):
        sections = staff.get(path).context["sidebar_navigation"]
        assert [str(item["title"]) for section in sections for item in section["items"] if item["active"]] == ["Rules"]


def test_who_may_not_see_leads_sees_how_many_and_no_names(pipeline):
    record(pipeline, name="Maria", qualification_score=72, context=SCORED["context"])
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_pipeline"))
    client = Client()
    client.force_login(user)
    threshold(client, pipeline, 80)

    answer = client.post(page("what_if", pipeline))

    assert answer.context["outlook"].moving == 1 and "Maria" not in answer.content.decode()
    said = client.post(page("message", pipeline), {"preview_text": "Olá {{ name }}"})
    assert said.context["lead"] is None


@pytest.mark.parametrize("name", ["overview", "history", "qualification", "stages", "sequences"])
def test_a_page_costs_the_same_for_one_lead_as_for_twenty(staff, pipeline, name):
    path = page("section", pipeline, section=name) if name not in ("overview", "history") else page(name, pipeline)
    record(pipeline, "+5581990000000", name="One")
    staff.get(path)
    with CaptureQueriesContext(connection) as few:
        staff.get(path)
    for number in range(20):
        record(pipeline, f"+55819900001{number:02d}", name="Lead", context={"conversation_stage": f"novo {number}"})
    with CaptureQueriesContext(connection) as many:
        staff.get(path)
    assert len(many) <= len(few), [query["sql"] for query in many.captured_queries]


def test_what_was_found_so_far_travels_with_the_page_and_only_for_the_same_rules(staff, pipeline, monkeypatch):
    monkeypatch.setattr("leads.reconsideration.PAGE", 1)
    monkeypatch.setattr("bridge.admin.rules.looking.LOOK_FOR", timezone.timedelta(0))
    for number in range(3):
        record(pipeline, f"+558199999000{number}", qualification_score=72, context=SCORED["context"])
    threshold(staff, pipeline, 80)

    def ask(so_far=""):
        return staff.post(page("what_if", pipeline), {"so_far": so_far}).context

    first = ask()
    second = ask(first["so_far"])
    assert [one["outlook"].looked for one in (first, second)] == [1, 2]
    assert ask("forged")["outlook"].looked == 1
    threshold(staff, pipeline, 81)
    assert ask(second["so_far"])["outlook"].looked == 1


def test_publishing_moves_nobody_unless_it_is_asked_for(staff, pipeline):
    record(pipeline, qualification_score=72, context=SCORED["context"])
    threshold(staff, pipeline, 80)
    publish(staff, pipeline)
    assert not Reevaluation.objects.exists()

    threshold(staff, pipeline, 85)
    publish(staff, pipeline, move="allowed")

    asked = Reevaluation.objects.get()
    assert (asked.asked_by, asked.total, asked.former) == ("ada", 1, None)
    assert lead_of(MARIA).stage.key == "qualified"
    staff.post(page("stop", pipeline))
    asked.refresh_from_db()
    assert asked.stopped_by == "ada"


def test_an_older_revision_is_rolled_back_to_through_a_review(staff, pipeline):
    threshold(staff, pipeline, 55)
    publish(staff, pipeline)

    answer = staff.post(page("restore", pipeline, number=1))
    assert answer.url == page("review", pipeline)
    assert Qualification.objects.get().min_score == 55
    publish(staff, pipeline)

    assert Qualification.objects.get().min_score == 70
    shown = staff.get(page("history", pipeline), headers={"accept-language": "en"}).content.decode()
    assert "rolled back (1)" in shown and "The score must be at least 55" in shown


def test_the_history_takes_down_what_was_changed_past_the_drafts(staff, pipeline):
    staff.get(page("history", pipeline))
    Qualification.objects.update(min_score=40)

    lines = staff.get(page("history", pipeline)).context["lines"]

    assert [line["revision"].origin for line in lines] == ["found", "first"]


def test_publishing_what_nobody_looked_at_is_refused(staff, pipeline):
    threshold(staff, pipeline, 55)
    answer = staff.post(page("review", pipeline), {"seen": "something else"}, follow=True)
    assert Qualification.objects.get().min_score == 70
    assert "have changed since you looked" in str([str(one) for one in answer.context["messages"]])


def test_two_people_who_edit_at_once_do_not_overwrite_each_other(staff, pipeline):
    path = page("section", pipeline, section="qualification")
    context = staff.get(path).context
    mine = boxes(context["editor"].forms()) | {"seen": context["prepared"].mark, "min_score": "10", "save": "1"}
    threshold(staff, pipeline, 55)

    answer = staff.post(path, mine)

    assert answer.status_code == 200 and answer.context["problems"]
    assert drafts.prepared(pipeline).wanted.qualification.min_score == 55


def test_a_discarded_draft_is_gone_and_the_rules_are_as_they_were(staff, pipeline):
    threshold(staff, pipeline, 55)
    staff.post(page("discard", pipeline))
    assert not RulesDraft.objects.exists() and Qualification.objects.get().min_score == 70


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
    free = next(one for one in editor.kommo.open_statuses if one["name"] == "Novo Lead")
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

    again = {one.key: one for one in Stage.objects.all()}
    assert again["qualifying"].name == "EM ANÁLISE"
    assert again["new"].kommo_status_id == stages[1].kommo_status_id


def test_a_new_stage_gets_a_key_of_its_own_and_its_place(staff, pipeline):
    path = page("section", pipeline, section="stages")
    count = pipeline.stages.count()
    new = {f"stages-{count}-name": "Proposta enviada", f"stages-{count}-ORDER": 3, "stages-TOTAL_FORMS": count + 1}
    answer = edit(
        staff, path, **{f"stages-{place}-ORDER": place + (1 if place < 2 else 2) for place in range(count)}, **new
    )
    assert answer.status_code == 302, _errors(answer)
    publish(staff, pipeline)

    keys = list(pipeline.stages.order_by("rank").values_list("key", flat=True))
    assert keys[:4] == ["new", "qualifying", "proposta_enviada", "qualified"]


def test_a_stage_that_rules_name_cannot_be_taken_away_without_a_word(staff, pipeline):
    answer = edit(staff, page("section", pipeline, section="stages"), **{"stages-2-DELETE": "on"})
    assert answer.status_code == 200
    assert "qualified" in " ".join(answer.context["problems"])


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
    assert answer.status_code == 302, _errors(answer)
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
    assert answer.status_code == 200 and "cannot be rendered" in str(answer.context["steps"].errors)

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
    assert answer.status_code == 302, (answer.context["problems"], _errors(answer))
    new = drafts.prepared(pipeline).wanted.sequences[-1]
    assert (new.slug, new.steps[0].before) == ("boas_vindas", timezone.timedelta(hours=2))

    staff.post(page("remove_sequence", pipeline, slug="boas_vindas"))
    assert not RulesDraft.objects.exists()


def test_a_message_reads_as_the_real_lead_would_get_it(staff, pipeline):
    record(pipeline, "+5581988887777", name="João Lima")
    record(pipeline, name="Maria Souza")
    said = {"preview_text": "Olá {{ first_name }}!"}

    assert "Olá Maria!" in staff.post(page("message", pipeline), said).content.decode()
    assert "Olá João!" in staff.post(page("message", pipeline), {**said, "lead": "8888-7777"}).content.decode()
    assert "line 1" in staff.post(page("message", pipeline), {"preview_text": "{{ name"}).content.decode()


def test_the_timeline_of_a_form_nobody_saved_is_shown(staff, pipeline):
    path = page("sequence", pipeline, slug="reengagement")
    editor = staff.get(path).context["editor"]
    body = boxes(editor.forms()) | {"slug": "reengagement", "steps-0-when_0": "45", "steps-0-when_1": "60"}

    stops = staff.post(page("timeline", pipeline), body).context["timeline"]

    assert [stop.kind for stop in stops] == ["start", "message", "message", "message", "end"]


@pytest.mark.parametrize("permission, changes", [("view_pipeline", False), ("change_pipeline", True)])
def test_who_may_only_look_changes_nothing(pipeline, permission, changes):
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(user)
    path = page("section", pipeline, section="qualification")

    assert client.get(path).status_code == 200
    context = client.get(path).context
    body = boxes(context["editor"].forms()) | {"min_score": "1", "save": "1"}
    assert client.post(path, body).status_code == (302 if changes else 403)
    for name in ("discard", "stop", "map", "review"):
        assert client.post(page(name, pipeline)).status_code == (302 if changes else 403), name


def test_nobody_sees_rules_without_a_right(client, pipeline):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get(page("overview", pipeline)).status_code == 403
    client.logout()
    assert client.get(page("overview", pipeline)).status_code == 302


def test_every_change_of_a_document_is_told_in_words(pipeline):
    from bridge.configuration import sentences

    live = exporting.read_pipeline(pipeline)
    changed = [
        replace(live, handoff_task="Outra"),
        replace(live, tags=live.tags[1:]),
        replace(live, stages=(replace(live.stages[0], always_visit=True), *live.stages[1:])),
        replace(live, kommo_pipeline_id=5),
    ]
    for one in changed:
        told = sentences.changes(live, one)
        assert told and all(change.before or change.after for _key, _title, lines in told for change in lines)


def test_the_editors_cover_every_part_of_the_document():
    edited = {"stages", "meeting_stage", "without", "stage_mappings", "qualification", "fields", "tags", "flows"}
    edited |= {"sequences", "quiet_hours", "holidays", "opt_out_words", "handoff_max", "chat_reply_pauses"}
    edited |= {"handoff_note", "handoff_task", "handoff_task_within", "name", "time_zone", "locale", "phone_region"}
    elsewhere = {"slug", "is_default", "kommo_pipeline_id"}
    assert {key.attribute for key in drafts.keys_of(document.Pipeline)} == edited | elsewhere
    assert set(EDITORS) | {"sequences"} == {
        key for key, _title in __import__("bridge.configuration.sentences", fromlist=["SECTIONS"]).SECTIONS
    }


def test_a_mapping_list_in_another_order_is_kept(staff, pipeline):
    path = page("section", pipeline, section="conversation")
    edit(staff, path, **{"mappings-0-ORDER": 9})
    publish(staff, pipeline)
    last = StageMapping.objects.order_by("position").last()
    assert last.conversation_stage == "estágio_1_apresentar_soluções"
