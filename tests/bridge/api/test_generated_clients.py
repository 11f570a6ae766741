"""`make clients` lets generated clients make every call; here that none is forgotten, which asks no network."""

from __future__ import annotations

import json

from drf_spectacular.generators import SchemaGenerator

from tests.repository import ROOT


def test_generated_clients_make_every_call_of_the_document():
    document = SchemaGenerator().get_schema(request=None, public=True)
    described = {
        call["operationId"]: set(call["responses"]) for calls in document["paths"].values() for call in calls.values()
    }
    calls = json.loads((ROOT / "scripts" / "clients" / "calls.json").read_text(encoding="utf-8"))
    assert [call["operation"] for call in calls] == list(dict.fromkeys(call["operation"] for call in calls))
    assert {call["operation"] for call in calls} == described.keys()
    for call in calls:
        assert str(call["status"]) in described[call["operation"]], call
        assert call["status"] < 300, "a call that is refused proves nothing"
