"""Reasons are stored in English and told in the reader's language, whatever the rules say."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pytest
from django.utils import translation
from django.utils.translation import gettext

from bridge.reasons import PLACEHOLDER, in_words
from common.reasons import Reason
from common.reasons.sentences import SENTENCES, TOLD_OTHERWISE, WITHOUT_WORDS
from leads.alternatives import alternatives
from leads.decisions import Facts, decide
from tests.leads.test_alternatives import RULES
from tests.repository import ROOT

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
        for alternative in alternatives(facts, RULES):
            yield from alternative.reasons


def test_in_portuguese_no_english_is_left():
    with translation.override("pt-br"):
        left = {reason: in_words(reason) for reason in set(reasons()) if ENGLISH.search(in_words(reason))}
    assert left == {}


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_by_its_code_a_reason_is_told_as_by_its_sentence(language):
    with translation.override(language):
        assert [reason for reason in set(reasons()) if in_words(reason) != in_words(reason.sentence)] == []


def test_all_that_decides_gives_reasons_by_code():
    assert [reason for reason in reasons() if not isinstance(reason, Reason)] == []


def test_in_english_a_reason_says_what_was_stored_with_attributes_in_words():
    for reason in set(reasons()):
        told_in_english = in_words(reason).replace("a meeting is booked", "a meeting booked")
        expected = re.sub(r"qualification_score (\d+) (<|>=) 70", r"score \1, minimum 70", reason)
        assert told_in_english == expected.replace("qualification_score", "qualification score")


PARTS = {"attribute": "bill_value", "number": "2", "span": "1 day", "weekday": "Sundays"}


IN_WORDS = SENTENCES.keys() - WITHOUT_WORDS.keys()


@pytest.mark.parametrize("sentence", [SENTENCES[code] for code in sorted(IN_WORDS - TOLD_OTHERWISE.keys())])
def test_every_sentence_is_known_again_with_names_in_it(sentence):
    stored = PLACEHOLDER.sub(lambda found: PARTS.get(found[1], "“X”"), sentence)
    assert in_words(stored) == stored.replace("bill_value", "bill value")
    with translation.override("pt-br"):
        assert in_words(stored) != stored
        assert "bill" not in in_words(stored)


@pytest.mark.parametrize("language", ["pt-br", "es"])
def test_every_code_has_a_sentence_in_each_language(language):
    sentences = [TOLD_OTHERWISE.get(code, SENTENCES[code]) for code in IN_WORDS]
    with translation.override(language):
        assert [sentence for sentence in sentences if gettext(sentence) in ("", sentence)] == []


@pytest.mark.parametrize(
    ("reason", "in_portuguese"),
    [
        ("30 min after our last message", "30 min depois da nossa última mensagem"),
        (
            "2 days 2 h before the meeting; earlier, because quiet hours until 08:00",
            "2 dias 2 h antes da reunião; mais cedo, por causa de: silêncio até 08:00",
        ),
        (
            "1 day after our last message; no messages on Sundays",
            "1 dia depois da nossa última mensagem; sem mensagens aos domingos",
        ),
        ("no answer to 3 messages, the last 1 day ago", "sem resposta a 3 mensagens, a última há 1 dia"),
        ("qualification_score 82 >= 70", "pontuação 82, mínimo 70"),
        ("qualification_score 65 < 70", "pontuação 65, mínimo 70"),
        ("bill_value 350 < 400", "valor da conta 350, abaixo de 400"),
        ("bill_value 350 <= 400", "valor da conta 350, no máximo 400"),
        (
            "qualification says undecided: bill_value is not known yet",
            "qualificação: faltam dados: falta valor da conta",
        ),
        ("custom.roof is yes", "roof: sim"),
        (
            "rules applied by ada: qualification_score is not known yet",
            "regras aplicadas por ada: falta pontuação",
        ),
        (
            "step 2 of Retomada not sent: the lead has answered",
            "passo 2 de Retomada não foi enviado: o lead respondeu",
        ),
        ("Retomada: held by ada", "Retomada: pausado por ada"),
        ("Retomada stopped: the meeting is no_show", "Retomada parou: o lead não veio à reunião"),
        (
            "12/03/2024 14:00 lies in the past: nothing is booked by it",
            "12/03/2024 14:00 já passou: nada é marcado por isso",
        ),
        (
            "meeting evt_1 does not stand: nothing else changes by it",
            "a reunião evt_1 não está marcada: nada mais muda por isso",
        ),
        (
            "the meeting of 12/03/2026 14:00 has gone by and nobody has said how it went",
            "a reunião de 12/03/2026 14:00 passou e ninguém disse como foi",
        ),
        ("Lembretes stopped: the meeting is gone_by", "Lembretes parou: a reunião já passou"),
    ],
)
def test_pieces_are_told_one_by_one(reason, in_portuguese):
    with translation.override("pt-br"):
        assert in_words(reason) == in_portuguese


@pytest.mark.parametrize("text", ["", "o lead pediu desconto", "100 % certain; %(a)s", "Obs: ele ligou"])
def test_what_nobody_has_words_for_stays_as_it_is(text):
    with translation.override("pt-br"):
        assert in_words(text) == text


def test_a_moment_in_a_reason_is_told_as_people_write_it():
    reason = "older than what is known of it, which is of 2026-11-24T10:42:08-03:00"
    with translation.override("pt-br"):
        assert in_words(reason).endswith("24/11/2026 10:42")
    assert in_words("older than what is known of it, which is of yesterday").endswith("of yesterday")


DEEDS_BY_NAME = re.compile(r"""f"([a-z -]+ by )\{(?:request\.user|who|author)\}""")
# What is a comment of a revision, and what is taken back with what it was (bridge/admin/leads/undo_on_lead.py).
NO_REASONS = {"published by "}


def test_who_did_it_stands_in_a_reason_by_its_code():
    sources = (path for room in ("bridge", "leads", "followups") for path in (ROOT / room).rglob("*.py"))
    assert {found for path in sources for found in DEEDS_BY_NAME.findall(path.read_text())} == NO_REASONS


DEEDS = {code: name[1] for code, text in SENTENCES.items() if (name := re.search(r" by %\((a|what)\)s$", text))}


@pytest.mark.parametrize("code", sorted(DEEDS))
@pytest.mark.parametrize("language", ["pt-br", "es"])
def test_who_did_it_is_told_in_the_readers_language(code, language):
    reason = Reason(code, **{DEEDS[code]: "ada"})
    with translation.override(language):
        assert in_words(reason) == in_words(reason.sentence)
        assert in_words(reason).endswith(" por ada")


def test_what_counts_many_leads_as_one_is_told_in_words():
    with translation.override("pt-br"):
        assert in_words("bill_value < 400; qualification_score < 70") == (
            "valor da conta abaixo de 400; pontuação abaixo de 70"
        )
