"""The film at the top of the README: a minute of a manager's morning, small enough to be loaded on the way to work.

`make pictures` makes it anew; without it the same steps are gone through in a moment.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import time_machine
from django.core.cache import cache
from playwright.sync_api import expect

from leads.models import Lead
from tests.browser import morning
from tests.browser.film import Film

AT_MOST_BYTES = 2_000_000
SAID = {
    "en": {
        "search": "Search leads, phones, pages…",
        "overview": "In the morning, at a glance: who waits, who is met, and what was earned",
        "words": "Who waits comes first, with what they said last; beside them, whom one meets",
        "day": "Today beside yesterday, and the funnel with its conversion",
        "find": "One key finds anybody: no accents, any order",
        "lead": "Why is this card here, and what was said?",
        "why": "Every move has its reason, in plain words",
        "results": "What was it worth? Eleven numbers, each a door to the leads behind it",
        "pictures": "From stage to stage, week by week, and when leads write",
        "rules": "Rules are changed here: who would move is seen before anything is published",
    },
    "pt-BR": {
        "search": "Buscar leads, telefones, páginas…",
        "overview": "De manhã, de relance: quem espera, quem tem reunião e quanto rendeu",
        "words": "Quem espera vem primeiro, com a última coisa que disse; ao lado, as reuniões",
        "day": "Hoje ao lado de ontem, e o funil com a conversão",
        "find": "Uma tecla acha qualquer pessoa: sem acento, em qualquer ordem",
        "lead": "Por que este card está aqui, e o que foi dito?",
        "why": "Toda mudança tem o seu motivo, em palavras simples",
        "results": "Quanto valeu? Onze números, cada um abre os leads por trás dele",
        "pictures": "De etapa em etapa, semana a semana, e quando os leads escrevem",
        "rules": "As regras mudam aqui: antes de publicar, vê-se quem mudaria de etapa",
    },
}


@pytest.fixture
def leads(account, pipeline):
    cache.clear()
    with time_machine.travel(morning.NOW, tick=True):
        yield morning.settle_in(pipeline, account)


@pytest.mark.parametrize("language", list(SAID))
def test_a_minute_of_a_managers_morning(open_page, leads, pipeline, tmp_path, picture, language):
    kept = os.environ.get("SCREENSHOTS")
    words = SAID[language]
    page = open_page(role="manager", language=language)
    film = Film(page)
    picture(page, "film" if language == "en" else f"film.{language}")
    film.show(words["overview"], 5)
    film.scroll(words["words"], 160, 5)
    film.scroll(words["day"], film.place_of(".kb-funnel") - 340, 7)
    lead = Lead.objects.filter(stage__key="meeting_scheduled").exclude(name="").order_by("-created_at").first()
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("t")
    page.get_by_role("searchbox").wait_for()
    film.type(words["find"], " ".join(reversed(lead.name.lower().split()))[:14])
    expect(page.locator("#command-results-list a").first).to_be_visible()
    film.show(words["find"], 4)
    page.goto(f"/admin/leads/lead/{lead.pk}/change/")
    film.show(words["lead"], 5)
    film.scroll(words["why"], 420, 5)
    page.goto("/admin/results/")
    film.show(words["results"], 7)
    film.scroll(words["pictures"], 620, 4)
    film.scroll(words["pictures"], 1300, 5)
    page.goto(f"/admin/leads/pipeline/{pipeline.pk}/rules/")
    film.show(words["rules"], 6)

    name = "film" if language == "en" else f"film.{language}"
    path = Path(kept or tmp_path) / f"{name}.webm"
    film.write(path, at_speed=1 if kept else 100)

    assert 50 <= film.seconds <= 70
    assert path.read_bytes()[:4] == b"\x1aE\xdf\xa3"
    assert path.stat().st_size < AT_MOST_BYTES
