"""Reasons are stored by their codes beside rows that have sentences; both read, are found, and are erased alike."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.utils import timezone, translation

from bridge.models import Card
from bridge.reasons import in_words
from common.reasons import Reason, about, several
from common.reasons.columns import either
from leads import erasure
from leads.models import Event, Lead
from tests.conftest import record

MOVED = Reason("person_moved_card_to", a="“Agendado: hoje; talvez”")


@pytest.fixture
def lead(account, pipeline):
    record(pipeline, "+5581999990000")
    return Lead.objects.get()


def column(model, name, pk):
    """Return a column of a row as the database has it."""
    with connection.cursor() as cursor:
        row_id = pk.hex if connection.vendor == "sqlite" and hasattr(pk, "hex") else pk
        cursor.execute(f"SELECT {name} FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s", [row_id])
        return cursor.fetchone()[0]


def event(lead, reason, data=None):
    made = Event.objects.create(
        lead=lead, at=timezone.now(), kind="decision", actor="bridge", reason=reason, data=data or {}
    )
    return Event.objects.get(pk=made.pk)


def test_a_row_has_the_code_and_the_parts(lead):
    stored = column(Event, "reason", event(lead, MOVED).pk)
    assert json.loads(stored) == {"$reason": "person_moved_card_to", "a": "“Agendado: hoje; talvez”"}


def test_it_is_read_as_the_sentence_it_is(lead):
    row = event(lead, several([MOVED, "por um humano"]), {"ignored": [{"field": "name", "reason": MOVED}]})
    assert row.reason == f"{MOVED}; por um humano"
    assert row.data == {"ignored": [{"field": "name", "reason": MOVED.sentence}]}
    assert row.data["ignored"][0]["reason"].code == "person_moved_card_to"
    assert [type(reason) for reason in Event.objects.filter(pk=row.pk).values_list("reason", flat=True)] == [Reason]
    assert Event.objects.filter(pk=row.pk).values_list("data__ignored__0__reason", flat=True)[0] == MOVED


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "a person moved the card to “Novo”; Retomada: held by ada"),
        ("pt-br", "uma pessoa moveu o card para “Novo”; Retomada: pausado por ada"),
        ("es", "una persona movió la tarjeta a “Novo”; Retomada: pausado por ada"),
    ],
)
def test_old_rows_and_new_ones_are_told_alike(lead, language, words):
    reason = several([Reason("person_moved_card_to", a="“Novo”"), about("Retomada", Reason("held_by", what="ada"))])
    new, old = event(lead, reason), event(lead, reason.sentence)
    assert not isinstance(old.reason, Reason)
    with translation.override(language):
        assert in_words(new.reason) == in_words(old.reason) == words


def test_a_name_that_looks_like_the_end_of_a_sentence_is_told_whole(lead):
    with translation.override("pt-br"):
        assert in_words(event(lead, MOVED).reason).endswith("para “Agendado: hoje; talvez”")


def test_what_is_too_long_for_its_column_is_stored_as_its_sentence(lead):
    fits, too_long = Reason("person_moved_card_to", a="x" * 440), Reason("person_moved_card_to", a="x" * 600)
    assert isinstance(event(lead, fits).reason, Reason)
    assert event(lead, too_long).reason == too_long[:500]
    quoted = Reason("person_moved_card_to", a='"' * 300)
    assert event(lead, quoted).reason == quoted


def test_what_somebody_wrote_is_no_reason_of_ours(lead):
    theirs = '{"$reason":"kommo_answered","number":402}'
    row = event(lead, theirs, {"custom": {"$reason": "kommo_answered", "number": 402}, "text": theirs})
    assert row.reason == theirs
    assert row.data == {"custom": {"$reason": "kommo_answered", "number": 402}, "text": theirs}


def test_rows_are_found_by_the_reason_now_and_before(lead):
    waits = Reason("person_in_incoming_leads", number=7)
    card = Card.objects.get(lead=lead)
    for stored in (waits, waits.sentence):
        Card.objects.filter(pk=card.pk).update(waiting_reason=stored)
        assert Card.objects.filter(waiting_reason__in=either(waits)).count() == 1
        assert Card.objects.get(pk=card.pk).waiting_reason == waits


def test_every_word_of_it_goes_with_the_person(lead):
    named = Reason("lead_wrote", a="“Maria Souza”")
    rows = [
        event(lead, reason, {"ignored": [{"reason": reason}], "notes": named}).pk for reason in (named, named.sentence)
    ]
    Lead.objects.filter(pk=lead.pk).update(decision_reason=named, handoff_reason=named)
    lead.refresh_from_db()
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    for pk in rows:
        assert column(Event, "reason", pk) == ""
        assert "Maria" not in json.dumps(column(Event, "data", pk))
    assert "Maria" not in column(Lead, "decision_reason", lead.pk) + column(Lead, "handoff_reason", lead.pk)
