"""How a moment is said to somebody: today, tomorrow or on which day, by whose clock, in the language of the pipeline.

Pure. What is said is true of the moment of saying it: whatever moves that, words move along.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, get_timezone_location

# Further off than this a day without its year could be another one.
YEAR_IS_PLAIN_DAYS = 300


@dataclass(frozen=True)
class Manner:
    """How a language says it. `at`: before an hour, and before one o'clock. `date`: as Babel writes patterns."""

    today: str
    tomorrow: str
    at: tuple[str, str]
    on: str
    date: str
    date_with_year: str
    clock: str

    def hour(self, moment: datetime) -> str:
        return f"{self.at[moment.hour == 1]} {moment:%H:%M}"


MANNERS = {
    "pt": Manner("hoje", "amanhã", ("às", "à"), "{weekday}, {date}, {hour}", "dd/MM", "dd/MM/y", "horário de {city}"),
    "es": Manner("hoy", "mañana", ("a las", "a la"), "{weekday}, {date}, {hour}", "dd/MM", "dd/MM/y", "hora de {city}"),
    "en": Manner("today", "tomorrow", ("at", "at"), "{weekday}, {date}, {hour}", "d MMMM", "d MMMM y", "{city} time"),
}


@dataclass(frozen=True)
class Told:
    """A moment in words: “amanhã às 08:00”, “25/11”, “08:00”, “25/11 às 08:00”, “horário de Manaus”.

    The clock is named with each of them that has an hour, where it needs a name; `clock` is empty otherwise.
    """

    when: str
    date: str
    time: str
    date_and_time: str
    clock: str


def words_for(moment: datetime, *, at: datetime, clock: ZoneInfo, others: Collection[str], locale: str) -> Told:
    """Return how the moment is said at another one, `at`.

    clock: by which it is told. others: zones whose clocks whoever reads it may look at instead; where one of them shows
    another hour at that moment, the clock is named. locale: such as pt_BR; one that is not known speaks English.
    """
    babel = _locale(locale)
    manner = MANNERS[babel.language]
    there, said_at = moment.astimezone(clock), at.astimezone(clock)
    days = (there.date() - said_at.date()).days
    date = format_date(there, manner.date_with_year if abs(days) > YEAR_IS_PLAIN_DAYS else manner.date, babel)
    hour, name = manner.hour(there), ""
    if any(moment.astimezone(ZoneInfo(other)).utcoffset() != there.utcoffset() for other in others):
        name = manner.clock.format(city=get_timezone_location(clock, locale=babel, return_city=True))
    named = f" ({name})" if name else ""
    if days in (0, 1):
        when = f"{manner.tomorrow if days else manner.today} {hour}"
    else:
        when = manner.on.format(weekday=_weekday(there, babel), date=date, hour=hour)
    return Told(when + named, date, f"{there:%H:%M}{named}", f"{date} {hour}{named}", name)


def _weekday(moment: datetime, locale: Locale) -> str:
    # As people say it: sexta, and not sexta-feira.
    return format_date(moment, "EEEE", locale).removesuffix("-feira")


def _locale(name: str) -> Locale:
    try:
        found = Locale.parse(name)
    except (UnknownLocaleError, ValueError):
        found = Locale("en")
    return found if found.language in MANNERS else Locale("en")
