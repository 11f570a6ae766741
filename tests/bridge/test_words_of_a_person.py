"""By which words somebody is found in a text, and whom nobody is taken for."""

from __future__ import annotations

import re

import pytest

from bridge import words_of_a_person


@pytest.mark.parametrize(
    ("word", "text", "is_found"),
    [
        ("ana li", "juliana lima", False),
        ("ana li", "falei com ana li, ontem", True),
        ("ana li", "“ana li”", True),
        ("ângela", "ângelas", False),
        ("ria@x.com", "maria@x.com", False),
        ("ria@x.com", "de.ria@x.com", False),
        ("ria@x.com", "ria@x.com.br", False),
        ("ria@x.com", "ria@x.com-loja", False),
        ("ria@x.com", "<ria@x.com>.", True),
        ("5581988234599", "+5581988234599", True),
        ("5581988234599", "5581988234599@c.us", True),
        ("81988234599", "5581988234599", False),
        ("a.c (1)", "abc 1", False),
        ("a.c (1)", "de a.c (1) a z", True),
    ],
)
def test_a_word_is_found_as_a_whole(word, text, is_found):
    assert bool(re.search(words_of_a_person.whole_word(word), text)) is is_found


@pytest.mark.parametrize(
    ("name", "is_telling"), [("Ana", False), (" Ana ", False), ("Ana Li", True), ("Alessandra", True), ("Zuzu", False)]
)
def test_a_short_single_name_is_many_peoples(name, is_telling):
    assert words_of_a_person.is_telling(name) is is_telling
