"""The rules' tables can be looked at, by admins alone; the rules pages are the one door through which rules change."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bridge import roles
from bridge.admin.advanced import TABLES
from leads.models import Pipeline, Qualification, Stage
from tests.bridge.admin.people import client_of

each_table = pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)


def address(model, what, *args):
    return reverse(f"admin:leads_{model._meta.model_name}_{what}", args=args)


@each_table
def test_nobody_changes_adds_or_removes_a_row_of_the_rules_past_the_drafts(staff, full, model):
    row = model.objects.first()
    before = model.objects.values().get(pk=row.pk)
    assert staff.get(address(model, "add")).status_code == 403
    for what in ("change", "delete"):
        assert staff.post(address(model, what, row.pk), {"name": "x", "min_score": "5"}).status_code == 403
    staff.post(address(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert model.objects.values().get(pk=row.pk) == before


@each_table
def test_only_whoever_looks_after_the_installation_sees_the_tables(full, model):
    for role in (roles.READER, roles.SELLER, roles.MANAGER):
        assert client_of(role).get(address(model, "changelist")).status_code == 403, role
    assert client_of(roles.ADMINISTRATOR).get(address(model, "changelist")).status_code == 200


def test_the_page_of_the_tables_is_for_admins_and_leads_to_each(full):
    assert client_of(roles.MANAGER).get(reverse("advanced")).status_code == 403
    page = client_of(roles.ADMINISTRATOR).get(reverse("advanced")).content.decode()
    assert all(address(model, "changelist") in page for model in TABLES)


def test_who_changed_a_rule_is_kept_with_before_and_after(staff, pipeline):
    qualification = Qualification.objects.get()
    qualification.min_score = 55
    qualification.save()
    page = staff.get(reverse("admin:leads_qualification_history", args=[qualification.pk]))
    assert page.status_code == 200
    assert qualification.history.first().min_score == 55


@pytest.mark.parametrize("part", ["stages", "conversation", "fields"])
def test_a_remedy_leads_to_the_part_of_the_rules_that_mends_it(staff, pipeline, part):
    answer = staff.get(reverse("admin:rules") + f"?part={part}")
    assert answer.url == reverse("admin:rules_section", kwargs={"pk": pipeline.pk, "section": part})
    assert staff.get(answer.url).status_code == 200


def test_without_a_pipeline_the_rules_say_so(staff):
    Stage.objects.all().delete()
    Pipeline.objects.all().delete()
    assert "There is no pipeline yet." in staff.get(reverse("admin:rules"), follow=True).content.decode()
