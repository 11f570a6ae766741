"""Sentences by which people ask for no more messages, in three languages, and others that only sound alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.farewells import LONGEST, may_ask_to_stop


@pytest.mark.parametrize(
    "text",
    [
        "não quero mais, parar",
        "NAO QUERO MAIS!!!",
        "Por favor, pare de me mandar mensagem",
        "para de mandar isso",
        "me tira da lista",
        "Quero sair dessa lista",
        "tira meu número daí",
        "não me mande mais nada",
        "não quero receber mensagens",
        "Me deixa em paz",
        "no me escriban más",
        "Ya no quiero",
        "sáquenme de la lista",
        "dejen de escribirme",
        "Stop texting me",
        "please remove my number",
        "Don't contact me again",
        "unsubscribe",
    ],
)
def test_who_asks_in_a_sentence_is_noticed(text):
    assert may_ask_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "não vou sair de casa",
        "Quero sair do aluguel",
        "não tenho interesse na primeira, e a segunda?",
        "pode me mandar mais informações",
        "não me mandaram o boleto",
        "Parar o quê?",
        "mi número de lista es 4",
        "I cannot stop thinking about it",
        "",
        "👍",
    ],
)
def test_what_only_sounds_alike_is_not(text):
    assert not may_ask_to_stop(text)


def test_a_long_letter_is_read_by_the_agent_alone():
    assert not may_ask_to_stop("não quero mais " + "x" * LONGEST)


@given(st.text(max_size=400))
def test_any_text_can_be_asked_about(text):
    assert may_ask_to_stop(text) in (True, False)
