"""What a person types to find a lead, and what it finds."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bridge.models import Card
from bridge.selectors import finding_leads
from leads.models import Lead
from tests.conftest import record

ANA, BIA = "+5581999990001", "+5581988880002"


@pytest.fixture
def people(account, pipeline):
    record(pipeline, ANA, name="Ana Souza", email="ana@example.com")
    record(pipeline, BIA, name="Bia 2")
    Card.objects.filter(lead__phone=BIA).update(kommo_lead_id=7_001_234)


def found(text: str) -> set[str]:
    names = set(finding_leads.find(Lead.objects.all(), text).values_list("name", flat=True))
    assert {str(pk) for pk in finding_leads.ids(text)} == {str(lead.pk) for lead in Lead.objects.filter(name__in=names)}
    return names


@pytest.mark.parametrize(
    "text",
    [
        ANA,
        "5581999990001",
        "(81) 99999-0001",
        "81 9999-0001",
        "081 99999.0001",
        "99990001",
        "0001",
        "999 0",
        " 990001 ",
    ],
)
def test_a_phone_is_found_in_any_spelling_whole_or_in_part(people, text):
    assert "Ana Souza" in found(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", {"Ana Souza", "Bia 2"}),
        ("souza", {"Ana Souza"}),
        ("Bia 2", {"Bia 2"}),
        ("ANA@EXAMPLE", {"Ana Souza"}),
        ("7001234", {"Bia 2"}),
        ("81977770009", set()),
        ("123456789012345678901234567890", set()),
        ("Zebedeu", set()),
    ],
)
def test_names_addresses_and_numbers_of_kommo_are_found_too(people, text, names):
    assert found(text) == names


def test_a_whole_phone_is_found_by_index_and_no_other_lead_is_read(people):
    with CaptureQueriesContext(connection) as captured:
        assert [lead.name for lead in finding_leads.find(Lead.objects.all(), "81 99999-0001")] == ["Ana Souza"]
    assert not any(" LIKE " in query["sql"] for query in captured)
