"""S13: what staff change in the admin holds from the next interaction on."""

from __future__ import annotations

from django.urls import reverse

from leads.models import Qualification, Stage
from tests.bridge.admin.forms import submit
from tests.conftest import record

SCORED = {"qualification_score": 60, "context": {"conversation_stage": "qualificação"}}


def test_s13_a_lower_minimum_score_qualifies_the_next_interaction(staff, pipeline):
    assert record(pipeline, "+5581999990001", **SCORED).decision.stage == "disqualified"
    qualification = Qualification.objects.get()

    answer = submit(staff, reverse("admin:leads_qualification_change", args=[qualification.pk]), min_score="55")

    assert answer.status_code == 302, answer.context["errors"]
    recorded = record(pipeline, "+5581999990002", **SCORED)
    assert (recorded.decision.stage, recorded.decision.reason) == ("qualified", "qualification_score 60 >= 55")


def test_s13_a_renamed_stage_shows_its_new_name_at_once(staff, pipeline):
    stage = Stage.objects.get(pipeline=pipeline, key="new")

    answer = submit(staff, reverse("admin:leads_stage_change", args=[stage.pk]), name="RECÉM-CHEGADO")

    assert answer.status_code == 302, answer.context["errors"]
    assert record(pipeline).lead.stage.name == "RECÉM-CHEGADO"


def test_who_changed_a_rule_is_kept_with_before_and_after(staff, pipeline):
    qualification = Qualification.objects.get()

    submit(staff, reverse("admin:leads_qualification_change", args=[qualification.pk]), min_score="55")

    after = qualification.history.first()
    assert (after.min_score, after.history_user.username) == (55, "ada")
    page = staff.get(reverse("admin:leads_qualification_history", args=[qualification.pk]))
    assert page.status_code == 200


def test_a_score_that_cannot_be_is_refused_with_a_sentence(staff, pipeline):
    qualification = Qualification.objects.get()

    answer = submit(staff, reverse("admin:leads_qualification_change", args=[qualification.pk]), min_score="700")

    assert answer.status_code == 200
    assert "lies between 0 and 100" in answer.content.decode()
