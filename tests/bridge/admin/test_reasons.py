"""Reasons are stored in English and told in the reader's language, whatever the rules say."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pytest
from django.utils import translation

from bridge.admin.reasons import told
from leads.alternatives import alternatives
from leads.decisions import Facts, decide
from tests.leads.test_alternatives import RULES

ENGLISH = re.compile(r"\b(the|is|was|are|by|says|but|booked|person|lead who|has taken|automatic|or)\b")


def reasons():
    """Every reason the rules of a test give for a few hundred leads."""
    stages = [stage.key for stage in RULES.stages]
    conversations = [None, "presenting", "qualification", "booking", "never heard"]
    for stage, conversation, meeting, score in product(
        stages, conversations, (None, "scheduled", "cancelled"), (None, 40, 90)
    ):
        facts = Facts(
            stage=stage,
            conversation_stage=conversation,
            meeting_status=meeting,
            meeting_id="evt_1" if meeting else None,
            attributes={} if score is None else {"qualification_score": Decimal(score)},
            inbound=True,
        )
        decision = decide(facts, RULES)
        yield decision.reason
        if decision.suppressed:
            yield decision.suppressed.reason
        for one in alternatives(facts, RULES):
            yield from one.reasons


def test_in_portuguese_no_english_is_left():
    with translation.override("pt-br"):
        left = {reason: told(reason) for reason in set(reasons()) if ENGLISH.search(told(reason))}
    assert left == {}


def test_in_english_a_reason_says_what_was_stored():
    with translation.override("en"):
        said = {reason: told(reason) for reason in set(reasons())}
    for reason, words in said.items():
        assert words.replace("a meeting is booked", "a meeting booked") == reason


@pytest.mark.parametrize("text", ["", "o lead pediu desconto", "qualification_score 82 >= 70", "100 % certain; %(a)s"])
def test_what_nobody_has_words_for_stays_as_it_is(text):
    with translation.override("pt-br"):
        assert told(text) == text
