"""Times as one says them: how long ago on the same day, yesterday and tomorrow by their names, else the whole date."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone, translation

from bridge.admin import moments_shown
from bridge.templatetags.overview import ago, day, soon

ZONE = ZoneInfo("America/Sao_Paulo")
# A Wednesday.
NOW = datetime(2026, 3, 11, 9, 30, tzinfo=ZONE)


@pytest.fixture(autouse=True)
def wednesday():
    with time_machine.travel(NOW, tick=False), timezone.override(ZONE):
        yield


@pytest.mark.parametrize(
    ("language", "back", "words"),
    [
        ("en", timedelta(seconds=20), "just now"),
        ("pt-br", timedelta(seconds=20), "agora"),
        ("en", timedelta(minutes=5), "5 min ago"),
        ("pt-br", timedelta(minutes=5), "há 5 min"),
        ("es", timedelta(hours=2), "hace 2 h"),
        # The night before is still felt as hours.
        ("pt-br", timedelta(hours=5, minutes=45), "há 5 h 45 min"),
        ("en", timedelta(hours=20), "yesterday 13:30"),
        ("pt-br", timedelta(hours=20), "ontem 13:30"),
        ("pt-br", timedelta(days=3), "08/03/2026 09:30"),
    ],
)
def test_what_was(language, back, words):
    with translation.override(language):
        assert ago(NOW - back) == words


@pytest.mark.parametrize(
    ("language", "ahead", "words"),
    [
        ("pt-br", timedelta(minutes=30), "10:00"),
        ("pt-br", timedelta(days=1, minutes=30), "amanhã 10:00"),
        ("en", timedelta(days=1, minutes=30), "tomorrow 10:00"),
        ("es", timedelta(days=1, minutes=30), "mañana 10:00"),
        ("en", timedelta(days=3), "Sat 09:30"),
        ("pt-br", timedelta(days=3), "sáb 09:30"),
        ("pt-br", timedelta(days=7), "18/03/2026 09:30"),
    ],
)
def test_what_comes(language, ahead, words):
    with translation.override(language):
        assert soon(NOW + ahead) == words


def test_whoever_points_at_it_reads_the_whole_date():
    with translation.override("pt-br"):
        assert 'title="11/03/2026 09:25:00"' in moments_shown.cell(NOW - timedelta(minutes=5))
        assert ">há 5 min<" in moments_shown.cell(NOW - timedelta(minutes=5))
    assert moments_shown.cell(None) == "–"


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "Wednesday, 11 March 2026"),
        ("pt-br", "Quarta, 11 de março de 2026"),
        ("es", "Miércoles, 11 de marzo de 2026"),
    ],
)
def test_a_day_is_written_as_its_language_writes_it(language, written):
    with translation.override(language):
        assert day(NOW) == written
