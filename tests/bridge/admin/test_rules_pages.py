"""The rules pages: they open for whom they should, read as sentences, and cost the same for one lead and for many."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bridge import roles
from tests.bridge.admin.people import client_of
from tests.bridge.admin.rules_editing import SECTIONS, boxes, page, threshold
from tests.conftest import record


@pytest.mark.parametrize("language, connected", [("pt-br", True), ("en", False)])
def test_every_page_opens_in_both_languages(staff, pipeline, language, connected, request):
    if connected:
        request.getfixturevalue("account")
    record(pipeline, context={"conversation_stage": "nunca vista"})
    threshold(staff, pipeline, 55)
    paths = [page(name, pipeline) for name in ("overview", "history", "review", "new_sequence")]
    paths += [page("section", pipeline, section=section) for section in (*SECTIONS, "sequences")]
    paths += [page("sequence", pipeline, slug=sequence.slug) for sequence in pipeline.sequences.all()]
    paths.append(page("revision", pipeline, number=1))
    for path in paths:
        assert staff.get(path, headers={"accept-language": language}).status_code == 200, path


def test_the_rules_read_as_sentences(staff, pipeline):
    shown = staff.get(page("overview", pipeline), headers={"accept-language": "en"}).content.decode()
    for sentence in (
        "In “agendamento”, once a meeting is booked: move to REUNIÃO AGENDADA",
        "bill value at least 400: disqualifies if not met",
        "The score must be at least 70; below it the lead is disqualified",
        "only a person takes a lead out, the agent stops answering",
        "No message between 20:00 and 08:00",
    ):
        assert sentence in shown
    in_portuguese = staff.get(page("overview", pipeline), headers={"accept-language": "pt-BR"}).content.decode()
    assert "Em “agendamento”, quando houver reunião marcada: mover para REUNIÃO AGENDADA" in in_portuguese


def test_the_sentences_are_portuguese_to_the_last_word(staff, pipeline):
    shown = staff.get(page("overview", pipeline), headers={"accept-language": "pt-br"}).content.decode()
    assert "no Kommo: " in shown or "não vinculado ao Kommo" in shown
    assert "Fluxos: Instalação" in shown
    assert "in Kommo" not in shown


def test_the_sidebar_marks_the_rules_and_nothing_else(staff, pipeline):
    for path in (reverse("admin:rules"), page("history", pipeline)):
        sections = staff.get(path).context["sidebar_navigation"]
        assert [str(item["title"]) for section in sections for item in section["items"] if item["active"]] == ["Rules"]


@pytest.mark.parametrize("name", ["overview", "history", "qualification", "stages", "sequences"])
def test_a_page_costs_the_same_for_one_lead_as_for_twenty(staff, pipeline, name):
    path = page("section", pipeline, section=name) if name not in ("overview", "history") else page(name, pipeline)
    record(pipeline, "+5581990000000", name="One")
    staff.get(path)
    with CaptureQueriesContext(connection) as few:
        staff.get(path)
    for number in range(20):
        record(pipeline, f"+55819900001{number:02d}", name="Lead", context={"conversation_stage": f"novo {number}"})
    with CaptureQueriesContext(connection) as many:
        staff.get(path)
    assert len(many) <= len(few), [query["sql"] for query in many.captured_queries]


@pytest.mark.parametrize("permission, changes", [("view_pipeline", False), ("change_pipeline", True)])
def test_who_may_only_look_changes_nothing(pipeline, permission, changes):
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(user)
    path = page("section", pipeline, section="qualification")

    assert client.get(path).status_code == 200
    # A whole score, as a person writes it.
    assert client.get(path).context["editor"].form["min_score"].value() == 70
    assert 'value="70"' in str(client.get(path).context["editor"].form["min_score"])
    context = client.get(path).context
    body = boxes(context["editor"].forms()) | {"min_score": "1", "save": "1"}
    assert client.post(path, body).status_code == (302 if changes else 403)
    for name in ("discard", "stop", "map", "review"):
        assert client.post(page(name, pipeline)).status_code == (302 if changes else 403), name


def test_who_may_only_look_sees_when_a_sequence_speaks_and_asks_for_nothing_more(pipeline):
    """The page asked for a preview, which is for those who may change rules, and was refused it each time."""
    slug = pipeline.sequences.earliest("pk").slug
    answer = client_of(roles.READER).get(page("sequence", pipeline, slug=slug))

    assert answer.status_code == 200
    assert len(answer.context["timeline"]) > 1
    assert page("timeline", pipeline) not in answer.content.decode()


def test_nobody_sees_rules_without_a_right(client, pipeline):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get(page("overview", pipeline)).status_code == 403
    client.logout()
    assert client.get(page("overview", pipeline)).status_code == 302
