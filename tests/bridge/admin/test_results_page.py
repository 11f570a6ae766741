"""The page of results: numbers beside those of the time before, each a door to its leads, for whoever may see leads."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bridge.selectors.results import Period
from followups.models import Attempt, Enrollment, Sequence
from followups.sequence_versions import pin
from leads import handoff
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import record

PAGE = "/admin/results/"
NOW = timezone.now()
QUALIFIED = {"qualification_score": 82, "context": {"conversation_stage": "qualificação"}}


def page(client, path=PAGE, **asked):
    answer = client.get(path, asked)
    assert answer.status_code == 200
    return answer


def figures(answer):
    return {figure["name"]: (figure["value"], figure["before"]) for figure in answer.context["figures"]}


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
    [link] = [figure["link"] for figure in page(staff).context["figures"] if figure["name"] == "qualified"]
    shown = page(staff, link).content.decode()
    assert "Ana Prado" in shown
    assert "Bia Rocha" not in shown


def test_a_number_that_is_none_is_no_door(staff, pipeline):
    assert {figure["link"] for figure in page(staff).context["figures"]} == {""}


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
    assert client_of("reader").get(PAGE).status_code == 200


def test_others_may_not(pipeline):
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True), "django.contrib.auth.backends.ModelBackend")
    assert client.get(PAGE).status_code == 403


def test_the_page_costs_the_same_for_any_number_of_leads(staff, pipeline):
    def cost(leads):
        for number in range(leads):
            record(pipeline, f"+55819999900{number:02}", **QUALIFIED)
        page(staff)
        with CaptureQueriesContext(connection) as queries:
            page(staff)
        return len(queries)

    few = cost(1)
    assert cost(9) == few <= MOST_QUERIES


MOST_QUERIES = 66


def behind(client, row):
    return {str(lead) for lead in page(client, row["link"]).context["page"]}


def test_each_row_of_a_table_leads_to_its_leads(staff, pipeline):
    facts = {"context": {"conversation_stage": "qualificação", "objections": ["Preço"]}}
    record(pipeline, "+5581999990001", name="Ana", bill_value=350, **facts)
    record(pipeline, "+5581999990002", name="Bia", **QUALIFIED)
    context = page(staff).context
    entered = {row["stage"]: behind(staff, row) for row in context["funnel"] if row["entered"]}
    assert (entered["qualified"], entered["disqualified"]) == ({"Bia"}, {"Ana"})
    assert [behind(staff, row) for row in context["reasons"]] == [{"Ana"}]
    assert [behind(staff, row) for row in context["objections"]] == [{"Ana"}]


def test_a_step_leads_to_those_who_answered_it_and_the_best_is_marked(staff, pipeline):
    sequence = Sequence.objects.get(pipeline=pipeline, slug="reengagement")
    for number in range(20):
        lead = record(pipeline, f"+55819999900{number:02}", name=f"Lead {number}").lead
        enrollment = Enrollment.objects.create(
            lead=lead, sequence=sequence, version=pin(sequence), purpose="x", anchor_at=NOW, started_at=NOW
        )
        answered_at = NOW if number in (0, 12, 13) else None
        Attempt.objects.create(
            enrollment=enrollment,
            step=1 + number // 10,
            state="sent",
            due_at=NOW,
            created_at=NOW,
            answered_at=answered_at,
        )
    first, second = page(staff).context["followups"]
    assert (behind(staff, first), behind(staff, second)) == ({"Lead 0"}, {"Lead 12", "Lead 13"})
    assert (first["is_best"], second["is_best"]) == (False, True)
    # By the name that people gave it, on the page and above its leads.
    assert first["name"] == sequence.name != sequence.slug
    assert f"{sequence.name}, step 1" in page(staff, first["link"]).content.decode()


@pytest.mark.parametrize("of", ["", "x", "'", "reengagement:99999999999", "a:²", "\0", "x" * 3000])
@pytest.mark.parametrize("name", ["entered", "because", "objected", "answered"])
def test_a_row_that_is_none_has_no_leads(staff, pipeline, name, of):
    record(pipeline)
    assert list(page(staff, f"{PAGE}{name}/", of=of).context["page"]) == []


def test_whoever_answered_after_a_handover_stands_there_by_name(staff, pipeline):
    lead = record(pipeline).lead
    now = timezone.now() - timedelta(minutes=30)
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=now)
    record(pipeline, message=Message(Direction.STAFF, id="a", text="Oi!", author="Ana Ribeiro"))
    [row] = page(staff).context["by_person"]
    assert (row["name"], row["count"]) == ("Ana Ribeiro", 1)
    assert timedelta(minutes=29) < row["p50"] < timedelta(minutes=31)


def test_the_leads_behind_a_number_stand_there_with_what_they_are_worth(staff, pipeline):
    record(pipeline, "+5581999990002", name="Ana Prado", bill_value=4500, **QUALIFIED)
    [link] = [figure["link"] for figure in page(staff).context["figures"] if figure["name"] == "qualified"]
    assert "R$" in page(staff, link).content.decode()


def test_this_month_is_asked_for_by_one_press(staff, pipeline):
    today = timezone.localtime(timezone.now(), ZoneInfo(pipeline.time_zone)).date()
    month = page(staff).context["spans"][0]
    shown = page(staff, f"{PAGE}?{month['asked']}").context
    assert shown["period"] == Period(today.replace(day=1), today, pipeline.time_zone)
    assert shown["spans"][0]["is_shown"]
