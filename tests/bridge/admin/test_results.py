"""The page of results: numbers beside those of the time before, each a door to its leads, for whoever may see leads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import record

PAGE = "/admin/results/"
QUALIFIED = {"qualification_score": 82, "context": {"conversation_stage": "qualificação"}}


def page(client, path=PAGE, **asked):
    answer = client.get(path, asked)
    assert answer.status_code == 200
    return answer


def figures(answer):
    return {one["name"]: (one["value"], one["before"]) for one in answer.context["figures"]}


def test_an_installation_without_news_says_so(staff, pipeline):
    answer = page(staff)
    assert answer.context["nothing_yet"]
    assert "Nothing happened in these days" in answer.content.decode()


def test_every_number_stands_beside_that_of_the_time_before(staff, pipeline):
    before = record(pipeline, "+5581999990001").lead
    Lead.objects.filter(pk=before.pk).update(created_at=timezone.now() - timedelta(days=40))
    record(pipeline, "+5581999990002", **QUALIFIED)
    record(pipeline, "+5581999990003")
    assert figures(page(staff))["leads"] == ("2", "1")
    assert figures(page(staff))["qualified"] == ("1", "0")


def test_a_number_leads_to_the_leads_behind_it(staff, pipeline):
    record(pipeline, "+5581999990002", name="Ana Prado", **QUALIFIED)
    record(pipeline, "+5581999990003", name="Bia Rocha")
    [link] = [one["link"] for one in page(staff).context["figures"] if one["name"] == "qualified"]
    shown = page(staff, link).content.decode()
    assert "Ana Prado" in shown
    assert "Bia Rocha" not in shown


def test_a_number_that_is_none_is_no_door(staff, pipeline):
    assert {one["link"] for one in page(staff).context["figures"]} == {""}


@pytest.mark.parametrize("asked", [{"from": "x", "to": "y"}, {"from": "2026-05-02", "to": "2026-05-01"}, {"from": "1"}])
def test_days_that_are_none_show_the_usual_ones(staff, pipeline, asked):
    assert page(staff, **asked).context["period"].days == 30


def test_days_that_are_asked_for_are_shown(staff, pipeline):
    record(pipeline)
    today = timezone.localdate()
    yesterday = (today - timedelta(days=1)).isoformat()
    answer = page(staff, **{"from": yesterday, "to": yesterday})
    assert figures(answer)["leads"] == ("0", "0")


def test_there_is_no_page_for_a_number_without_leads(staff, pipeline):
    assert staff.get(f"{PAGE}hours_saved/").status_code == 404
    assert staff.get(f"{PAGE}nothing/").status_code == 404


def test_who_may_see_leads_may_see_the_results(pipeline):
    assert client_of("viewer").get(PAGE).status_code == 200


def test_others_may_not(pipeline):
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True), "django.contrib.auth.backends.ModelBackend")
    assert client.get(PAGE).status_code == 403


@pytest.mark.parametrize("leads", [1, 9])
def test_the_page_costs_the_same_for_any_number_of_leads(staff, pipeline, django_assert_num_queries, leads):
    for number in range(leads):
        record(pipeline, f"+55819999900{number:02}", **QUALIFIED)
    page(staff)
    with django_assert_num_queries(QUERIES):
        page(staff)


QUERIES = 43
