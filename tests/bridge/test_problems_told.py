"""What rules have against each other is told on a page in its reader's language, without keys of the file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import translation

from bridge import reasons
from bridge.configuration import contradictions, document, exporting, import_obstacles
from bridge.reasons.rule_problems import PROBLEMS
from tests.conftest import record


@pytest.fixture
def said(pipeline):
    return exporting.read_pipeline(pipeline)


def swapped(said, **changes):
    """Change one stage by its key."""
    [(key, values)] = changes.items()
    return replace(said, stages=tuple(replace(one, **values) if one.key == key else one for one in said.stages))


def without(said, key):
    return replace(said, stages=tuple(one for one in said.stages if one.key != key))


WRONG = {
    "a stage that rules name is gone": lambda said: without(said, "qualified"),
    "another one is gone": lambda said: without(said, "disqualified"),
    "leads end in the first": lambda said: replace(said, stages=(said.stages[-1], *said.stages[:-1])),
    "the first stands beside another": lambda said: swapped(said, new={"same_rank_as_previous": True}),
    "won is bound elsewhere": lambda said: swapped(said, won={"kommo_status_id": 5}),
    "two stages of one name": lambda said: swapped(said, new={"name": said.stages[1].name}),
    "two stages for one of Kommo's": lambda said: swapped(
        swapped(said, new={"kommo_status_id": 7}), qualifying={"kommo_status_id": 7}
    ),
    "no qualification": lambda said: replace(said, qualification=None),
    "a rule that is never reached": lambda said: replace(
        said, stage_mappings=(*said.stage_mappings, said.stage_mappings[0])
    ),
    "an unknown attribute": lambda said: replace(
        said, fields=(replace(said.fields[0], attribute="decisor"), *said.fields[1:])
    ),
    "an option of no flow": lambda said: replace(
        said,
        fields=tuple(
            replace(one, options={"Nada": "x"}) if one.attribute == "chosen_flow" else one for one in said.fields
        ),
    ),
    "a field twice": lambda said: replace(said, fields=(*said.fields, replace(said.fields[0]))),
    "a tag twice": lambda said: replace(said, tags=(*said.tags, replace(said.tags[0]))),
    "flows of one name": lambda said: replace(said, flows=(*said.flows, said.flows[0].upper())),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_every_contradiction_an_editor_can_make_is_told_in_plain_words(said, case, language):
    problems = contradictions.find(document.Configuration(pipelines=(WRONG[case](said),)))
    assert problems, case
    with translation.override(language):
        told = [reasons.problem(one.text) for one in problems]
        known = {translation.gettext(sentence) for sentence in PROBLEMS.values()}
    for problem, text in zip(problems, told, strict=True):
        assert text != problem.text
        assert "_stage" not in text and "line" not in text.split()
        if language != "en":
            assert not known & set(PROBLEMS.values()), "each sentence has words in each language"


def test_what_the_database_has_against_it_is_told_too(said, pipeline):
    record(pipeline)
    current = document.Configuration(pipelines=(said,))
    problems = import_obstacles.find(current, document.Configuration(pipelines=(without(said, "new"),)))
    with translation.override("pt-br"):
        [told] = [reasons.problem(one.text) for one in problems]
    assert "“new”" in told and told != problems[0].text


def test_a_problem_without_words_is_told_as_it_is():
    assert reasons.problem("something nobody thought of") == "something nobody thought of"
