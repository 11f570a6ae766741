from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kommo.custom_field_values import Form, agrees, from_kommo, is_form_of, looks_like, same_name, to_kommo

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
        # By the API `text` takes 256 characters, `textarea` many.
        ("text", "á" * 1200, [{"value": "á" * 255}], "á" * 255),
        ("textarea", "á" * 1200, [{"value": "á" * 1200}], "á" * 1200),
        ("text", "um 👨‍👩‍👧 dois\r\ntrês", [{"value": "um dois três"}], "um dois três"),
        ("text", "𝓐𝓷𝓪 𠮷 野", [{"value": "Ana 野"}], "Ana 野"),
        ("text", "👍", None, None),
        ("textarea", "a  b\r\n\r\nc 🌞", [{"value": "a b\n\nc"}], "a b\n\nc"),
        ("url", "www.example.com/a b", [{"value": "https://www.example.com/a%20b"}], "https://www.example.com/a%20b"),
        ("url", "https://a.example", [{"value": "https://a.example"}], "https://a.example"),
        ("date_time", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date_time", datetime(2026, 1, 2, 3, 4), [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date_time", datetime(2026, 1, 2, 0, 4, tzinfo=RECIFE), [{"value": "2026-01-02T00:04:00-03:00"}], 1767323040),
        ("date_time", "2026-01-02T00:04:00-03:00", [{"value": "2026-01-02T00:04:00-03:00"}], 1767323040),
        ("date_time", "2026-01-02T03:04:00", [{"value": "2026-01-02T03:04:00+00:00"}], 1767323040),
        ("date", date(2026, 1, 2), [{"value": "2026-01-02T00:00:00+00:00"}], "2026-01-02"),
        ("birthday", "1767312000", [{"value": "2026-01-02T00:00:00+00:00"}], "2026-01-02"),
        ("date", "-86400", [{"value": "1969-12-31T00:00:00+00:00"}], "1969-12-31"),
        ("date", "2026-01-02T23:30:00", [{"value": "2026-01-02T00:00:00+00:00"}], "2026-01-02"),
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
        ("date", [{"value": 1767312000}], "2026-01-02"),
        ("date", [{"value": "2026-01-02"}], "2026-01-02"),
        ("date", [{"value": "soon"}], "soon"),
        ("date", [{"value": "9" * 30}], "9" * 30),
        ("items", [{"value": " São\u0301 "}], "Sãó"),
        ("items", [{"value": 7}], "7"),
        ("text", [7, {"value": "a"}], "a"),
    ],
)
def test_a_field_as_kommo_has_it(type_, values, comparable):
    known_value = from_kommo(type_, values)
    assert (known_value, type(known_value)) == (comparable, type(comparable))


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
    known_value = from_kommo(type_, values)
    # Compared with what was read before, and stored as JSON.
    assert known_value == from_kommo(type_, values)
    assert json.loads(json.dumps(known_value)) == known_value


def test_a_webhooks_bare_text_is_recognised():
    assert looks_like("4500", ["4500.00"])
    assert looks_like("olá", [" olá "])
    assert looks_like("4500.50", ["4500.5"])
    assert looks_like(True, ["1"])
    assert looks_like(False, ["0"])
    assert not looks_like(True, ["0"])
    assert not looks_like(326358, ["Usina Própria"])
    # Codes, not numbers: a postal code, a phone, a house.
    assert not looks_like("1310100", ["01310100"])
    assert not looks_like("5581999990000", ["+5581999990000"])
    assert not looks_like("1000", ["1_000"])
    assert not looks_like("4500", [])
    assert not looks_like("4500", ["4500", "4500"])
    assert not looks_like([1], [1])


def test_a_webhooks_bare_date_is_recognised_by_its_day():
    # Midnight in São Paulo, as Kommo's webhooks tell it.
    assert looks_like("2026-12-25", ["1798167600"])
    assert not looks_like("2026-12-24", ["1798167600"])


ZONES = ["America/Sao_Paulo", "Europe/Moscow", "UTC", "Pacific/Auckland", "America/Adak", "Asia/Kolkata"]


@given(st.dates(date(1975, 1, 1), date(2100, 1, 1)), st.sampled_from(ZONES))
def test_a_day_is_the_same_day_in_every_zone(day, zone):
    form = Form(zone=ZoneInfo(zone))
    [sent] = to_kommo("date", day.isoformat(), form=form)
    moment = datetime.fromisoformat(sent["value"])
    # The start of its day in the account's zone, or what comes next where that is left out.
    assert moment.astimezone(form.zone).date() == day
    kept = datetime.combine(moment.astimezone(form.zone).date(), time(), form.zone)
    assert from_kommo("date", [{"value": int(kept.timestamp())}], form.zone) == day.isoformat()
    assert to_kommo("date", kept, form=form) == [sent]


@pytest.mark.parametrize(
    ("type_", "shown", "known"),
    [
        ("text", "a b", " a  b "),
        ("text", "família grande", "família grande 👍 três"),
        ("text", None, "👍 sim"),
        ("checkbox", None, False),
        ("url", "http://a.example", "https://a.example/"),
        ("date", "2026-12-25", 1798167600),
    ],
)
def test_another_form_of_what_was_known(type_, shown, known):
    assert is_form_of(type_, shown, known)


@pytest.mark.parametrize(
    ("type_", "shown", "known"),
    [
        ("text", "família", "família grande"),
        ("text", None, "família"),
        ("checkbox", None, True),
        ("checkbox", True, False),
        ("checkbox", False, None),
        ("numeric", None, "0"),
        ("date", "2026-12-24", 1798167600),
        ("multiselect", [1], [1, 2]),
        ("text", 5, "5"),
    ],
)
def test_another_value_is_no_form(type_, shown, known):
    assert not is_form_of(type_, shown, known)


def test_what_people_typed_agrees_when_it_would_be_sent_as_what_is_wanted():
    assert agrees("text", "a" * 255, "a" * 400)
    assert agrees("text", "sim", "sim 👍")
    assert agrees("text", None, "👍")
    assert not agrees("text", "sim", "não")
    assert not agrees("checkbox", False, None)
    assert not agrees("url", "https://a.example", "x" * 3000)


@given(st.text(max_size=400), st.sampled_from(["text", "textarea"]))
def test_what_is_typed_becomes_a_fact_that_agrees_with_it(typed, type_):
    known_value = from_kommo(type_, [{"value": typed}])
    assert agrees(type_, from_kommo(type_, to_kommo(type_, known_value)), known_value)


def test_names_are_the_same_without_their_emoji():
    assert same_name("Ana 🌸 Souza", "Ana Souza")
    assert not same_name("Ana", "Ana Souza")


def test_an_account_that_keeps_emoji_gets_them():
    assert to_kommo("text", "sim 👍", form=Form(keeps_emoji=True)) == [{"value": "sim 👍"}]
