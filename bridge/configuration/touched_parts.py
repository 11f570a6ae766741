"""Which parts of a configuration a change touched, named so that one can ask whose they are. Pure.

A part is a text: `stage:qualified`, `conversation:presenting`, `attribute:bill_value`, `sequence:cold`, or one of the
groups below. The parts of a revision are stored with it: reading two documents for every line of a page takes too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from bridge.configuration import document
from bridge.configuration.records import Record, keys_of
from common.name_spellings import name_key

R = TypeVar("R", bound=Record)

# Those with a meeting, those with follow-ups, and all.
MEETING, FOLLOW_UPS, EVERYBODY = "meeting", "follow-ups", "everybody"
GROUPS = {
    "meeting_stage": MEETING,
    "quiet_hours": FOLLOW_UPS,
    "holidays": FOLLOW_UPS,
    "followup_distance": FOLLOW_UPS,
    "flows": "attribute:chosen_flow",
}


def touched(old: document.Pipeline, new: document.Pipeline) -> list[str]:
    """Return the parts that differ, each once; empty only for equal configurations."""
    return sorted(set(_touched(old, new))) or [EVERYBODY] * (old != new)


def stage(key: str) -> str:
    return f"stage:{key}"


def conversation(wording: str) -> str:
    return f"conversation:{name_key(wording)}"


def attribute(name: str) -> str:
    return f"attribute:{name}"


def sequence(slug: str) -> str:
    return f"sequence:{slug}"


def _touched(old: document.Pipeline, new: document.Pipeline) -> Iterator[str]:
    yield from (stage(differing.key) for differing in _differing(old.stages, new.stages))
    if _order(old, new) != _order(new, old):
        # What is “further along” changed for everyone who may still move.
        yield EVERYBODY
    yield from (
        conversation(differing.conversation_stage) for differing in _differing(old.stage_mappings, new.stage_mappings)
    )
    if old.qualification != new.qualification:
        yield from _asked(old)
        yield from _asked(new)
    yield from (attribute(differing.attribute) for differing in _differing(old.fields, new.fields))
    yield from (attribute(differing.attribute) for differing in _differing(old.tags, new.tags))
    yield from (sequence(differing.slug) for differing in _differing(old.sequences, new.sequences))
    compared = {"stages", "stage_mappings", "qualification", "fields", "tags", "sequences"}
    for name in {key.attribute for key in keys_of(document.Pipeline)} - compared:
        if getattr(old, name) != getattr(new, name):
            yield GROUPS.get(name, EVERYBODY)


def _differing(old: Sequence[R], new: Sequence[R]) -> list[R]:
    return [part for part in old if part not in new] + [part for part in new if part not in old]


def _order(pipeline: document.Pipeline, other: document.Pipeline) -> list[str]:
    """Return the stages both have in the order of the first."""
    shared = {stage.key for stage in other.stages}
    return [stage.key for stage in pipeline.stages if stage.key in shared]


def _asked(pipeline: document.Pipeline) -> Iterator[str]:
    """Yield where qualification is asked and where its verdicts lead: whoever was never there, it never judged."""
    yield from (
        conversation(stage_mapping.conversation_stage)
        for stage_mapping in pipeline.stage_mappings
        if stage_mapping.decide == "qualification"
    )
    if qualification := pipeline.qualification:
        verdicts = (qualification.qualified_stage, qualification.disqualified_stage, qualification.undecided_stage)
        yield from (stage(key) for key in verdicts if key)
