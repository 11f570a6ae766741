"""Texts in words and chips: nothing of the code is lost, and what is plain is read without code."""

from __future__ import annotations

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import exporting
from followups import text_chips, texts
from followups.text_chips import Chip, Code, Words

GREETING = "Oi{% if first_name %}, {{ first_name }}{% endif %}! Ainda posso ajudar?"


def test_words_that_fall_away_with_a_name_are_part_of_its_chip():
    oi, name, rest = text_chips.parts(GREETING)
    assert (oi, rest) == (Words("Oi"), Words("! Ainda posso ajudar?"))
    assert (name.name, name.before, name.after, name.otherwise) == ("first_name", ", ", "", "")


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (GREETING, "Oi, [first name]! Ainda posso ajudar?"),
        ("{{ name }} e {{meeting.when}}", "[full name] e [when the meeting is]"),
        ('Olá {{ first_name | default: "cliente" }}', "Olá [first name, or “cliente”]"),
        ("{% if name %}{{ name }}{% else %}você{% endif %}", "[full name, or “você”]"),
        ("{% if meeting %} {{ meeting.link }}{% endif %}", " [link of the meeting]"),
        ("{% if meeting %}a{% endif %}", "[if there is: a meeting]a[end of the condition]"),
        ("{{ custom.cidade }}", "[cidade]"),
        ("{{ bill_value | times: 2 }}", "[{{ bill_value | times: 2 }}]"),
        ("{{ outro }}", "[{{ outro }}]"),
        ("", ""),
    ],
)
def test_a_text_is_read_without_code_where_it_is_plain(text, readable):
    assert text_chips.readable(text) == readable


def test_a_condition_about_something_else_is_no_chip():
    assert not any(isinstance(part, Chip) for part in text_chips.parts("{% if phone %}{{ name }}{% endif %}")[:1])


PIECES = st.sampled_from(
    [
        "Oi", " ", ", ", "\n", "{", "}", "%", "{{", "}}", "{%", "%}", "{{ name }}", "{{first_name}}", "{% if name %}",
        "{% else %}", "{% endif %}", "{{ meeting.when }}", "{% if meeting %}", "{{ x | y }}",
        '{{ name | default: "x" }}',
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_sign_of_any_text_is_lost(text):
    assert "".join(part.code for part in text_chips.parts(text)) == text


@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_chip_says_what_its_code_says(text):
    for part in text_chips.parts(text):
        if isinstance(part, Chip) and part.name in ("name", "first_name"):
            rendered = texts.render(f"[{part.code}]", texts.SAMPLE)
            assert rendered == f"[{part.before}{texts.SAMPLE[part.name]}{part.after}]"
            assert texts.render(f"[{part.code}]", {}) == f"[{part.otherwise}]"


def test_every_name_a_chip_has_is_one_that_a_text_may_use():
    for name in text_chips.NAMES:
        assert texts.unknown_names(f"{{{{ {name} }}}}") == []


def test_the_seed_is_read_without_code(pipeline):
    with translation.override("pt-br"):
        for sequence in exporting.read_pipeline(pipeline).sequences:
            for step in sequence.steps:
                assert not any(isinstance(part, Code) for part in text_chips.parts(step.text)), step.text
                assert "{" not in text_chips.readable(step.text)
