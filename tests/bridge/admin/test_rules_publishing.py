"""A draft nobody feels, what it would change, publication, history and roll-back."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from bridge.admin.rules.looking_ahead import Group
from bridge.configuration import drafts
from bridge.configuration.whatif import Cost, Outlook
from bridge.models import Reevaluation, RulesDraft, RulesRevision
from leads.models import (
    Qualification,
)
from tests.bridge.admin.rules_editing import SCORED, boxes, edit, page, publish, threshold
from tests.conftest import MARIA, lead_of, record


def test_a_published_threshold_decides_the_next_interaction(staff, pipeline):
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
    assert "Maria" in shown and "score 72, minimum 80" in shown
    assert not RulesDraft.objects.exists() and Qualification.objects.get().min_score == 70


def test_the_headline_is_of_those_whom_the_order_of_the_stages_holds_back_when_nobody_else_would_move(pipeline):
    outlook = Outlook(total=35, looked=35, is_complete=True, held={"qualified>qualifying": 35})
    groups = [Group(35, "QUALIFICADO", "EM QUALIFICAÇÃO", [])]
    context = {
        "row": pipeline,
        "outlook": outlook,
        "moves": [],
        "held": groups,
        "counts_answers": True,
        "cost": Cost(0, 0),
    }
    words = " ".join(render_to_string("admin/rules/what_if.html", context).split())
    assert "data-held>35</span> leads belong elsewhere by these rules, but do not go back by themselves" in words
    assert "leads would move" not in words
    assert '<span id="count-allowed" hx-swap-oob="true">(0)</span>' in words
    assert "(0 and 35 held back)" in words

    outlook.moves = {"new>qualified": 2}
    words = " ".join(render_to_string("admin/rules/what_if.html", context).split())
    assert "data-moving>2</span> leads would move, 35 more do not go back by themselves" in words


def test_a_changed_field_names_the_cards_that_show_it(staff, account, pipeline):
    record(pipeline, name="Maria")
    edit(staff, page("section", pipeline, section="fields"), **{"tags-0-template": "plano_{value}"})

    answer = staff.post(page("what_if", pipeline), headers={"accept-language": "en"})

    assert (answer.context["cards"], answer.context["is_same"]) == (1, True)
    assert "card shows what you changed" in answer.content.decode()


def test_who_may_not_see_leads_sees_how_many_and_no_names(pipeline):
    record(pipeline, name="Maria", qualification_score=72, context=SCORED["context"])
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_pipeline"))
    client = Client()
    client.force_login(user)
    threshold(client, pipeline, 80)

    answer = client.post(page("what_if", pipeline))

    assert answer.context["outlook"].moving == 1 and "Maria" not in answer.content.decode()
    form = {"steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0, "steps-0-text": "Olá {{ name }}"}
    previewed = client.post(page("timeline", pipeline), form)
    assert "Olá Maria Souza" in previewed.content.decode(), "to an example"
    assert previewed.context["to"] == ""


def test_what_was_found_so_far_travels_with_the_page_and_only_for_the_same_rules(staff, pipeline, monkeypatch):
    monkeypatch.setattr("leads.reconsideration.PAGE", 1)
    monkeypatch.setattr("bridge.admin.rules.looking_ahead.LOOK_FOR", timezone.timedelta(0))
    for number in range(3):
        record(pipeline, f"+558199999000{number}", qualification_score=72, context=SCORED["context"])
    threshold(staff, pipeline, 80)

    def ask(so_far=""):
        return staff.post(page("what_if", pipeline), {"so_far": so_far}).context

    first = ask()
    second = ask(first["so_far"])
    assert [context["outlook"].looked for context in (first, second)] == [1, 2]
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
    assert "have changed since you looked" in str([str(message) for message in answer.context["messages"]])


def test_two_people_who_edit_at_once_do_not_overwrite_each_other(staff, pipeline):
    path = page("section", pipeline, section="qualification")
    context = staff.get(path).context
    mine = boxes(context["editor"].forms()) | {"seen": context["prepared"].mark, "min_score": "10", "save": "1"}
    threshold(staff, pipeline, 55)

    answer = staff.post(path, mine)

    assert answer.status_code == 200 and answer.context["mistakes"]
    assert drafts.prepared(pipeline).wanted.qualification.min_score == 55


def test_a_discarded_draft_is_gone_and_the_rules_are_as_they_were(staff, pipeline):
    threshold(staff, pipeline, 55)
    staff.post(page("discard", pipeline))
    assert not RulesDraft.objects.exists() and Qualification.objects.get().min_score == 70
