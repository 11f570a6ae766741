"""What a seller asks the list of leads for, and that an index answers it, however many leads there are."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from bridge.models import Card
from bridge.selectors import lead_list_cells, lead_list_chips
from bridge.selectors.lead_list_chips import SHELVES, Order
from followups.models import Enrollment
from leads.interaction_values import Direction, Meeting
from leads.interaction_values import Message as Said
from leads.models import Lead, Message, Stage
from tests.conftest import record

NOW = datetime(2026, 3, 11, 12, tzinfo=ZoneInfo("America/Sao_Paulo"))


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def leads(pipeline, account):
    """Seven people, each with one thing that a seller asks for."""

    def person(number, name, **facts):
        return record(pipeline, f"+55819900000{number:02}", name=name, **facts).lead

    inbound, outbound = Said(Direction.INBOUND, text="Oi"), Said(Direction.OUTBOUND, text="Tudo bem?")
    talks = person(1, "Talks", message=inbound)
    waits = person(2, "Waits")
    long_ago = NOW - timedelta(days=3)
    silent = person(3, "Silent", message=inbound, occurred_at=NOW - timedelta(hours=3))
    person(3, "Silent", message=outbound, occurred_at=NOW - timedelta(hours=2))
    today = person(4, "Today", context={"meeting": _meeting("a", NOW + timedelta(hours=3))})
    person(5, "Tomorrow", context={"meeting": _meeting("b", NOW + timedelta(days=1, hours=-4))})
    gone = person(6, "Gone")
    stuck = person(7, "Stuck")
    Lead.objects.filter(pk__in=[lead.pk for lead in (silent, today, gone, stuck)]).update(updated_at=long_ago)
    Lead.objects.filter(pk=waits.pk).update(
        handoff_source=Lead.HandoffSource.API, handoff_since=NOW - timedelta(minutes=5)
    )
    Lead.objects.filter(pk=gone.pk).update(stage=pipeline.stages.get(key="lost"))
    Card.objects.filter(lead=stuck).update(state=Card.State.DEAD, due_at=None)
    Enrollment.objects.exclude(lead=silent).delete()
    assert talks.last_inbound_at


def _meeting(name, starts_at):
    return Meeting(status="scheduled", id=name, starts_at=starts_at)


@pytest.mark.parametrize(
    ("shelf", "names"),
    [
        ("waiting", {"Waits"}),
        ("talking", {"Talks"}),
        ("today", {"Today"}),
        ("tomorrow", {"Tomorrow"}),
        ("silent", {"Silent"}),
        ("followed", {"Silent"}),
        ("trouble", {"Stuck"}),
        ("lost", {"Gone"}),
    ],
)
def test_a_shelf_holds_the_leads_that_are_asked_for(leads, shelf, names):
    found = SHELVES[shelf].narrow(Lead.objects.all(), timezone.now())
    assert set(found.values_list("name", flat=True)) == names


@pytest.mark.parametrize("key", ["not_interested", "disqualified", "lost"])
def test_given_up_are_those_of_whom_no_sale_is_expected(leads, pipeline, key):
    Lead.objects.filter(name="Talks").update(stage=pipeline.stages.get(key=key))
    found = SHELVES["lost"].narrow(Lead.objects.all(), timezone.now())
    assert "Talks" in set(found.values_list("name", flat=True))


@pytest.mark.parametrize("key", ["new", "human_handoff", "won"])
def test_others_are_not_given_up(leads, pipeline, key):
    Lead.objects.filter(name="Talks").update(stage=pipeline.stages.get(key=key))
    found = SHELVES["lost"].narrow(Lead.objects.all(), timezone.now())
    assert "Talks" not in set(found.values_list("name", flat=True))


@pytest.mark.parametrize(
    ("inbound", "outbound", "staff", "is_silent"),
    [
        (None, 600, None, True),
        (700, 600, None, True),
        (600, 700, None, False),
        (700, None, 600, True),
        (700, 30, None, False),
        (700, 600, 30, False),
        (None, None, None, False),
    ],
)
def test_no_answer_is_ours_that_was_the_last_word_for_an_hour(leads, inbound, outbound, staff, is_silent):
    spoke = {"last_inbound_at": inbound, "last_outbound_at": outbound, "last_staff_at": staff}
    at = {name: None if minutes is None else NOW - timedelta(minutes=minutes) for name, minutes in spoke.items()}
    Lead.objects.filter(name="Talks").update(**at)
    found = SHELVES["silent"].narrow(Lead.objects.all(), timezone.now())
    assert ("Talks" in set(found.values_list("name", flat=True))) is is_silent


# --- By an index


def plan_of(rows) -> list[str]:
    with connection.cursor() as cursor:
        sql, parameters = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        return [str(row[-1]) for row in cursor.fetchall()]


def as_listed(key, order):
    """Return the queries of a page of a shelf, as the list asks them."""
    shelf = SHELVES.get(key)
    rows = shelf.narrow(Lead.objects.all(), timezone.now()) if shelf else Lead.objects.all()
    parts = lead_list_chips.parts(rows, shelf, order, Stage.objects.all())
    if shelf and shelf.in_order:
        return [rows.order_by(*shelf.in_order)[:200]]
    return [part.order_by(f"-{order.keyset}", "-pk")[:51] for part in parts]


SHOWN = [(key, order) for key, shelf in SHELVES.items() for order in (shelf.orders if not shelf.in_order else [""])]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what its tables hold")
@pytest.mark.parametrize(("key", "order"), [*SHOWN, *(("", order) for order in Order)])
def test_no_list_reads_all_leads(leads, key, order):
    for rows in as_listed(key, Order(order)):
        plan = plan_of(rows)
        read_whole = [line for line in plan if re.match(r"SCAN leads_lead$", line)]
        assert not read_whole, plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what its tables hold")
@pytest.mark.parametrize(
    ("key", "order", "index"),
    [
        ("", Order.TOUCHED, "leads_lead_updated_at"),
        ("", Order.NEW, "lead_newest"),
        ("", Order.WORTH, "lead_by_stage_and_worth"),
        ("talking", Order.TOUCHED, "leads_lead_updated_at"),
        ("silent", Order.TOUCHED, "leads_unanswered"),
        ("lost", Order.TOUCHED, "leads_in_stage"),
        ("lost", Order.WORTH, "lead_by_stage_and_worth"),
    ],
)
def test_what_may_be_most_leads_is_read_in_the_order_of_its_index(leads, key, order, index):
    for rows in as_listed(key, order):
        plan = plan_of(rows)
        assert any(index in line for line in plan), plan
        assert not any("TEMP B-TREE FOR ORDER BY" in line for line in plan), plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what its tables hold")
def test_the_leads_of_somebody_are_read_in_the_order_of_their_index(leads):
    plan = plan_of(Lead.objects.filter(kommo_responsible_id=7).order_by("-updated_at", "-pk")[:51])
    assert any("leads_of_responsible" in line for line in plan), plan
    assert not any("TEMP B-TREE FOR ORDER BY" in line for line in plan), plan


# --- What is told of each


def test_a_glance_has_the_last_words_the_next_message_and_whom_it_waits_for(leads, account):
    account.catalogue.users = [{"id": 7, "name": "Ana Ribeiro", "email": "ana@example.com"}]
    account.catalogue.save()
    Lead.objects.filter(name="Talks").update(kommo_responsible_id=7)

    seen = {lead.name: glance for lead, glance in _glances()}

    assert seen["Talks"].last.text == "Oi"
    assert seen["Talks"].responsible == "Ana Ribeiro"
    assert seen["Silent"].last.direction == Message.Direction.OUTBOUND
    assert seen["Silent"].way.next_at
    assert seen["Waits"].waits_since == NOW - timedelta(minutes=5)
    assert seen["Gone"].last is None
    assert seen["Gone"].waits_since is None


def _glances():
    found = list(Lead.objects.select_related("pipeline"))
    seen = lead_list_cells.of(found)
    return [(lead, seen[lead.pk]) for lead in found]


def test_glances_take_as_many_queries_for_many_leads_as_for_two(leads, django_assert_num_queries):
    Lead.objects.update(kommo_responsible_id=7)
    for many in (2, 7):
        # The first of them has said something.
        found = list(Lead.objects.select_related("pipeline").order_by("phone")[:many])
        with django_assert_num_queries(6):
            lead_list_cells.of(found)


@pytest.mark.parametrize(
    ("email", "name", "found"),
    [
        ("ANA@example.com", "", 7),
        ("", "ana ribeiro", 7),
        ("bia@example.com", "Bia Lima", 8),
        ("nobody@example.com", "Nobody", None),
        ("", "", None),
    ],
)
def test_somebody_is_known_in_kommo_by_their_e_mail_or_else_by_their_name(account, email, name, found):
    account.catalogue.users = [
        {"id": 7, "name": "Ana Ribeiro", "email": "ana@example.com"},
        # As an older version kept them.
        {"id": 8, "name": "Bia Lima"},
    ]
    account.catalogue.save()
    assert lead_list_cells.id_of(email, name) == found
