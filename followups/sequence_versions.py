"""A sequence as it is now, kept for the leads that start on it: later edits do not disturb them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from followups.models import Sequence, SequenceVersion


@dataclass(frozen=True)
class StepPlan:
    """One message: `delay` after our last one or `before` the meeting, one of the two."""

    text: str
    delay: timedelta | None = None
    before: timedelta | None = None
    template_id: str = ""
    max_lateness: timedelta | None = None
    weekdays: tuple[str, ...] = ()
    only_on_time: bool = False
    # In place of a text: what the agent is to speak of.
    instruction: str = ""


@dataclass(frozen=True)
class SequencePlan:
    steps: tuple[StepPlan, ...]
    give_up_after: timedelta | None
    give_up_stage: str | None
    stop_stages: tuple[str, ...] = ()

    def apart(self, number: int) -> timedelta:
        """Return how far before this reminder the one before it is meant; nothing for the first, and after silence."""
        before, here = (self.steps[at].before if at >= 0 else None for at in (number - 2, number - 1))
        return before - here if before is not None and here is not None else timedelta(0)


def pin(sequence: Sequence) -> SequenceVersion:
    """Return the version that says what the sequence says now."""
    content = _content(sequence)
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    version, _ = SequenceVersion.objects.get_or_create(sequence=sequence, digest=digest, defaults={"content": content})
    return version


def read(version: SequenceVersion) -> SequencePlan:
    return _plan(version.content)


def current(sequence: Sequence) -> SequencePlan:
    """Return what the sequence says now."""
    return _plan(_content(sequence))


def _plan(content: dict[str, Any]) -> SequencePlan:
    return SequencePlan(
        steps=tuple(
            StepPlan(
                text=step["text"],
                delay=_duration(step["delay"]),
                before=_duration(step["before"]),
                template_id=step["template_id"],
                max_lateness=_duration(step["max_lateness"]),
                weekdays=tuple(step["weekdays"]),
                only_on_time=step.get("only_on_time", False),
                instruction=step.get("instruction", ""),
            )
            for step in content["steps"]
        ),
        give_up_after=_duration(content["give_up_after"]),
        give_up_stage=content["give_up_stage"],
        stop_stages=tuple(content["stop_stages"]),
    )


def _content(sequence: Sequence) -> dict[str, Any]:
    steps = list(sequence.steps.all())
    if steps and steps[0].before is not None:
        # A person may have entered them in any order; the meeting comes nearer in one.
        steps.sort(key=lambda step: -(step.before or timedelta()))
    return {
        "steps": [
            {
                "text": step.text,
                "delay": _seconds(step.delay),
                "before": _seconds(step.before),
                "template_id": step.template_id,
                "max_lateness": _seconds(step.max_lateness),
                "weekdays": step.weekdays,
            }
            # Left out where it is usual: versions that were pinned before there was such a thing stay the same.
            | ({"only_on_time": True} if step.only_on_time else {})
            | ({"instruction": step.instruction} if step.instruction else {})
            for step in steps
        ],
        "give_up_after": _seconds(sequence.give_up_after),
        "give_up_stage": sequence.give_up_stage.key if sequence.give_up_stage else None,
        "stop_stages": sorted(stage.key for stage in sequence.stop_stages.all()),
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
