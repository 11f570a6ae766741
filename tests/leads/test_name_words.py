"""People are found by the beginnings of their names' words, in any order, case and accents; names that go are not."""

from __future__ import annotations

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from leads import erasure
from leads.models import Lead, NameWord
from leads.name_words import MOST_WORDS, named, words
from tests.conftest import record

JOAO, GABRIELA = "João Reis da Silva", "Gabriela Rocha-Peixoto"


@pytest.fixture
def people(pipeline):
    record(pipeline, "+5581999990001", name=JOAO)
    record(pipeline, "+5581999990002", name=GABRIELA)
    record(pipeline, "+5581999990003")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("joao", {JOAO}),
        ("JOÃO", {JOAO}),
        ("rocha gabriela", {GABRIELA}),
        ("gab roc", {GABRIELA}),
        ("peixoto", {GABRIELA}),
        ("silva, joão", {JOAO}),
        ("joao rocha", set()),
        ("%", {JOAO, GABRIELA, ""}),
        ("ocha", set()),
    ],
)
def test_names_are_found_however_they_are_typed(people, text, names):
    assert set(named(Lead.objects.all(), text).values_list("name", flat=True)) == names


def test_a_corrected_name_is_found_by_what_it_is_now(pipeline, people):
    record(pipeline, "+5581999990001", name="Pedro Reis")
    assert not named(Lead.objects.all(), "joao").exists()
    assert named(Lead.objects.all(), "pedro reis").exists()


def test_nothing_is_kept_of_the_name_of_an_erased_person(people):
    erasure.erase(Lead.objects.get(name=JOAO), by=Lead.Actor.STAFF, now=timezone.now())
    assert set(NameWord.objects.values_list("word", flat=True)) == {"gabriela", "rocha", "peixoto"}


def test_news_that_name_nobody_write_no_word(pipeline, people, django_assert_num_queries):
    lead = Lead.objects.get(name=JOAO)
    before = list(NameWord.objects.order_by("pk").values_list("pk", flat=True))
    record(pipeline, lead.phone, bill_value=900)
    assert list(NameWord.objects.order_by("pk").values_list("pk", flat=True)) == before


@given(st.text(max_size=300))
def test_any_text_has_words_that_fit(text):
    found = words(text)
    assert len(found) <= MOST_WORDS
    assert all(0 < len(word) <= NameWord.LONGEST for word in found)
    assert len(set(found)) == len(found)


@given(st.lists(st.sampled_from(["João", "MARIA", "da", "Sá", "Íris", "O'Neil"]), min_size=1, max_size=4))
def test_words_are_the_same_in_another_order_and_case(parts):
    assert set(words(" ".join(parts))) == set(words(" ".join(reversed(parts)).upper()))
