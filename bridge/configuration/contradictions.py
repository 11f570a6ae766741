"""What cannot be said together: unknown references, duplicates, contradictions between parts of a configuration.

Pure; every problem comes with its line. What is only unusual is let pass: the database may hold it, and a file that was
exported must come back.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Any

import holidays
from django.utils import translation

from bridge.configuration.document import STATUS_IDS, Configuration, Criterion, Field, Pipeline, Sequence, Stage
from bridge.configuration.file_problems import Problem, unknown
from bridge.configuration.records import Record
from common.name_spellings import name_key
from followups import texts
from leads.models import ATTRIBUTES
from leads.qualification import PLAIN_NUMBER

ASKS_NOTHING = frozenset({"is_true", "is_false", "is_set", "is_not_set"})
ORDERED = frozenset({"gte", "gt", "lte", "lt"})
LISTS = frozenset({"in", "not_in"})
# What a rule may name of a lead, besides custom.<name>: everything `Lead.facts` has, and for cards the objections and
# the channel.
FACTS = frozenset({*ATTRIBUTES, "phone", "conversation_stage", "meeting_starts_at", "meeting_link"})
SHOWN = FACTS | {"objections", "channel"}
CHOICES = ("select", "multiselect")
BOOLEANS = frozenset({"is_decision_maker", "has_solar_system", "has_active_contract"})
YES_AND_NO = ("True", "False")
# The API's word for a Kommo stage that is none of ours.
OTHER = "other"


def find(configuration: Configuration) -> list[Problem]:
    """Return every problem, unordered; an empty list when the configuration can hold."""
    pipelines = configuration.pipelines
    problems = [
        *_twice(pipelines, "slug"),
        *_twice(pipelines, "kommo_pipeline_id"),
        *_twice(
            [candidate for candidate in pipelines if candidate.is_default],
            "is_default",
            key="default",
            say="another default pipeline",
        ),
    ]
    for pipeline in pipelines:
        problems += _of_pipeline(pipeline)
    return problems


def unknown_names(configuration: Configuration, *, in_force: Collection[str]) -> list[Problem]:
    """Return a problem for every text that speaks of what no lead has; texts that are in force already are let be."""
    steps = [step for pipeline in configuration.pipelines for sequence in pipeline.sequences for step in sequence.steps]
    with translation.override("en"):
        return [
            step.problem(key, f"the text cannot be rendered: {words}")
            for step in steps
            for key in ("text", "instruction")
            if getattr(step, key) not in in_force
            for words in texts.unknown_names(getattr(step, key))
        ]


def _of_pipeline(pipeline: Pipeline) -> Iterator[Problem]:
    keys = [stage.key for stage in pipeline.stages]
    yield from _references(pipeline, "meeting_stage", keys)
    yield from _references(pipeline, "handoff_stage", keys)
    yield from _of_stages(pipeline, keys)
    yield from _of_mappings(pipeline, keys)
    yield from _of_flows(pipeline)
    yield from _of_qualification(pipeline, keys)
    yield from _of_fields(pipeline)
    yield from _of_tags(pipeline)
    yield from _twice(pipeline.sequences, "slug")
    for sequence in pipeline.sequences:
        yield from _of_sequence(sequence, keys)
    yield from _of_hours(pipeline)
    served = pipeline.agent_serves
    if served.serves_only_with_tag and name_key(served.serves_only_with_tag) == name_key(served.serves_never_with_tag):
        yield pipeline.problem("agent_serves", "one tag cannot be asked for and ruled out: nobody would be served")


def _of_stages(pipeline: Pipeline, keys: list[str]) -> Iterator[Problem]:
    stages = pipeline.stages
    yield from _twice(stages, "key")
    yield from _twice(stages, "kommo_status_id", skip=lambda stage: stage.kommo_status_id in STATUS_IDS.values())
    first = stages[0]
    if first.kind != "open":
        yield first.problem("kind", f"a new lead starts in the first stage, which cannot be {first.kind}")
    if first.same_rank_as_previous:
        yield first.problem("same_rank_as_previous", "there is no stage before the first")
    ends: dict[str, Stage] = {}
    names: dict[str, Stage] = {}
    for stage in stages:
        yield from _references(stage, "on_reply", keys)
        if stage.key == OTHER:
            yield stage.problem("key", f"“{OTHER}” is how the API calls stages that only Kommo has: choose another key")
        if stage.kind in pipeline.without:
            yield stage.problem("kind", f"the pipeline is said to be without a stage for {stage.kind}")
        if stage.kind in STATUS_IDS and stage.kind in ends:
            yield stage.problem("kind", f"“{ends[stage.kind].key}” is {stage.kind} already; Kommo has one such stage")
        ends.setdefault(stage.kind, stage)
        fixed = STATUS_IDS.get(stage.kind)
        if fixed and stage.kommo_status_id != fixed:
            yield stage.problem("kommo_status_id", f"{stage.kind} is {fixed} in every pipeline of Kommo")
        if not fixed and stage.kommo_status_id in STATUS_IDS.values():
            kind = next(kind for kind, status in STATUS_IDS.items() if status == stage.kommo_status_id)
            yield stage.problem("kommo_status_id", f"{stage.kommo_status_id} is {kind} in Kommo: write kind: {kind}")
        if stage.loss_reason and stage.kind != "lost":
            yield stage.problem("loss_reason", f"only a stage of kind lost has a reason; this one is {stage.kind}")
        same = names.setdefault(name_key(stage.name), stage)
        if same is not stage and None in (same.kommo_status_id, stage.kommo_status_id) and not fixed:
            yield stage.problem("name", f"“{same.key}” has this name too, and Kommo's stages are found by their names")


def _of_mappings(pipeline: Pipeline, keys: list[str]) -> Iterator[Problem]:
    reached: dict[str, set[str]] = {}
    for mapping in pipeline.stage_mappings:
        yield from _references(mapping, "move_to", keys)
        if (mapping.move_to is None) == (mapping.decide is None):
            yield mapping.problem("", "give one of move_to (a stage) and decide (qualification or nothing)")
        if mapping.decide == "qualification" and pipeline.qualification is None:
            yield mapping.problem("decide", "there is no qualification to decide by: add “qualification:”")
        before = reached.setdefault(name_key(mapping.conversation_stage), set())
        # The first match wins: what comes after one without a condition, or with the same, is never reached.
        if before & {"always", mapping.only_if}:
            text = f"“{mapping.conversation_stage}” is mapped above already (case, accents and _ make no difference)"
            yield mapping.problem("conversation_stage", text)
        before.add(mapping.only_if)


def _of_flows(pipeline: Pipeline) -> Iterator[Problem]:
    known: dict[str, str] = {}
    for index, flow in enumerate(pipeline.flows):
        same = known.setdefault(name_key(flow), flow)
        if same != flow:
            yield pipeline.problem(f"flows.{index}", f"“{flow}” and “{same}” are the same name to the bridge")


def _of_qualification(pipeline: Pipeline, keys: list[str]) -> Iterator[Problem]:
    qualification = pipeline.qualification
    if qualification is None:
        return
    for name in ("qualified_stage", "disqualified_stage", "undecided_stage"):
        yield from _references(qualification, name, keys)
    for criterion in qualification.criteria:
        yield from _attribute(criterion, "field", criterion.field, FACTS)
        yield from _value_of(criterion)
        yield from _each_reference(criterion, "flows", pipeline.flows)


def _value_of(criterion: Criterion) -> Iterator[Problem]:
    operator, value = criterion.operator, criterion.value
    if operator in ASKS_NOTHING:
        if value is not None:
            yield criterion.problem("value", f"{operator} compares with nothing: leave the value out")
    elif value is None:
        yield criterion.problem("operator", f"{operator} needs a value to compare with")
    elif operator in LISTS and not isinstance(value, list):
        yield criterion.problem("value", f"{operator} compares with a list such as [a, b]")
    elif operator not in LISTS and isinstance(value, list):
        yield criterion.problem("value", f"{operator} compares with one value; a list goes with in and not_in")
    elif operator in ORDERED and (isinstance(value, bool) or not PLAIN_NUMBER.fullmatch(str(value).strip())):
        yield criterion.problem("value", f"{operator} compares with a number")


def _of_fields(pipeline: Pipeline) -> Iterator[Problem]:
    yield from _twice(pipeline.fields, "attribute")
    yield from _twice(pipeline.fields, "kommo_field_id")
    names: dict[str, Any] = {}
    for field in pipeline.fields:
        yield from _attribute(field, "attribute", field.attribute, SHOWN)
        if field.options and field.type not in CHOICES:
            yield field.problem(
                "options", f"a field of type {field.type} has no options; only {' and '.join(CHOICES)} have"
            )
        yield from _options(field, pipeline)
        same = names.setdefault(name_key(field.kommo_field), field)
        if same is not field and None in (same.kommo_field_id, field.kommo_field_id):
            yield field.problem("kommo_field", f"{same.attribute} is shown in “{field.kommo_field}” already")


def _options(field: Field, pipeline: Pipeline) -> Iterator[Problem]:
    """Yield the options that show what no lead can ever have."""
    if field.type not in CHOICES or field.attribute not in {"chosen_flow", *BOOLEANS}:
        return
    is_flow = field.attribute == "chosen_flow"
    can_be, what = (pipeline.flows, "no flow") if is_flow else (YES_AND_NO, "neither yes nor no")
    known = set(map(name_key, can_be))
    for option in field.options:
        if name_key(option) not in known:
            yield field.problem(f"options.{option}", f"an option is named like {what}: {unknown(option, can_be)}")


def _of_tags(pipeline: Pipeline) -> Iterator[Problem]:
    yield from _twice(pipeline.tags, "template")
    for tag in pipeline.tags:
        yield from _attribute(tag, "attribute", tag.attribute, SHOWN)
        before, value, after = tag.template.partition("{value}")
        if not before or not value or set("{}") & set(before + after) or "\n" in tag.template:
            yield tag.problem("template", "write some text before {value}, and no other braces: fluxo_{value}")


def _of_sequence(sequence: Sequence, keys: list[str]) -> Iterator[Problem]:
    yield from _references(sequence, "give_up_stage", keys)
    yield from _each_reference(sequence, "stop_stages", keys)
    waits_for_answer = sequence.starts_on == "agent_unanswered"
    if sequence.give_up_after and not waits_for_answer:
        yield sequence.problem("give_up_after", "only a sequence that waits for an answer can give up")
    if sequence.give_up_stage and not sequence.give_up_after:
        yield sequence.problem("give_up_stage", "without give_up_after nobody is ever given up")
    for step in sequence.steps:
        if (step.delay is None) == (step.before is None):
            yield step.problem("", "give one of delay (after our last message) and before (the meeting)")
        elif waits_for_answer and step.before is not None:
            yield step.problem(
                "before", "there is no meeting to be before: write delay, or starts_on: meeting_scheduled"
            )
        elif not waits_for_answer and step.delay is not None:
            yield step.problem("delay", "a reminder comes before the meeting: write before")
        if bool(step.text.strip()) == bool(step.instruction.strip()):
            yield step.problem("", "give one of text (what is said) and instruction (what the agent is to speak of)")
    yield from _twice(sequence.steps, "before")


def _of_hours(pipeline: Pipeline) -> Iterator[Problem]:
    hours, kept = pipeline.quiet_hours, pipeline.holidays
    if (hours.quiet_from is None) != (hours.quiet_to is None):
        given, lacking = ("from", "to") if hours.quiet_from is not None else ("to", "from")
        yield hours.problem(given, f"quiet hours with “{given}” need “{lacking}” as well")
    states = holidays.list_supported_countries().get(kept.holidays_country, []) if kept else []
    if kept and kept.holidays_subdivision and kept.holidays_subdivision not in states:
        yield kept.problem("state", f"unknown state {unknown(kept.holidays_subdivision, states)}")


def _references(record: Record, name: str, known: Iterable[str]) -> Iterator[Problem]:
    key = getattr(record, name)
    if key is not None and key not in known:
        yield record.problem(name, f"{name} names an unknown stage: {unknown(key, known)}")


def _each_reference(record: Record, name: str, known: Iterable[str]) -> Iterator[Problem]:
    for index, reference in enumerate(getattr(record, name)):
        if reference not in known:
            yield record.problem(
                f"{name}.{index}", f"{name} names what the pipeline has not: {unknown(reference, known)}"
            )


def _attribute(record: Record, key: str, attribute: str, known: frozenset[str]) -> Iterator[Problem]:
    custom = attribute.startswith("custom.") and attribute != "custom."
    if attribute not in known and not custom:
        text = f"unknown attribute {unknown(attribute, known)}; further facts are written custom.<name>"
        yield record.problem(key, text)


def _twice(
    records: Iterable[Record], attribute: str, *, key: str = "", say: str = "", skip: Any = lambda _: False
) -> Iterator[Problem]:
    """Yield a problem for every record whose attribute one before it has too; None is never a duplicate."""
    first: dict[Hashable, Record] = {}
    for record in records:
        value = getattr(record, attribute)
        if value is None or skip(record):
            continue
        same = first.setdefault(value, record)
        if same is not record:
            line = same.problem(key or attribute, "").line
            text = f"{say or f'another {record.called} with {attribute} “{value}”'}; the first is on line {line}"
            yield record.problem(key or attribute, text)
