from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.channels import cutting_texts

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🇧🇷"
LINK = "https://acme.example/proposta?lead=1&de=maria#topo"


def plain(text: str) -> str:
    return "".join(text.split())


@given(st.text(min_size=1, max_size=400), st.integers(min_value=1, max_value=60))
def test_nothing_is_lost_and_every_part_fits(text, limit):
    parts = cutting_texts.cut(text, limit)

    assert plain("".join(parts)) == plain(text)
    assert parts
    assert all(len(part) <= limit for part in parts) or not text.strip()


@given(st.lists(st.sampled_from(["a", "é", "e\u0301", FAMILY, FLAG, "👋🏽", "❤️", "b "]), min_size=1, max_size=60))
def test_no_sign_is_parted(signs):
    text = "".join(signs).strip() or "a"
    parts = cutting_texts.cut(text, 12)

    for part in parts[1:]:
        assert part[0] not in ("\u0301", "\u200d", "\ufe0f", "🏽")
    # A flag is two letters, and never one.
    assert all(part.count("🇧") == part.count("🇷") for part in parts)


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("Oi", 10, ["Oi"]),
        ("Oi Maria.\n\nTudo bem?", 12, ["Oi Maria.", "Tudo bem?"]),
        ("uma linha\noutra linha", 12, ["uma linha", "outra linha"]),
        ("Uma frase. Outra frase.", 14, ["Uma frase.", "Outra frase."]),
        ("palavra palavra palavra", 16, ["palavra palavra", "palavra"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        # Breaks as Windows writes them go whole.
        ("Primeira.\r\n\r\nSegunda.", 12, ["Primeira.", "Segunda."]),
        ("uma linha\r\noutra linha", 12, ["uma linha", "outra linha"]),
        # A link that a part can hold is not cut, however little stands before it.
        (f"veja: {LINK}", len(LINK), ["veja:", LINK]),
        (f"veja: {LINK} e responda", len(LINK) + 4, ["veja:", f"{LINK} e", "responda"]),
        # What fits keeps its breaks.
        ("a\n\nb\n- c", 20, ["a\n\nb\n- c"]),
    ],
)
def test_a_text_is_cut_where_it_does(text, limit, parts):
    assert cutting_texts.cut(text, limit) == parts


@given(
    st.lists(st.sampled_from(["a", "sim", "palavra", LINK, "e\u0301", FAMILY, FLAG]), min_size=1, max_size=20),
    st.integers(min_value=len(LINK), max_value=90),
    st.sampled_from([" ", "\n", "\r\n", "\n\n", "\r\n\r\n"]),
)
def test_no_word_that_a_part_can_hold_is_parted(words, limit, between):
    parts = cutting_texts.cut(between.join(words), limit)

    assert [word for part in parts for word in part.split()] == words
    assert all(part == part.strip() for part in parts)


def test_a_pause_is_as_long_as_a_person_would_type():
    assert cutting_texts.pause("oi") == cutting_texts.SHORTEST_PAUSE
    assert cutting_texts.pause("a" * 90) == pytest.approx(5.0)
    assert cutting_texts.pause("a" * 4000) == cutting_texts.LONGEST_PAUSE


@pytest.mark.parametrize("run", ["\t", "\r", "\n", "\n\t", "\t\n", " \n \n", "a\t", "\u2003", ". ", "!"])
def test_a_text_takes_time_by_its_length_whatever_it_is_made_of(run):
    """Blanks without end took the square: who answers with tabs held a process for seconds."""
    long = f"a{(run * 40_000)[:40_000]}b"
    short = f"a{(run * 4_000)[:4_000]}b"

    def seconds(text):
        began = process_time()
        cutting_texts.cut(text, len(text) - 1)
        return process_time() - began

    # Ten times the length: ten times the time, where the square is a hundred times.
    assert min(seconds(long) for _ in range(3)) < 40 * max(min(seconds(short) for _ in range(3)), 0.0005)
