from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups import moments_in_words

SAO_PAULO, MANAUS = "America/Sao_Paulo", "America/Manaus"
# A Tuesday, ten in the morning in São Paulo.
NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


def spoken_of(moment, *, at=NOW, clock=SAO_PAULO, others=(), locale="pt_BR"):
    return moments_in_words.words_for(moment, at=at, clock=ZoneInfo(clock), others=others, locale=locale)


@pytest.mark.parametrize(
    ("locale", "hours", "wording"),
    [
        ("pt_BR", 4, "hoje às 14:00"),
        ("pt_BR", 22, "amanhã às 08:00"),
        ("pt_BR", 76, "sexta, 27/11, às 14:00"),
        ("pt_BR", 88, "sábado, 28/11, às 02:00"),
        ("pt_BR", 63, "sexta, 27/11, à 01:00"),
        ("pt_BR", -20, "segunda, 23/11, às 14:00"),
        ("pt_BR", 24 * 365, "quarta, 24/11/2027, às 10:00"),
        ("pt", 4, "hoje às 14:00"),
        ("en", 4, "today at 14:00"),
        ("en_US", 22, "tomorrow at 08:00"),
        ("en", 76, "Friday, 27 November, at 14:00"),
        ("es", 4, "hoy a las 14:00"),
        ("es_MX", 22, "mañana a las 08:00"),
        ("es", 76, "viernes, 27/11, a las 14:00"),
        ("es", 63, "viernes, 27/11, a la 01:00"),
        # What nobody taught it speaks English.
        ("ja", 4, "today at 14:00"),
        ("nonsense", 4, "today at 14:00"),
    ],
)
def test_a_moment_is_said_as_people_say_it(locale, hours, wording):
    assert spoken_of(NOW + timedelta(hours=hours), locale=locale).when == wording


def test_the_day_is_that_of_the_clock_by_which_it_is_told():
    late = datetime(2026, 11, 25, 3, 30, tzinfo=UTC)
    assert spoken_of(late).when == "amanhã às 00:30"
    assert spoken_of(late, clock=MANAUS).when == "hoje às 23:30"


@pytest.mark.parametrize(
    ("locale", "name"), [("pt_BR", "horário de Manaus"), ("en", "Manaus time"), ("es", "hora de Manaos")]
)
def test_a_clock_that_shows_another_hour_than_theirs_is_named(locale, name):
    spoken = spoken_of(NOW + timedelta(hours=4), clock=MANAUS, others=[SAO_PAULO], locale=locale)
    assert spoken.clock == name
    for words in (spoken.when, spoken.time, spoken.date_and_time):
        assert words.endswith(f"({name})")
    assert name not in spoken.date


def test_a_clock_that_shows_the_same_hour_needs_no_name():
    spoken = spoken_of(NOW, clock="America/Recife", others=[SAO_PAULO, "America/Fortaleza"])
    assert (spoken.clock, spoken.time) == ("", "10:00")


MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from([SAO_PAULO, MANAUS, "Pacific/Apia", "Australia/Lord_Howe", "Europe/Lisbon", "America/Havana"])


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)), ZONES)
def test_today_is_today_and_tomorrow_is_tomorrow_whatever_the_clocks_do(at, ahead, zone):
    wording = spoken_of(at + ahead, at=at, clock=zone).when
    there, now_there = ((at + ahead).astimezone(ZoneInfo(zone)), at.astimezone(ZoneInfo(zone)))
    days = (there.date() - now_there.date()).days
    assert wording.startswith("hoje ") is (days == 0)
    assert wording.startswith("amanhã ") is (days == 1)
    assert f"{there:%d/%m}" in wording or days in (0, 1)
    assert f"{there:%H:%M}" in wording
