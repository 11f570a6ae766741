"""Why is this lead not in another stage? For every stage, what would take the lead there, and why it does not. Pure.

It asks the very functions that decide, so that the answer cannot differ from the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.name_spellings import name_key
from leads.decisions import Decision, Facts, Mover, decide, holds
from leads.qualification import Outcome, assess
from leads.rules import MappingAction, Rules, StageRule


class Standing(StrEnum):
    """How a stage relates to the lead. NEXT: its next message takes it there; SUPPRESSED: somebody keeps it away."""

    HERE = "here"
    NEXT = "next"
    SUPPRESSED = "suppressed"
    NOT_HERE = "not_here"


@dataclass(frozen=True)
class Alternative:
    stage: str
    standing: Standing
    reasons: tuple[str, ...]


def alternatives(facts: Facts, rules: Rules, *, reason: str = "") -> tuple[Alternative, ...]:
    """Return every stage in its order with why the lead stands there or not; `reason`: the one stored of its place."""
    decision = decide(facts, rules)
    return tuple(_alternative(stage, decision, facts, rules, reason) for stage in rules.stages)


def _alternative(stage: StageRule, decision: Decision, facts: Facts, rules: Rules, reason: str) -> Alternative:
    if stage.key == facts.stage:
        why = reason or ("" if decision.changed or decision.suppressed else decision.reason)
        return Alternative(stage.key, Standing.HERE, (why,) if why else ())
    if decision.changed and decision.stage == stage.key:
        return Alternative(stage.key, Standing.NEXT, (decision.reason,))
    if decision.suppressed and decision.suppressed.stage == stage.key:
        return Alternative(stage.key, Standing.SUPPRESSED, (decision.suppressed.reason,))
    reasons = [
        *_meeting(stage, facts, rules),
        *_mappings(stage, facts, rules),
        *_qualification(stage, facts, rules),
        *_reply(stage, rules),
        *_start(stage, rules),
    ]
    reasons = reasons or ["no rule of the conversation leads here: staff or a follow-up do"]
    return Alternative(stage.key, Standing.NOT_HERE, tuple(dict.fromkeys([*reasons, *_way(stage, facts, rules)])))


def _meeting(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    if stage.key != rules.meeting_stage:
        return []
    if not facts.meeting_status:
        return ["no meeting is booked"]
    return [] if facts.has_standing_meeting else [f"the meeting is {facts.meeting_status}"]


def _mappings(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    conversation_stage = name_key(facts.conversation_stage or "")
    leading = [
        mapping for mapping in rules.mappings if mapping.action is MappingAction.MOVE and mapping.move_to == stage.key
    ]
    if any(name_key(mapping.conversation_stage) == conversation_stage and holds(mapping, facts) for mapping in leading):
        # It matches, and was not chosen: an earlier mapping was.
        return ["an earlier rule for this conversation stage comes first"]
    if any(name_key(mapping.conversation_stage) == conversation_stage for mapping in leading):
        return ["talk of a meeting; none is booked"]
    names = dict.fromkeys(f"“{mapping.conversation_stage}”" for mapping in leading)
    return [f"the agent would have to report the conversation stage {' or '.join(names)}"] if names else []


def _qualification(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    rule = rules.qualification
    outcomes = {
        rule.qualified_stage: Outcome.QUALIFIED,
        rule.disqualified_stage: Outcome.DISQUALIFIED,
        rule.undecided_stage: Outcome.UNDECIDED,
    }
    wanted = outcomes.get(stage.key)
    if wanted is None:
        return []
    flow = facts.attributes.get("chosen_flow")
    assessment = assess(facts.attributes, rule, flow if isinstance(flow, str) else None)
    if assessment.outcome is not wanted:
        return [f"qualification says {assessment.outcome.value}: {assessment.reason}"]
    deciding = [m.conversation_stage for m in rules.mappings if m.action is MappingAction.QUALIFY]
    if name_key(facts.conversation_stage or "") in map(name_key, deciding):
        return []
    names = " or ".join(dict.fromkeys(f"“{name}”" for name in deciding))
    asked = f"it is asked only in the conversation stage {names}" if names else "no conversation stage asks for it"
    return [f"qualification says {assessment.outcome.value}: {assessment.reason}, but {asked}"]


def _reply(stage: StageRule, rules: Rules) -> list[str]:
    sources = [source.name for source in rules.stages if source.on_reply == stage.key]
    return [f"a lead who writes again from {' or '.join(sources)} is taken up here"] if sources else []


def _start(stage: StageRule, rules: Rules) -> list[str]:
    return ["a new lead starts here"] if stage == rules.stages[0] else []


def _way(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    """What stands in the way of any automatic move there, whatever calls for it."""
    standing = rules.stage(facts.stage)
    if standing is None:
        return ["a person put the card into a stage of their own"]
    if facts.handoff:
        return ["a person has taken over"]
    if standing.keeps_its_leads:
        return [f"automatic moves do not leave {standing.name}"]
    if facts.moved_by is Mover.PERSON:
        if stage.rank <= standing.rank:
            return [f"a person moved the card to {standing.name}, and nothing moves it back over them"]
        return [f"a person moved the card to {standing.name}: only something newly concluded moves it on"]
    if stage.rank < standing.rank and not stage.reachable_from_anywhere:
        return [f"automatic moves do not go back from {standing.name} to {stage.name}"]
    return []
