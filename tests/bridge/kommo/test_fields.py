from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kommo.fields import from_kommo, looks_like, to_kommo

RECIFE = timezone(timedelta(hours=-3))


@pytest.mark.parametrize(
    ("type_", "value", "values", "comparable"),
    [
        ("numeric", Decimal("4500.00"), [{"value": "4500"}], "4500"),
        ("numeric", Decimal("4500.50"), [{"value": "4500.5"}], "4500.5"),
        ("text", " olá ", [{"value": "olá"}], "olá"),
        ("checkbox", False, [{"value": False}], False),
        ("numeric", Decimal("1E+3"), [{"value": "1000"}], "1000"),
        ("monetary", " 12,5".replace(",", "."), [{"value": "12.5"}], "12.5"),
        ("numeric", Decimal("-0.00"), [{"value": "0"}], "0"),
        ("checkbox", True, [{"value": True}], True),
        ("text", None, None, None),
        ("text", "", None, None),
        ("text", [], None, None),
        ("text", True, [{"value": "sim"}], "sim"),
        ("text", False, [{"value": "não"}], "não"),
        ("textarea", ["preço", "timing"], [{"value": "preço, timing"}], "preço, timing"),
        (
            "text",
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            [{"value": "2026-01-02T03:04+00:00"}],
            "2026-01-02T03:04+00:00",
        ),
        ("text", "á" * 1200, [{"value": "á" * 1000}], "á" * 1000),
        ("url", "https://a.example", [{"value": "https://a.example"}], "https://a.example"),
        ("date_time", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date_time", datetime(2026, 1, 2, 3, 4), [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date_time", datetime(2026, 1, 2, 0, 4, tzinfo=RECIFE), [{"value": "2026-01-02T00:04:00-03:00"}], 1767323040),
        ("date_time", "2026-01-02T00:04:00-03:00", [{"value": "2026-01-02T00:04:00-03:00"}], 1767323040),
        ("date_time", "2026-01-02T03:04:00", [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date", date(2026, 1, 2), [{"value": "2026-01-02T00:00:00+00:00"}], 1767312000),
        ("birthday", "1767312000", [{"value": "2026-01-02T00:00:00+00:00"}], 1767312000),
        ("date", "-86400", [{"value": "1969-12-31T00:00:00+00:00"}], -86400),
    ],
)
def test_a_value_in_kommos_words_and_back(type_, value, values, comparable):
    assert to_kommo(type_, value) == values
    assert from_kommo(type_, values) == comparable


def test_choices_go_by_id_never_by_text():
    assert to_kommo("select", "Usina", [326358]) == [{"enum_id": 326358}]
    assert from_kommo("select", [{"value": "Usina Própria", "enum_id": 326358, "enum_code": None}]) == 326358
    assert to_kommo("select", "Usina", []) is None
    assert to_kommo("multiselect", ["b", "a"], [2, 1, 2]) == [{"enum_id": 1}, {"enum_id": 2}]
    assert to_kommo("multiselect", ["c"], []) is None
    assert from_kommo("multiselect", [{"enum_id": 2}, {"enum_id": 1}]) == [1, 2]


def test_a_choice_without_an_id_compares_by_its_text():
    assert from_kommo("select", [{"value": "Usina"}]) == "Usina"
    assert from_kommo("multiselect", [{"value": "b"}, {"enum_id": 1}]) == [1, "b"]


@pytest.mark.parametrize(
    ("type_", "values", "comparable"),
    [
        ("text", None, None),
        ("text", [], None),
        ("text", [{"value": None}], None),
        ("numeric", [{"value": ""}], None),
        ("numeric", [{"value": "abc"}], "abc"),
        ("checkbox", [{"value": "1"}], True),
        ("checkbox", [{"value": "TRUE"}], True),
        ("checkbox", [{"value": 0}], False),
        ("date", [{"value": 1767312000}], 1767312000),
        ("date", [{"value": "soon"}], "soon"),
        ("date", [{"value": "9" * 30}], "9" * 30),
        ("items", [{"value": " São\u0301 "}], "Sãó"),
        ("items", [{"value": 7}], "7"),
        ("text", [7, {"value": "a"}], "a"),
    ],
)
def test_a_field_as_kommo_has_it(type_, values, comparable):
    held = from_kommo(type_, values)
    assert (held, type(held)) == (comparable, type(comparable))


@pytest.mark.parametrize(
    ("type_", "value", "why"),
    [
        ("numeric", "abc", "'abc' is not a number"),
        ("numeric", True, "yes or no is not a number"),
        ("numeric", "inf", "'inf' is not a finite number"),
        ("checkbox", "x", "a checkbox holds yes or no"),
        ("date", "9" * 30, f"'{'9' * 30}' is not a time"),
        ("date", "soon", "Invalid isoformat string: 'soon'"),
        ("file", "x", "fields of type file are not written"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(type_, value, why):
    with pytest.raises(ValueError) as refusal:
        to_kommo(type_, value)
    assert str(refusal.value) == why


@given(st.decimals(-(10**9), 10**9, places=2, allow_nan=False))
def test_a_number_read_back_compares_equal(number):
    written = to_kommo("numeric", number)
    assert written is not None
    # Kommo returns numbers as text, with or without zeros.
    assert from_kommo("numeric", [{"value": str(number)}]) == from_kommo("numeric", written)


@given(st.text(max_size=50))
def test_a_text_read_back_compares_equal(text):
    assert from_kommo("text", to_kommo("text", text)) == from_kommo(
        "text", to_kommo("text", from_kommo("text", to_kommo("text", text)))
    )


@given(
    st.sampled_from(["text", "numeric", "select", "multiselect", "checkbox", "date", "unknown"]),
    st.lists(
        st.dictionaries(
            st.sampled_from(["value", "enum_id"]), st.none() | st.text(max_size=9) | st.integers() | st.booleans()
        ),
        max_size=3,
    ),
)
def test_reading_survives_anything_kommo_may_hold(type_, values):
    held = from_kommo(type_, values)
    # Compared with what was read before, and stored as JSON.
    assert held == from_kommo(type_, values)
    assert json.loads(json.dumps(held)) == held


def test_a_webhooks_bare_text_is_recognised():
    assert looks_like("4500", ["4500.00"])
    assert looks_like("olá", [" olá "])
    assert looks_like("4500.50", ["4500.5"])
    assert looks_like(True, ["1"])
    assert looks_like(False, ["0"])
    assert not looks_like(True, ["0"])
    assert not looks_like(326358, ["Usina Própria"])
    assert not looks_like("4500", [])
    assert not looks_like("4500", ["4500", "4500"])
    assert not looks_like([1], [1])
