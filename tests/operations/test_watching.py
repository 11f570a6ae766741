"""The dashboard and the alarms ask for figures that the bridge has, by the labels they have."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from bridge.models import Card
from tests.operations.document import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "kommo-bridge.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
ALARMS = [rule for group in RULES["groups"] for rule in group["rules"]]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
QUERIES += [rule["expr"] for rule in ALARMS]
NAME = re.compile(r"bridge_[a-z_]+")


def test_every_figure_that_is_asked_for_is_there(client, db):
    text = client.get("/metrics").content.decode()
    shown_names = set(re.findall(r"^# TYPE (bridge_\w+)", text, re.MULTILINE))

    asked = {name for query in QUERIES for name in NAME.findall(query)}

    assert {re.sub(r"_bucket$", "", name) for name in asked} <= shown_names
    # And none is left unwatched.
    assert shown_names <= {re.sub(r"_bucket$", "", name) for name in asked}


def test_states_and_labels_are_spelled_as_the_bridge_spells_them():
    states = {
        state for query in QUERIES for found in re.findall(r'state=~"([a-z|]+)"', query) for state in found.split("|")
    }

    assert states <= set(Card.State.values)


@pytest.mark.parametrize("rule", ALARMS, ids=lambda rule: rule["alert"])
def test_an_alarm_says_what_to_do(rule):
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["remedy"]
    assert rule["labels"]["severity"] in ("warning", "critical")
