"""A reason is its sentence, knows its code, and is stored by it; what is no reason of ours stays what it is."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from common.reasons import Reason, about, pieces, several
from common.reasons.as_stored import from_json, from_text, to_json, to_text

OTHER = Reason("person_moved_card_to", a="“Agendado”")
NESTED = several([Reason("but", why=Reason("kommo_answered", number=402), but=OTHER), about("Retomada", OTHER)])
WORDS_OF_OURS = '{"$reason":"kommo_answered","number":402}'


def test_a_reason_is_its_english_sentence():
    assert Reason("no_answer") == "no answer"
    assert NESTED == (
        "Kommo answered 402, but a person moved the card to “Agendado”; Retomada: a person moved the card to “Agendado”"
    )
    assert json.loads(json.dumps({"why": NESTED})) == {"why": NESTED.sentence}


@pytest.mark.parametrize("reason", [Reason("no_answer"), OTHER, NESTED, Reason("holiday", what='O"Neil \\ “; ” : x')])
@pytest.mark.parametrize(
    "way",
    [lambda r: from_text(to_text(r)), lambda r: from_json(json.loads(json.dumps(to_json(r)))),
     lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy, lambda r: from_text(to_text(from_text(to_text(r))))],
    ids=["text", "json", "pickle", "copy", "twice"],
)  # fmt: skip
def test_it_comes_back_with_code_and_parts(way, reason):
    back = way(reason)
    assert back == reason
    assert (back.code, back.parts) == (reason.code, reason.parts)


def test_equal_reasons_are_stored_alike():
    assert to_text(Reason("conversation_stage_means", b="x", a="y")) == to_text(
        Reason("conversation_stage_means", a="y", b="x")
    )


@pytest.mark.parametrize(
    "text", ["", "no answer", "{", '{"code": 1}', WORDS_OF_OURS, '{"$reason":', '{"$reason":"as it is","value":"x"}']
)
def test_a_text_of_anybodys_stays_as_it_is(text):
    back = from_text(to_text(text))
    assert back == text
    assert not isinstance(back, Reason)


@pytest.mark.parametrize(
    "value",
    [{"$reason": "kommo_answered", "number": 402}, {"a": [{"$reason": "as it is", "value": {"$reason": 1}}]},
     {"text": WORDS_OF_OURS}, [None, 1.5, True, {"reason": "no answer"}]],
)  # fmt: skip
def test_so_does_a_value(value):
    back = from_json(json.loads(json.dumps(to_json(value))))
    assert back == value
    assert not isinstance(back, Reason)


@pytest.mark.parametrize(
    "stored",
    ['{"$reason":"of_a_later_version"}', '{"$reason":"kommo_answered"}', '{"$reason":"no_answer","more":1}',
     '{"$reason":["x"]}', '{"$reason":"several","each":"x"}', '{"$reason":"several","each":[1]}', '{"$reason":"no_an'],
)  # fmt: skip
def test_what_cannot_be_read_is_shown_as_it_is_stored(stored):
    assert from_text(stored) == stored
    assert not isinstance(from_text(stored), Reason)


def test_several_are_told_apart():
    assert several([]) == ""
    assert several([OTHER]) is OTHER
    assert pieces(several([NESTED, "anything"])) == (*pieces(NESTED), "anything")
    assert pieces("no answer; nothing is changed") == ("no answer", "nothing is changed")


def test_the_words_it_speaks_of_can_be_changed():
    hidden = NESTED.with_parts(lambda text: text.replace("Agendado", "…"))
    assert hidden == NESTED.sentence.replace("Agendado", "…")
    assert hidden.code == "several"


def test_cut_it_is_a_text_and_whole_it_is_itself():
    assert OTHER[:500] is OTHER
    assert type(OTHER[:5]) is str
    assert (OTHER[:5], OTHER[0], OTHER[::-1][-1]) == ("a per", "a", "a")


def test_the_text_of_an_error_is_the_reason_it_was_raised_with():
    assert str(ValueError(OTHER)) is OTHER
    assert type(OTHER.sentence) is str
    assert f"{OTHER}!" == OTHER.sentence + "!"
