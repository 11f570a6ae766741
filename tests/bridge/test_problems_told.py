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
def rules(pipeline):
    return exporting.read_pipeline(pipeline)


def swapped(rules, **changes):
    """Change one stage by its key."""
    [(key, values)] = changes.items()
    return replace(
        rules, stages=tuple(replace(stage, **values) if stage.key == key else stage for stage in rules.stages)
    )


def without(rules, key):
    return replace(rules, stages=tuple(stage for stage in rules.stages if stage.key != key))


WRONG = {
    "a stage that rules name is gone": lambda rules: without(rules, "qualified"),
    "another one is gone": lambda rules: without(rules, "disqualified"),
    "leads end in the first": lambda rules: replace(rules, stages=(rules.stages[-1], *rules.stages[:-1])),
    "the first stands beside another": lambda rules: swapped(rules, new={"same_rank_as_previous": True}),
    "won is bound elsewhere": lambda rules: swapped(rules, won={"kommo_status_id": 5}),
    "two stages of one name": lambda rules: swapped(rules, new={"name": rules.stages[1].name}),
    "two stages for one of Kommo's": lambda rules: swapped(
        swapped(rules, new={"kommo_status_id": 7}), qualifying={"kommo_status_id": 7}
    ),
    "no qualification": lambda rules: replace(rules, qualification=None),
    "a rule that is never reached": lambda rules: replace(
        rules, stage_mappings=(*rules.stage_mappings, rules.stage_mappings[0])
    ),
    "an unknown attribute": lambda rules: replace(
        rules, fields=(replace(rules.fields[0], attribute="decisor"), *rules.fields[1:])
    ),
    "an option of no flow": lambda rules: replace(
        rules,
        fields=tuple(
            replace(field, options={"Nada": "x"}) if field.attribute == "chosen_flow" else field
            for field in rules.fields
        ),
    ),
    "a field twice": lambda rules: replace(rules, fields=(*rules.fields, replace(rules.fields[0]))),
    "a tag twice": lambda rules: replace(rules, tags=(*rules.tags, replace(rules.tags[0]))),
    "flows of one name": lambda rules: replace(rules, flows=(*rules.flows, rules.flows[0].upper())),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_every_contradiction_an_editor_can_make_is_told_in_plain_words(rules, case, language):
    problems = contradictions.find(document.Configuration(pipelines=(WRONG[case](rules),)))
    assert problems, case
    with translation.override(language):
        sentences = [reasons.problem(each_problem.text) for each_problem in problems]
        known = {translation.gettext(sentence) for sentence in PROBLEMS.values()}
    for problem, text in zip(problems, sentences, strict=True):
        assert text != problem.text
        assert "_stage" not in text and "line" not in text.split()
        if language != "en":
            assert not known & set(PROBLEMS.values()), "each sentence has words in each language"


def test_what_the_database_has_against_it_is_told_too(rules, pipeline):
    record(pipeline)
    current = document.Configuration(pipelines=(rules,))
    problems = import_obstacles.find(current, document.Configuration(pipelines=(without(rules, "new"),)))
    with translation.override("pt-br"):
        [sentence] = [reasons.problem(problem.text) for problem in problems]
    assert "“new”" in sentence and sentence != problems[0].text


def test_a_problem_without_words_is_told_as_it_is():
    assert reasons.problem("something nobody thought of") == "something nobody thought of"
