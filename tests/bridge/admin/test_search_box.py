"""The box that finds anything: people first, then pages, then actions, each only to whom it is open."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.bridge.admin.people import client_of
from tests.conftest import record

BOX = "/admin/search/"


def found(client, text):
    answer = client.get(BOX, {"s": text})
    assert answer.status_code == 200
    return [(row.title, row.link) for row in answer.context["results"]] if answer.context else []


def test_the_theme_asks_here(db):
    assert reverse("admin:search") == BOX


def test_people_are_found_by_parts_of_their_names_and_by_their_phones(staff, pipeline):
    lead = record(pipeline, "+5581999990001", name="João Reis").lead
    page = reverse("admin:leads_lead_change", args=[lead.pk])
    for text in ("joao", "REIS jo", "99999-0001"):
        assert found(staff, text) == [("João Reis", page)]


def test_people_come_before_pages_and_pages_before_actions(staff, pipeline):
    record(pipeline, name="Leandra Export")
    assert [title for title, _link in found(staff, "lea")][:2] == ["Leandra Export", "Leads"]
    assert [title for title, _link in found(staff, "export")] == ["Leandra Export", "Export leads"]


def test_what_is_not_open_to_somebody_is_not_found(pipeline):
    assert found(client_of("manager"), "export") == [("Export leads", reverse("admin:leads_lead_changelist"))]
    assert found(client_of("reader"), "export") == []
    assert found(client_of("reader"), "invite") == []


def test_pages_are_found_in_the_persons_language(staff, pipeline):
    answer = staff.get(BOX, {"s": "resul"}, headers={"accept-language": "pt-BR"})
    assert next(row.title for row in answer.context["results"]) == "Resultados"


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_typed_finds_nothing(staff, text):
    assert staff.get(BOX, {"s": text}).content == b""


@pytest.mark.parametrize("text", ["zebedeu", "\0", "%", "'", "x" * 5000, "<script>"])
def test_what_nobody_is_called_is_said_to_be_nothing(staff, pipeline, text):
    assert found(staff, text) == []


def test_others_find_nothing(pipeline):
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True), "django.contrib.auth.backends.ModelBackend")
    assert client.get(BOX, {"s": "a"}).status_code == 403


def test_it_costs_the_same_for_any_number_of_people(staff, pipeline):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            found(staff, "maria")
        return len(queries)

    record(pipeline, "+5581999990000", name="Maria")
    cost()
    few = cost()
    for number in range(1, 12):
        record(pipeline, f"+55819999900{number:02}", name="Maria")
    assert cost() == few
