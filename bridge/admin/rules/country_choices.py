"""Countries, time zones, and ways to write amounts, as people choose them: by name, in the language of the page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from zoneinfo import available_timezones

import holidays
import phonenumbers
from babel import Locale
from babel.core import get_global
from babel.numbers import format_decimal
from django.utils.formats import date_format
from django.utils.translation import get_language

Choices = list[tuple[str, str]]
# Ways to write amounts and dates that are offered; another one that a file names stays.
LOCALES = (
    "pt_BR", "pt_PT", "es_MX", "es_AR", "es_CO", "es_CL", "es_PE", "es_ES", "en_US", "en_GB", "fr_FR", "de_DE", "it_IT",
)  # fmt: skip
NEXT_HOLIDAYS = 5


def _here() -> Locale:
    return Locale.parse((get_language() or "en").replace("-", "_"))


def _named(codes: Iterable[str]) -> Choices:
    names = _here().territories
    return sorted(((code, names.get(code, code)) for code in codes), key=lambda country: country[1].casefold())


def countries() -> Choices:
    """Return the countries whose holidays are known."""
    return _named(holidays.list_supported_countries())


def states(country: str) -> Choices:
    return [(code, code) for code in holidays.list_supported_countries().get(country, [])]


def phone_regions() -> Choices:
    """Return the countries that phones may be of, with the prefix they have there."""
    return [
        (code, f"{name} (+{phonenumbers.country_code_for_region(code)})")
        for code, name in _named(phonenumbers.SUPPORTED_REGIONS)
    ]


def locales(also: str = "") -> Choices:
    """Return ways to write amounts, each with an example of it."""
    known = dict.fromkeys([*LOCALES, also] if also else LOCALES)
    return [(code, f"{_name_of(code)}: {format_decimal(1234.5, '#,##0.00', locale=code)}") for code in known]


def _name_of(code: str) -> str:
    return Locale.parse(code).get_display_name(_here()) or code


def zones(country: str) -> list[tuple[str, Choices]]:
    """Return all time zones, those of a country first, by their cities; groups of a select."""
    near = [zone for zone in _zones() if get_global("zone_territories").get(zone) == country]
    far = [zone for zone in _zones() if zone not in near]
    name = _here().territories.get(country, country)
    return [(name, [(zone, _city(zone)) for zone in near]), ("…", [(zone, zone) for zone in far])]


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _city(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


def next_holidays(country: str, state: str, *, today: date) -> list[tuple[str, str]]:
    """Return the next days that are kept, with what they are called there; none without a country."""
    known = holidays.list_supported_countries()
    if country not in known or (state and state not in known[country]):
        return []
    # Without it the machine's language would name them.
    language = holidays.country_holidays(country).default_language
    years = (today.year, today.year + 1)
    found = holidays.country_holidays(country, subdiv=state or None, years=years, language=language)
    coming = sorted((day, name) for day, name in found.items() if day >= today)[:NEXT_HOLIDAYS]
    return [(date_format(day, "SHORT_DATE_FORMAT"), name) for day, name in coming]
