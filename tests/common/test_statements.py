"""A statement compiled once says what the queryset says, with the values of each call."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.db.models.signals import post_save
from django.utils import timezone

from common.statements import JsonArray, Select, Update, insert, insert_missing, update
from leads import announcements
from leads.models import Event, Lead, Objection, Pipeline
from tests.conftest import lead_of, record

BY_PHONE = Select(lambda phones: Lead.objects.filter(phone__in=phones).order_by("phone"))
SEEN_SINCE = Select(
    lambda since, name: (
        Lead.objects.filter(updated_at__gte=since).exclude(name=name).order_by("phone").values_list("pk", "updated_at")
    )
)
WITH_PIPELINE = Select(lambda lead_id: Lead.objects.filter(pk=lead_id).select_related("pipeline", "stage"))
RENAME = Update(
    lambda lead_ids, name: (Lead.objects.filter(pk__in=lead_ids), {"name": name}), returning=("id", "name", "pipeline")
)

ANA, BIA = "+5581999990001", "+5581999990002"


def test_rows_are_the_same_as_the_querysets_whatever_the_values(pipeline, django_assert_num_queries):
    record(pipeline, ANA, name="Ana", bill_value=450, custom={"a": [1]} | {"b": "x"}, is_decision_maker=True)
    record(pipeline, BIA, name="Bia", context={"conversation_stage": "qualificação"})

    for phones in ([ANA], [BIA], [ANA, BIA], ["+5581900000000"], [ANA]):
        with django_assert_num_queries(1):
            found = BY_PHONE.all(phones=phones)
        plain = list(Lead.objects.filter(phone__in=phones).order_by("phone"))
        assert [row.__dict__ | {"_state": None} for row in found] == [row.__dict__ | {"_state": None} for row in plain]
        assert all(not row._state.adding for row in found)


def test_tuples_and_times_come_as_a_queryset_gives_them(pipeline):
    ana, bia = record(pipeline, ANA, name="Ana").lead, record(pipeline, BIA, name="Bia").lead
    now = timezone.now()
    assert SEEN_SINCE.all(since=now - timedelta(hours=1), name="Ana") == [(bia.pk, bia.updated_at)]
    assert SEEN_SINCE.all(since=now - timedelta(hours=1), name="") == [
        (ana.pk, ana.updated_at),
        (bia.pk, bia.updated_at),
    ]
    assert SEEN_SINCE.first(since=now + timedelta(hours=1), name="Ana") is None


def test_joined_rows_come_with_it_and_are_empty_where_there_is_none(pipeline, django_assert_num_queries):
    lead = record(pipeline, ANA).lead
    Lead.objects.filter(pk=lead.pk).update(stage=None)
    with django_assert_num_queries(1):
        found = WITH_PIPELINE.first(lead_id=lead.pk)
        assert (found.pipeline.slug, found.stage) == ("solar", None)


def test_an_update_tells_what_it_changed(pipeline):
    ana, bia = record(pipeline, ANA).lead, record(pipeline, BIA).lead
    assert RENAME.run(lead_ids=[ana.pk], name="Ana") == [(ana.pk, "Ana", pipeline.pk)]
    assert {row[0] for row in RENAME.run(lead_ids=[ana.pk, bia.pk], name="X")} == {ana.pk, bia.pk}
    assert RENAME.run(lead_ids=[uuid4()], name="X") == []


def test_rows_written_at_once_read_back_as_they_were(pipeline):
    lead = record(pipeline, ANA).lead
    now = timezone.now()
    events = [
        Event(lead_id=lead.pk, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.KOMMO, reason=str(n), data={"n": n})
        for n in range(3)
    ]
    assert insert(events) == 3
    stored = Event.objects.filter(kind=Event.Kind.CARD).order_by("reason")
    assert [(event.at, event.reason, event.data) for event in stored] == [(now, str(n), {"n": n}) for n in range(3)]
    assert insert([]) == 0


def test_what_a_constraint_refuses_is_left_out_and_counted_so(pipeline):
    record(pipeline, ANA)
    now = timezone.now()

    def lead(phone):
        return Lead(pipeline=pipeline, phone=phone, phone_key=phone, stage_set_at=now, created_at=now, updated_at=now)

    assert insert([lead(ANA), lead(BIA)], ignore_conflicts=True) == 1
    assert set(Lead.objects.values_list("phone", flat=True)) == {ANA, BIA}


def test_of_rows_that_may_be_there_already_the_new_ones_are_told(pipeline):
    lead = record(pipeline, ANA).lead
    now = timezone.now()

    def objections(*keys):
        return [Objection(lead_id=lead.pk, name=key, key=key, raised_at=now) for key in keys]

    assert insert_missing(objections("preço"), returning="key") == {"preço"}
    assert insert_missing(objections("preço", "prazo", "confiança"), returning="key") == {"prazo", "confiança"}
    assert insert_missing(objections("preço"), returning="key") == set()
    assert insert_missing([], returning="key") == set()
    assert Objection.objects.count() == 3


def test_a_column_of_many_rows_is_read_as_one_list(pipeline):
    ana, bia = record(pipeline, ANA).lead, record(pipeline, BIA).lead
    insert([Objection(lead_id=ana.pk, name=k, key=k, raised_at=timezone.now()) for k in ('é "caro"', "prazo")])
    keys = Subquery(
        Objection.objects.filter(lead_id=OuterRef("pk"))
        .order_by()
        .values("lead_id")
        .annotate(all=JsonArray("key"))
        .values("all")
    )
    by_lead = dict(Lead.objects.annotate(keys=keys).values_list("pk", "keys"))
    assert set(by_lead[ana.pk]) == {'é "caro"', "prazo"}
    assert by_lead[bia.pk] is None


def test_columns_are_saved_row_by_row(pipeline):
    leads = [record(pipeline, phone, name="x").lead for phone in (ANA, BIA)]
    for number, lead in enumerate(leads):
        lead.name, lead.custom, lead.bill_value = f"L{number}", {"n": number}, number
    update(leads, {"name", "custom"})
    assert [
        (written_lead.name, written_lead.custom, written_lead.bill_value)
        for written_lead in (lead_of(ANA), lead_of(BIA))
    ] == [
        ("L0", {"n": 0}, None),
        ("L1", {"n": 1}, None),
    ]


def test_whoever_listens_for_saved_leads_hears_of_interactions_and_of_plain_saves(pipeline):
    heard = []

    def listen(saved, **_):
        heard.extend((change.lead.name, change.created, change.changed) for change in saved)

    announcements.leads_saved.connect(listen)
    try:
        lead = record(pipeline, ANA, name="Ana").lead
        lead.name = "Bia"
        lead.save(update_fields=["name"])
    finally:
        announcements.leads_saved.disconnect(listen)
    assert [name for name, _, _ in heard] == ["Ana", "Bia"]
    assert (heard[0][1], heard[1][1:]) == (True, (False, frozenset({"name"})))


def test_nobody_listens_to_post_save_of_leads_which_interactions_do_not_send():
    receivers, _ = post_save._live_receivers(Lead)
    ours = {
        receiver.__name__ for receiver in receivers if receiver.__module__.startswith(("leads", "followups", "bridge"))
    }
    assert ours == {"lead_saved"}


@pytest.mark.django_db(transaction=True)
def test_a_statement_compiled_in_one_thread_runs_in_another(transactional_db):
    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory")
    found = []
    slug = Select(lambda slug: Pipeline.objects.filter(slug=slug))

    def look():
        found.append(slug.first(slug="nowhere"))
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert slug.first(slug="nowhere") is None
    assert found == [None]


def test_a_look_up_that_would_change_its_value_is_refused_and_not_frozen(pipeline):
    record(pipeline, ANA, name="Maria Souza")
    with pytest.raises(ValueError, match="handed to the database"):
        Select(lambda text: Lead.objects.filter(name__icontains=text)).all(text="souza")
    with pytest.raises(ValueError, match="text"):
        Select(lambda ids, text: Lead.objects.filter(pk__in=ids, name__startswith=text)).all(ids=[1], text="Maria")


NAMED_BY_A_CONSTANT = Select(
    lambda phones: Lead.objects.filter(name__in=["D'Ávila 100 %s", "?"], phone__in=phones).values_list("phone")
)


def test_constants_stand_in_the_statement_whatever_signs_they_have(pipeline):
    record(pipeline, ANA, name="D'Ávila 100 %s")
    record(pipeline, BIA, name="Bia")
    assert NAMED_BY_A_CONSTANT.all(phones=[ANA, BIA]) == [(ANA,)]
    if connection.vendor == "sqlite":
        [compiled] = NAMED_BY_A_CONSTANT._compiled.values()
        assert "'D''Ávila 100 %%s'" in compiled.sql
        assert all(is_place for is_place, _ in compiled.parameters)
