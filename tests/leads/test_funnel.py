"""Where leads stand and stood: each stay is written down, and the funnel counts from that at a constant cost."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from leads import funnel, stage_moves
from leads.models import Lead, Stage, Stay
from tests.conftest import record

QUALIFIED = {"qualification_score": 82, "context": {"conversation_stage": "qualificação"}}


def path(lead):
    return [(stay.stage.key, stay.left_at is None) for stay in lead.stays.order_by("id").select_related("stage")]


def stage(pipeline, key):
    return Stage.objects.get(pipeline=pipeline, key=key)


def shown(pipeline, now):
    return funnel.places(pipeline, funnel.lately(pipeline, now=now))


def test_a_lead_leaves_a_stage_when_it_enters_the_next(pipeline):
    lead = record(pipeline).lead
    record(pipeline, **QUALIFIED)
    assert path(lead) == [("new", False), ("qualified", True)]
    left, entered = lead.stays.order_by("id")
    assert left.left_at == entered.entered_at


def test_news_that_move_nobody_open_no_stay(pipeline):
    lead = record(pipeline).lead
    record(pipeline, name="Maria")
    lead.refresh_from_db()
    lead.save()
    assert path(lead) == [("new", True)]


def test_a_lead_in_a_stage_of_kommos_own_stands_in_none_of_ours(pipeline):
    lead = record(pipeline).lead
    stage_moves.leave_our_stages(lead, name="Pós-venda", reason="moved in Kommo", now=timezone.now())
    assert path(lead) == [("new", False)]
    stage_moves.move(lead, stage(pipeline, "qualified"), by=Lead.Actor.STAFF, reason="back", now=timezone.now())
    assert path(lead) == [("new", False), ("qualified", True)]


def test_the_funnel_shows_who_stands_where_how_many_came_and_how_long_they_stayed(pipeline):
    now = timezone.now()
    leads = [record(pipeline, f"+558199999000{number}").lead for number in range(4)]
    Stay.objects.update(entered_at=now - timedelta(hours=6))
    Lead.objects.update(stage_set_at=now - timedelta(hours=6))
    for lead in leads[:2]:
        stage_moves.move(lead, stage(pipeline, "qualified"), by=Lead.Actor.STAFF, reason="called", now=now)
    new, qualified = (place for place in shown(pipeline, now) if place.stage.key in ("new", "qualified"))
    assert (new.standing, new.entered, new.conversion, new.usual_stay) == (2, 4, 1.0, timedelta(hours=6))
    assert (qualified.standing, qualified.entered, qualified.conversion, qualified.usual_stay) == (2, 2, 0.5, None)


def test_what_happened_long_ago_does_not_count(pipeline):
    record(pipeline)
    later = timezone.now() + funnel.LATELY + timedelta(days=1)
    new = shown(pipeline, later)[0]
    assert (new.standing, new.entered, new.conversion) == (1, 0, None)


@pytest.mark.parametrize("leads", [1, 7])
def test_the_funnel_costs_the_same_for_any_number_of_leads(pipeline, django_assert_num_queries, leads):
    for number in range(leads):
        record(pipeline, f"+558199999000{number}", **QUALIFIED)
    with django_assert_num_queries(6):
        shown(pipeline, timezone.now())


@pytest.mark.parametrize(("hours_before_midnight", "entered"), [(1, 0), (-1, 1)])
def test_whole_days_count_as_the_results_count_them(pipeline, hours_before_midnight, entered):
    record(pipeline)
    now = timezone.now()
    today = timezone.localtime(now, ZoneInfo(pipeline.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - funnel.LATELY + timedelta(days=1)
    Stay.objects.update(entered_at=first - timedelta(hours=hours_before_midnight))
    assert shown(pipeline, now)[0].entered == entered
