"""Reading an amount of money the way it was written in its country. Pure."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberFormatError, format_currency, get_decimal_symbol, get_group_symbol, parse_decimal

MAX_AMOUNT = Decimal("999999999999.99")
CENT = Decimal("0.01")
MAX_LENGTH = 64
# A currency by its sign or code, before or after the number.
_SIGN = r"(?:R\$|US\$|\$|€|£|BRL|USD|EUR|GBP)"
CURRENCY = re.compile(rf"^\s*{_SIGN}\s*|\s*(?:{_SIGN}|reais|real)\s*$", re.IGNORECASE)

# Whose money it is, by the country of a pipeline's phones.
CURRENCIES = {"BR": "BRL", "PT": "EUR", "US": "USD"}


class MoneyError(ValueError):
    """The value is no amount of money."""


def parse(value: str | int | float | Decimal, *, locale: str) -> Decimal:
    """Return the amount, rounded to cents. A number is taken as it is; a text is read as `locale` (pt_BR) writes it.

    In Brazil "R$ 4.500,00" is four and a half thousand and "R$ 4.000" is four thousand. Raises MoneyError for texts
    that are no amount in that country or could be two, and for negative and absurd amounts.
    """
    if isinstance(value, bool):
        raise MoneyError("yes or no is not an amount")
    amount = _from_text(value, locale) if isinstance(value, str) else _from_number(value)
    if not amount.is_finite():
        raise MoneyError("the amount is not a number")
    if amount < 0:
        raise MoneyError("the amount is negative")
    if amount > MAX_AMOUNT:
        raise MoneyError(f"the amount is above {MAX_AMOUNT}")
    # abs: a minus before nothing is nothing.
    return abs(amount).quantize(CENT)


def _from_number(value: int | float | Decimal) -> Decimal:
    # By its text: the float 0.1 is meant as a tenth.
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def _from_text(text: str, locale: str) -> Decimal:
    if len(text) > MAX_LENGTH:
        raise MoneyError(f"an amount has at most {MAX_LENGTH} characters")
    # Before normalizing, which would read 4² as forty-two.
    if any(unicodedata.category(character) == "No" for character in text):
        raise MoneyError(f"“{text}” is not an amount of money")
    bare = unicodedata.normalize("NFKC", text)
    bare = CURRENCY.sub("", CURRENCY.sub("", bare)).strip()
    try:
        country = Locale.parse(locale)
        group, decimal = get_group_symbol(country), get_decimal_symbol(country)
    except (UnknownLocaleError, ValueError) as error:
        raise MoneyError(f"{locale} is not a locale such as pt_BR") from error
    # Several countries group by kinds of spaces, all of which are typed as a plain one.
    bare = bare.replace(unicodedata.normalize("NFKC", group), group)
    if not re.fullmatch(rf"-?[\d.,{re.escape(group)}]*\d", bare, re.ASCII):
        raise MoneyError(f"“{text}” is not an amount of money")
    if re.fullmatch(rf"-?[1-9]\d{{0,2}}{re.escape(decimal)}\d{{3}}", bare):
        raise MoneyError(f"“{text}” may be thousands or a fraction; write the cents with two digits")
    try:
        return parse_decimal(_mended(bare, group, decimal), locale=country, strict=True)
    except (NumberFormatError, InvalidOperation) as error:
        raise MoneyError(f"“{text}” is not an amount as {locale} writes it") from error


def _mended(bare: str, group: str, decimal: str) -> str:
    """Return the number with its separators as the country has them, where the text can mean only one thing.

    A separator with one or two digits behind it separates no thousands: "4500.50" was written by a machine or on a
    foreign keyboard, and reading it as 450050 would be wrong by a factor of a hundred.
    """
    if group in ".," and decimal not in bare and bare.count(group) == 1 and len(bare.partition(group)[2]) in (1, 2):
        return bare.replace(group, decimal)
    return bare


def of_region(region: str) -> str:
    """Return the currency of a country of phones: BR -> BRL."""
    return CURRENCIES.get(region, "BRL")


def written(amount: Decimal, *, locale: str, currency: str, with_cents: bool = True) -> str:
    """Return an amount of a currency as it is written in a locale: "R$ 4.500,00" in pt_BR."""
    pattern = None if with_cents else "¤\xa0#,##0"
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=with_cents)
