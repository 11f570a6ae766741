"""A pipeline's rules as plain values: what `decisions` and `qualification` decide with. Pure.

`leads.rulebook` makes them from the rows staff edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any


class StageKind(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class MappingAction(StrEnum):
    MOVE = "move"
    QUALIFY = "qualify"
    NOTHING = "nothing"


class OnlyIf(StrEnum):
    ALWAYS = "always"
    MEETING = "meeting"


@dataclass(frozen=True)
class StageRule:
    key: str
    name: str
    rank: int
    kind: StageKind = StageKind.OPEN
    reachable_from_anywhere: bool = False
    protected: bool = False
    pauses_agent: bool = False
    tells_staff: bool = True
    on_reply: str | None = None
    always_visit: bool = False

    @property
    def is_only_silent(self) -> bool:
        """The agent is silent here, and no person is asked to speak in its place."""
        return self.pauses_agent and not self.tells_staff

    @property
    def keeps_its_leads(self) -> bool:
        """No automatic move takes a lead out of here."""
        return self.protected or self.kind is not StageKind.OPEN


@dataclass(frozen=True)
class MappingRule:
    """What a conversation stage means: move to a stage, decide by qualification, or nothing."""

    id: int
    conversation_stage: str
    action: MappingAction
    move_to: str | None = None
    only_if: OnlyIf = OnlyIf.ALWAYS


@dataclass(frozen=True)
class Criterion:
    """A condition on one attribute; `flows` empty means for every flow."""

    id: int
    field: str
    operator: str
    value: Any = None
    flows: tuple[str, ...] = ()
    required: bool = False
    disqualifies: bool = False


@dataclass(frozen=True)
class QualificationRule:
    """When a lead is qualified, and the stages its three verdicts lead to."""

    min_score: Decimal | None = None
    criteria: tuple[Criterion, ...] = ()
    qualified_stage: str | None = "qualified"
    disqualified_stage: str | None = "disqualified"
    undecided_stage: str | None = "qualifying"


@dataclass(frozen=True)
class Rules:
    """Everything a pipeline decides with. `stages` are in rank order; the first is where a new lead starts."""

    pipeline: str
    stages: tuple[StageRule, ...]
    mappings: tuple[MappingRule, ...] = ()
    qualification: QualificationRule = QualificationRule()
    meeting_stage: str | None = None
    version: int = 1

    def stage(self, key: str | None) -> StageRule | None:
        return next((stage for stage in self.stages if stage.key == key), None)
