"""The dialog in which staff set facts right, and how what they typed is read: as their language writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import format_decimal
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.text import capfirst
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _

from leads import money
from leads.facts_set_in_the_admin import CORRECTABLE
from leads.models import Lead
from leads.words_for_nothing import name_of


class UnreadableError(ValueError):
    """What was typed cannot be taken; the message says why."""


@dataclass(frozen=True)
class Box:
    """One thing to set right: `typed` is what stands in it, as the reader writes it."""

    name: str
    label: str
    typed: str
    mode: str = "text"


def boxes(lead: Lead) -> list[Box]:
    """Return what may be set right, as it is now."""
    labels = {name: capfirst(str(Lead._meta.get_field(name).verbose_name)) for name in CORRECTABLE}  # type: ignore[union-attr]
    typed = {"name": lead.name, "email": lead.email}
    typed |= {name: _number(getattr(lead, name)) for name in ("bill_value", "qualification_score")}
    modes = {"email": "email", "bill_value": "decimal", "qualification_score": "decimal"}
    return [Box(name, labels[name], typed[name], mode=modes.get(name, "text")) for name in CORRECTABLE]


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that were typed anew: what stands as it was shown says nothing. Raises UnreadableError."""
    return dict(_read(given))


def _read(given: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name in CORRECTABLE:
        typed = given.get(name, "").strip()
        if name in given and typed != given.get(f"was_{name}", "").strip():
            yield name, READ[name](typed) if typed else None


def _locale() -> str:
    return to_locale(get_language() or "pt-br")


def _number(value: Decimal | None) -> str:
    return "" if value is None else format_decimal(value.normalize(), locale=_locale())


def _name(typed: str) -> str:
    if not (found := name_of(typed)[:250]):
        raise UnreadableError(_("“%(typed)s” is no name of a person.") % {"typed": typed[:40]})
    return found


def _email(typed: str) -> str:
    try:
        validate_email(typed)
    except ValidationError as error:
        raise UnreadableError(_("“%(typed)s” is no e-mail address.") % {"typed": typed[:60]}) from error
    return typed[:254]


def _amount(typed: str) -> Decimal:
    try:
        return money.parse(typed, locale=_locale())
    except money.MoneyError as error:
        raise UnreadableError(_("“%(typed)s” is no amount.") % {"typed": typed[:40]}) from error


def _score(typed: str) -> Decimal:
    try:
        found = Decimal(typed.replace(",", ".")).quantize(Decimal("0.01"))
    except InvalidOperation:
        found = Decimal(-1)
    if not (found.is_finite() and 0 <= found <= 100):
        raise UnreadableError(_("A score is a number from 0 to 100."))
    return found


READ: dict[str, Callable[[str], Any]] = {
    "name": _name,
    "email": _email,
    "bill_value": _amount,
    "qualification_score": _score,
}
