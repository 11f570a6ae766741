"""Checking the demo's cards takes nothing from the bridge's calls to Kommo, and is not refused with them."""

from __future__ import annotations

from bridge.demo.checking import check
from bridge.demo.conversations import CONVERSATIONS


def test_cards_are_checked_while_kommo_answers_too_many_calls(kommo):
    kommo.post("faults", {"mode": "429", "count": 100})
    asked = len(kommo.journal())
    verdicts = check(kommo.url)
    assert [verdict.problems for verdict in verdicts] == [("there is no card",)] * len(CONVERSATIONS)
    assert len(kommo.journal()) == asked
