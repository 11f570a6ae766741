"""Amounts are read as the pipeline's country writes them, and refused where they could be two."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.money import MAX_AMOUNT, MoneyError, parse


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("R$ 4.500,00", "4500.00"),
        ("R$4.500,00", "4500.00"),
        ("R$\N{NO-BREAK SPACE}4.500,00", "4500.00"),
        ("r$ 4.500", "4500.00"),
        ("R$ 4.000", "4000.00"),
        ("4.500", "4500.00"),
        ("4.500 reais", "4500.00"),
        ("BRL 4.500,00", "4500.00"),
        ("1.234.567,89", "1234567.89"),
    ],
)
def test_a_dot_separates_thousands_in_brazil(text, amount):
    assert parse(text, locale="pt_BR") == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4500", "4500.00"),
        ("4500,5", "4500.50"),
        ("4500,55", "4500.55"),
        ("0,5", "0.50"),
        ("0", "0.00"),
        ("-0", "0.00"),
    ],
)
def test_an_amount_needs_no_separators(text, amount):
    assert str(parse(text, locale="pt_BR")) == amount


def test_a_machines_decimal_point_is_not_taken_for_thousands():
    assert parse("4500.50", locale="pt_BR") == Decimal("4500.50")
    assert parse("4500.5", locale="pt_BR") == Decimal("4500.50")


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en_US", "$4,500.00"),
        ("en_US", "4,500"),
        ("es_MX", "$4,500.00"),
        ("de_CH", "4’500.00"),
        ("fr_FR", "4 500,00 €"),
        ("fr_FR", "4\N{NARROW NO-BREAK SPACE}500,00"),
    ],
)
def test_other_countries_write_it_their_way(locale, text):
    assert parse(text, locale=locale) == Decimal(4500)


@pytest.mark.parametrize(
    ("number", "amount"),
    [(4500, "4500.00"), (4500.5, "4500.50"), (0.1, "0.10"), (Decimal("82.005"), "82.00"), (0, "0.00"), (4.5, "4.50")],
)
def test_a_number_is_taken_as_it_is(number, amount):
    assert str(parse(number, locale="pt_BR")) == amount


@pytest.mark.parametrize(("locale", "text"), [("pt_BR", "4,500"), ("en_US", "4.500"), ("en_US", "R$ 4.000")])
def test_thousands_of_another_country_are_refused_rather_than_read_as_a_fraction(locale, text):
    with pytest.raises(MoneyError, match="thousands or a fraction"):
        parse(text, locale=locale)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "R$",
        "mil",
        "4,5 mil",
        "R$ 4.500,00/mês",
        "entre 400 e 500",
        # Two bills, not four hundred thousand.
        "400 500",
        "4,500.00",
        "12.34.567",
        "4500.000",
        "4.500.",
        "1e5",
        "4²",
        "٤٥٠٠",
        "NaN",
        "inf",
    ],
)
def test_what_is_no_amount_in_brazil_is_refused(text):
    with pytest.raises(MoneyError, match="amount"):
        parse(text, locale="pt_BR")


@pytest.mark.parametrize("value", [-1, -0.01, "-4", "R$ -4.500,00", Decimal("-5")])
def test_a_negative_amount_is_refused(value):
    with pytest.raises(MoneyError, match="negative"):
        parse(value, locale="pt_BR")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), Decimal("sNaN"), Decimal("NaN"), True])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(MoneyError, match="amount"):
        parse(value, locale="pt_BR")


@pytest.mark.parametrize(
    "value", [MAX_AMOUNT + 1, pytest.param(10**6000, id="six thousand digits"), 1e300, "1.000.000.000.000,00", "9" * 64]
)
def test_an_absurd_amount_is_refused(value):
    with pytest.raises(MoneyError, match="above"):
        parse(value, locale="pt_BR")


def test_a_very_long_text_is_refused_unread():
    with pytest.raises(MoneyError, match="64 characters"):
        parse("1" * 65, locale="pt_BR")


@pytest.mark.parametrize("locale", ["", "xx_YY", "?"])
def test_an_unknown_country_is_named(locale):
    with pytest.raises(MoneyError, match="not a locale"):
        parse("4500", locale=locale)


LOCALES = st.sampled_from(["pt_BR", "en_US", "fr_FR", "de_CH", "en_IN", "ar_EG", "sv_SE", "nowhere"])
AMOUNT_LIKE = st.text(alphabet="0123456789.,- R$€'\N{NO-BREAK SPACE}", max_size=20)


@given(value=st.text() | AMOUNT_LIKE | st.integers() | st.floats() | st.decimals(), locale=LOCALES)
def test_any_value_is_an_amount_or_refused(value, locale):
    try:
        amount = parse(value, locale=locale)
    except MoneyError as refusal:
        assert str(refusal)
        return
    assert 0 <= amount <= MAX_AMOUNT
    assert amount.as_tuple().exponent == -2
    # What was kept is taken as it is.
    assert parse(amount, locale=locale) == amount


@given(cents=st.integers(0, int(MAX_AMOUNT * 100)))
def test_what_brazil_writes_is_what_it_means(cents):
    amount = Decimal(cents) / 100
    written = f"R$ {amount:,.2f}".translate(str.maketrans(",.", ".,"))

    assert parse(written, locale="pt_BR") == amount
