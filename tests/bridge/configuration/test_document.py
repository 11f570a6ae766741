"""The shape of the file: what is read, what is refused and on which line, and that nothing is lost on the way."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import contradictions, document, yaml_file
from bridge.configuration.file_problems import RefusedError
from bridge.configuration.values import Duration
from tests.bridge.configuration.files import CLINIC, CONTRACT, SMALLEST, SOLAR


def parse(text):
    """Return the only pipeline of a file that is sound."""
    configuration = yaml_file.parse(text.encode())
    assert contradictions.find(configuration) == []
    return configuration.pipelines[0]


def refusals(text):
    """Return why a file is refused, as the lines a person reads."""
    data = text if isinstance(text, bytes) else text.encode()
    try:
        return [str(problem) for problem in sorted(contradictions.find(yaml_file.parse(data)))]
    except RefusedError as error:
        return str(error).splitlines()


def refusal(text):
    [refused] = refusals(text)
    return refused


def test_the_contracts_file_is_read_as_it_is():
    solar = parse(CONTRACT)

    assert [stage.key for stage in solar.stages[:3]] == ["new", "qualifying", "qualified"]
    assert solar.stages[6].on_reply == "qualifying"
    assert solar.qualification.min_score == Decimal(70)
    assert solar.qualification.qualified_stage == "qualified"
    assert solar.fields[1].options == {"Instalação Usina Própria": "Usina Própria"}
    assert [step.delay for step in solar.sequences[0].steps] == [
        timedelta(minutes=30),
        timedelta(days=1),
        timedelta(days=2),
    ]
    assert solar.quiet_hours.quiet_from == time(20)


def test_won_and_lost_need_not_be_written():
    assert [(stage.key, stage.kommo_status_id) for stage in parse(SMALLEST).stages[2:]] == [("won", 142), ("lost", 143)]


def test_a_pipeline_can_do_without_won():
    assert [stage.key for stage in parse(SMALLEST + "    without: [won]\n").stages] == ["new", "next", "lost"]


SERVED = (
    SMALLEST + "    agent_serves: {only_with_tag: IA piloto, never_with_tag: vip, only_new_leads: true, share: 0.1}\n"
)


@pytest.mark.parametrize("text", [CONTRACT, SOLAR, CLINIC, SMALLEST, SMALLEST + "    without: [won, lost]\n", SERVED])
def test_what_is_written_reads_as_what_was_read(text):
    read = yaml_file.parse(text.encode())

    written = yaml_file.dump(read)

    assert yaml_file.parse(written.encode()) == read
    assert yaml_file.dump(yaml_file.parse(written.encode())) == written


@pytest.mark.parametrize(
    ("lines", "line", "sentence"),
    [
        ("    naem: P", 7, "unknown key “naem”, did you mean “name”?"),
        ("    name: Q", 7, "“name” is already on line 3"),
        ("    meeting_stage: nxt", 7, "unknown stage: “nxt”, did you mean “next”?"),
        ("    stages: []", 7, "“stages” is already on line 4"),
        ("    default: yes", 7, "write true or false"),
        ("    locale: xx_YY_ZZ_12", 7, "is not a locale such as pt_BR"),
        ("    time_zone: America/Sao_Paolo", 7, "did you mean “America/Sao_Paulo”?"),
        ("    phone_region: BRA", 7, "unknown: “BRA”"),
        ("    kommo_pipeline_id: abc", 7, "an id of Kommo's"),
        ("    handoff_max: 2 days", 7, "“2 days” is not a duration such as PT30M"),
        ("    handoff_max: PT0S", 7, "above zero"),
        ("    handoff_task_within: null", 7, "“handoff_task_within” has no value"),
        ("    flows: [A, B, A]", 7, "“A” is twice in the list"),
        ("    flows:\n      - Casa Própria\n      - casa_propria", 9, "are the same name to the bridge"),
        ("    flows: A", 7, "a list such as [one, two]"),
        ("    flows: [1]", 7, "“1” is read as a number: write a text, in quotes"),
        ("    flows: [!secret A]", 7, "write a text"),
        ("    quiet_hours: {from: 8pm}", 7, "“8pm” is not a time of day"),
        ('    quiet_hours: {from: "20:00"}', 7, "“from” need “to” as well"),
        ("    quiet_hours: {weekdays: [seg]}", 7, "unknown: “seg”"),
        ("    quiet_hours: evening", 7, "written as keys and values"),
        ("    agent_serves: {share: 1.5}", 7, "a share lies between 0 and 1"),
        ("    agent_serves: {share: 0.00001}", 7, "with at most four decimals"),
        ("    agent_serves: {share: a tenth}", 7, "a share lies between 0 and 1"),
        ("    agent_serves: {only_with_tag: 7}", 7, "write a text, in quotes"),
        ('    agent_serves: {never_with_tag: " "}', 7, "a tag has a name"),
        ("    agent_serves: {tag: IA}", 7, "unknown key “tag”"),
        ("    agent_serves: {only_with_tag: IA, never_with_tag: ia}", 7, "nobody would be served"),
        ("    holidays: {country: BR, state: XX}", 7, "unknown state “XX”"),
        ("    without: [won]\n    stage_mappings: [{conversation_stage: a, move_to: won}]", 8, "unknown stage: “won”"),
        ("    stage_mappings:\n      - {conversation_stage: a}", 8, "give one of move_to"),
        (
            "    stage_mappings:\n      - {conversation_stage: a, move_to: new, decide: nothing}",
            8,
            "give one of move_to",
        ),
        ("    stage_mappings:\n      - {conversation_stage: a, decide: qualification}", 8, "add “qualification:”"),
        (
            "    stage_mappings:\n      - {conversation_stage: Início, move_to: new}\n"
            "      - {conversation_stage: inicio, move_to: next}",
            9,
            "“inicio” is mapped above already",
        ),
        ("    qualification: {min_score: 101}", 7, "between 0 and 100"),
        ("    qualification: {min_score: 70.123}", 7, "at most two decimals"),
        ("    qualification: {qualified_stage: best}", 7, "unknown stage: “best”"),
        ("    qualification:\n      criteria:\n        - {field: bil_value, operator: is_set}", 9, "“bill_value”?"),
        ("    qualification:\n      criteria:\n        - {field: bill_value, operator: gte}", 9, "gte needs a value"),
        ("    qualification: {criteria: [{field: name, operator: in, value: a}]}", 7, "compares with a list"),
        ("    qualification: {criteria: [{field: name, operator: eq, value: [a]}]}", 7, "a list goes with in"),
        ("    qualification: {criteria: [{field: name, operator: gt, value: a}]}", 7, "compares with a number"),
        ("    qualification: {criteria: [{field: name, operator: is_set, value: a}]}", 7, "leave the value out"),
        ("    qualification: {criteria: [{field: name, operator: is_set, flows: [A]}]}", 7, "“A” (there are: none)"),
        ("    fields: [{attribute: name, kommo_field: N, type: txt}]", 7, "did you mean “text”?"),
        ("    fields: [{attribute: custom., kommo_field: N, type: text}]", 7, "unknown attribute"),
        ("    fields: [{attribute: name, kommo_field: N, type: text, options: {a: b}}]", 7, "has no options"),
        (
            "    flows: [Aluguel de Lote]\n    fields:\n      - attribute: chosen_flow\n        kommo_field: N\n"
            "        type: select\n        options:\n          Aluguel de Lote: Lote\n          Aluguel de Lotes: Lote",
            14,
            "an option is named like no flow: “Aluguel de Lotes”, did you mean “Aluguel de Lote”?",
        ),
        (
            "    fields: [{attribute: chosen_flow, kommo_field: N, type: multiselect, options: {A: a}}]",
            7,
            "an option is named like no flow: “A” (there are: none)",
        ),
        (
            "    fields: [{attribute: has_solar_system, kommo_field: N, type: select, options: {Sim: Sim}}]",
            7,
            "neither yes nor no: “Sim” (there are: False, True)",
        ),
        ("    handoff_stage: humans", 7, "handoff_stage names an unknown stage: “humans”"),
        (
            "    fields:\n      - {attribute: name, kommo_field: N, type: text}\n"
            "      - {attribute: name, kommo_field: M, type: text}",
            9,
            "another field with attribute “name”; the first is on line 8",
        ),
        (
            "    fields:\n      - {attribute: name, kommo_field: N, type: text}\n"
            "      - {attribute: email, kommo_field: n, type: text}",
            9,
            "name is shown in “n” already",
        ),
        ("    tags: [{attribute: name, template: '{value}'}]", 7, "write some text before {value}"),
        ("    tags: [{attribute: name, template: tag}]", 7, "write some text before {value}"),
        (
            "    sequences:\n      - slug: s\n        starts_on: meeting_scheduled\n        steps:\n"
            "          - {delay: PT1H, text: Oi}",
            11,
            "a reminder comes before the meeting",
        ),
        (
            "    sequences:\n      - slug: s\n        starts_on: agent_unanswered\n        steps:\n"
            "          - {before: PT1H, text: Oi}",
            11,
            "there is no meeting to be before",
        ),
        (
            "    sequences:\n      - slug: s\n        starts_on: agent_unanswered\n        steps:\n"
            "          - delay: PT1H\n            text: Oi {{ name",
            12,
            "cannot be rendered",
        ),
        ("    sequences: [{slug: s, starts_on: agent_unanswered, give_up_stage: new}]", 7, "without give_up_after"),
        ("    sequences: [{slug: s, starts_on: meeting_scheduled, give_up_after: P1D}]", 7, "can give up"),
        ("    sequences: [{slug: s, starts_on: agent_unanswered, stop_stages: [nxt]}]", 7, "did you mean “next”?"),
        ("    sequences: [{slug: s s, starts_on: agent_unanswered}]", 7, "only a-z, A-Z, 0-9"),
        ("    sequences: [{starts_on: agent_unanswered}]", 7, "the sequence lacks “slug”"),
        ("  - slug: p\n    name: P2\n    stages: [{key: new, name: N}]", 7, "another pipeline with slug “p”"),
    ],
)
def test_what_cannot_be_is_refused_on_its_line(lines, line, sentence):
    refused = refusal(SMALLEST + lines + "\n")

    assert refused.startswith(f"line {line}: ")
    assert sentence in refused


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("{key: new, name: N}", "another stage with key “new”; the first is on line 5"),
        ("{key: other, name: N}", "choose another key"),
        ("{key: a, name: Next}", "“next” has this name too"),
        ("{key: a, name: A, on_reply: b}", "on_reply names an unknown stage"),
        ("{key: a, name: A, kind: closed}", "unknown: “closed”"),
        ("{key: a, name: A, kommo_status_id: 142}", "142 is won in Kommo: write kind: won"),
        ("{key: a, name: A, kind: won, kommo_status_id: 7}", "won is 142 in every pipeline"),
        ("{key: a, name: A, loss_reason: B}", "only a stage of kind lost has a reason"),
    ],
)
def test_a_stage_that_cannot_be_is_refused_on_its_line(stage, sentence):
    refused = refusal(SMALLEST + f"      - {stage}\n")

    assert refused.startswith("line 7: ")
    assert sentence in refused


def test_two_default_pipelines_are_refused():
    second = "  - {slug: q, name: Q, default: true, stages: [{key: new, name: N}]}\n"
    assert refusal(SMALLEST + "    default: true\n" + second) == (
        "line 8: another default pipeline; the first is on line 7"
    )


def test_every_problem_is_told_at_once():
    refused = refusals(SMALLEST + "    colour: red\n    handoff_max: soon\n")

    assert [line.partition(":")[0] for line in refused] == ["line 7", "line 8"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "line 1: the file is empty"),
        (b"[]", "line 1: a configuration is written as keys and values, not as a list"),
        (b"pipelines: []", "line 1: at least one pipeline is needed"),
        (b"pipelines:\n  - slug: [a\n", "line 3: this is not YAML: "),
        (b"a: 1\n---\nb: 1\n", "line 2: this is not YAML: "),
        (b"pipelines:\n\t- slug\n", "line 2: this is not YAML: "),
        (b"# \xc3\xa9\n# \xe9\n", "line 2: the file is not in UTF-8"),
        (b"a: 1\nb: \x01\n", "line 2: there is a control character here"),
        (b"[" * 100_000, "line 1: the file is nested too deeply"),
        (b"pipelines: &a [*a]\n", "line 1: a pipeline is written as keys and values, not as a list"),
        (b"#" * (yaml_file.LARGEST_FILE + 1), "line 1: the file has 1048577 bytes"),
    ],
)
def test_what_is_no_configuration_at_all_is_refused_with_a_sentence(data, sentence):
    assert refusal(data).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT2S", timedelta(seconds=2)),
        ("PT30M", timedelta(minutes=30)),
        ("P2D", timedelta(days=2)),
        ("P1W", timedelta(days=7)),
        ("P1DT12H", timedelta(hours=36)),
        ("PT0.5S", timedelta(milliseconds=500)),
    ],
)
def test_durations_are_iso_8601(text, length):
    assert parse(SMALLEST + f"    handoff_max: {text}\n").handoff_max == length


@pytest.mark.parametrize("text", ["P", "PT", "P1Y", "PT1H30", "30M", "P1W2D", "-PT1H", "pt1h", "PT1H "])
def test_what_only_looks_like_a_duration_is_refused(text):
    assert "is not a duration" in refusal(SMALLEST + f'    handoff_max: "{text}"\n')


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=3660)))
def test_a_duration_is_written_so_that_it_reads_the_same(length):
    assert parse(SMALLEST + f"    handoff_max: {Duration().show(length)}\n").handoff_max == length


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("{}[]:#,'\"|>&*!%@` \n\t-?~"), max_size=60
).filter(str.strip)
plain = texts | st.sampled_from(
    ["null", "true", "12", "1e5", "20:00", "2026-01-01", "~", "- a", "a: b", " a ", "=", "<<"]
)


@given(name=plain, flows=st.lists(plain, unique=True), options=st.dictionaries(plain, plain), value=plain)
def test_any_text_is_written_so_that_it_reads_the_same(name, flows, options, value):
    pipeline = yaml_file.complete(
        document.Pipeline(
            slug="p",
            name=name,
            stages=(document.Stage(key="new", name=name),),
            qualification=document.Qualification(
                criteria=(document.Criterion(field="name", operator="in", value=[value, 1.5, True]),)
            ),
            flows=tuple(flows),
            fields=(document.Field(attribute="name", kommo_field=name, type="select", options=options),),
            handoff_task=value,
        )
    )
    configuration = document.Configuration(pipelines=(pipeline,))

    assert yaml_file.parse(yaml_file.dump(configuration).encode()) == configuration


def test_aliases_that_repeat_without_bound_are_refused():
    text = "a: &a [" + "x," * 2000 + "]\nb: &b [" + "*a," * 2000 + "]\npipelines: [" + "*b," * 2000 + "]\n"

    with pytest.raises(RefusedError, match=r"line 2: aliases .* repeat too much"):
        yaml_file.parse(text.encode())


def test_an_alias_that_names_a_part_once_more_is_read():
    plain = SMALLEST.replace("slug: ", "slug: &slug ", 1)
    [slug] = (pipeline.slug for pipeline in yaml_file.parse(SMALLEST.encode()).pipelines)
    name = next(line for line in plain.splitlines() if line.strip().startswith("name: "))

    aliased = plain.replace(name, name.partition("name: ")[0] + "name: *slug", 1)

    assert yaml_file.parse(aliased.encode()).pipelines[0].name == slug
