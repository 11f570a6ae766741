"""The n8n nodes know what the bridge knows. What they do is tested in JavaScript, and in a real n8n by `make nodes`."""

from __future__ import annotations

import json
import re

import pytest

from bridge.api.event_shapes import EVENTS
from bridge.api.serializers import Context, LeadFacts, MeetingFacts
from leads.addresses import Kind
from leads.models import Lead
from tests.operations.test_documents import ROOT, text_of

pytestmark = pytest.mark.once

PACKAGE = ROOT / "packages" / "n8n-nodes-kommo-bridge"
NODES = PACKAGE / "nodes"
EXAMPLES = sorted((PACKAGE / "examples").glob("*.json"))
REPORT = text_of(NODES / "KommoBridge" / "interaction.ts")
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def collection(name: str) -> set[str]:
    """What can be added to one of the report's collections."""
    [options] = re.findall(
        rf"name: '{name}',\n\t\ttype: 'collection',.*?\n\t\toptions: \[(.*?)\n\t\t\],", REPORT, re.DOTALL
    )
    return set(re.findall(r"displayName: [^\n]*(?:, |\n\t+)name: '(\w+)'", options))


def test_every_fact_of_a_report_can_be_given_and_no_other():
    # Asked for beside the collection: whom it is about, and facts of one's own.
    apart = {"phone", "addresses", "custom"}
    assert collection("facts") == set(LeadFacts().fields) - apart
    assert collection("meeting") == set(MeetingFacts().fields)
    of_the_report = {"occurred_at", "pipeline", "sent_at"}
    assert collection("context") - of_the_report == set(Context().fields) - {"meeting"}


def test_every_event_can_be_listened_to():
    trigger = text_of(NODES / "KommoBridgeTrigger" / "KommoBridgeTrigger.node.ts")
    assert set(re.findall(r"value: '([a-z]+\.[a-z_]+)'", trigger)) == {event.name for event in EVENTS}


def test_every_kind_of_address_and_of_meeting_can_be_named():
    [kinds] = re.findall(r"const KINDS = \[(.*?)\]", text_of(NODES / "KommoBridge" / "person.ts"))
    assert set(re.findall(r"'(\w+)'", kinds)) == set(Kind)
    assert set(Lead.MeetingStatus.values) <= set(re.findall(r"value: '(\w+)'", REPORT))


@each_example
def test_an_example_names_nodes_and_parameters_that_exist(path):
    workflow = json.loads(text_of(path))
    names = {node["name"] for node in workflow["nodes"]}
    known = set(re.findall(r"name: '(\w+)'", "".join(text_of(file) for file in NODES.rglob("*.ts"))))
    for node in workflow["nodes"]:
        if node["type"].startswith("n8n-nodes-kommo-bridge."):
            assert node["type"].partition(".")[2] in known
            assert set(node["parameters"]) <= known
            assert "kommoBridgeApi" in node["credentials"]
    targets = {link["node"] for outputs in workflow["connections"].values() for way in outputs["main"] for link in way}
    assert set(workflow["connections"]) | targets <= names
    assert set(re.findall(r"\$\('([^']+)'\)", text_of(path))) <= names


def test_what_is_published_is_named_and_depends_on_nothing():
    package = json.loads(text_of(PACKAGE / "package.json"))
    assert "dependencies" not in package
    for made in (*package["n8n"]["nodes"], *package["n8n"]["credentials"]):
        assert (PACKAGE / made.removeprefix("dist/").replace(".js", ".ts")).is_file()
