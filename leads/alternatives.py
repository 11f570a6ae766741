"""Why is this lead not in another stage? For every stage, what would take the lead there, and why it does not. Pure.

It asks the very functions that decide, so that the answer cannot differ from the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.name_spellings import name_key
from common.reasons import Reason, about, several
from leads.decisions import Decision, Facts, Mover, decide, holds, meeting_is
from leads.qualification import Outcome, assess
from leads.rules import MappingAction, Rules, StageRule

SAYS = {
    Outcome.QUALIFIED: "qualification_says_qualified",
    Outcome.DISQUALIFIED: "qualification_says_disqualified",
    Outcome.UNDECIDED: "qualification_says_undecided",
}


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
    reasons = reasons or [Reason("no_rule_leads_here")]
    return Alternative(stage.key, Standing.NOT_HERE, tuple(dict.fromkeys([*reasons, *_way(stage, facts, rules)])))


def _meeting(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    if stage.key != rules.meeting_stage:
        return []
    if not facts.meeting_status:
        return [Reason("no_meeting_booked")]
    return [] if facts.has_standing_meeting else [meeting_is(facts.meeting_status)]


def _mappings(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    conversation_stage = name_key(facts.conversation_stage or "")
    leading = [
        mapping for mapping in rules.mappings if mapping.action is MappingAction.MOVE and mapping.move_to == stage.key
    ]
    if any(name_key(mapping.conversation_stage) == conversation_stage and holds(mapping, facts) for mapping in leading):
        # It matches, and was not chosen: an earlier mapping was.
        return [Reason("earlier_rule_comes_first")]
    if any(name_key(mapping.conversation_stage) == conversation_stage for mapping in leading):
        return [several([Reason("talk_of_a_meeting"), Reason("none_is_booked")])]
    names = dict.fromkeys(f"“{mapping.conversation_stage}”" for mapping in leading)
    return [Reason("agent_would_have_to_report", a=" or ".join(names))] if names else []


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
        return [Reason(SAYS[assessment.outcome], why=assessment.reason)]
    deciding = [m.conversation_stage for m in rules.mappings if m.action is MappingAction.QUALIFY]
    if name_key(facts.conversation_stage or "") in map(name_key, deciding):
        return []
    names = " or ".join(dict.fromkeys(f"“{name}”" for name in deciding))
    asked = Reason("asked_only_in_conversation_stage", a=names) if names else Reason("no_conversation_stage_asks")
    return [Reason("but", why=Reason(SAYS[assessment.outcome], why=assessment.reason), but=asked)]


def _reply(stage: StageRule, rules: Rules) -> list[str]:
    sources = [source.name for source in rules.stages if source.on_reply == stage.key]
    return [Reason("who_writes_again_is_taken_up_here", a=" or ".join(sources))] if sources else []


def _start(stage: StageRule, rules: Rules) -> list[str]:
    return [Reason("new_lead_starts_here")] if stage == rules.stages[0] else []


def _way(stage: StageRule, facts: Facts, rules: Rules) -> list[str]:
    """What stands in the way of any automatic move there, whatever calls for it."""
    standing = rules.stage(facts.stage)
    if standing is None:
        return [Reason("card_in_stage_of_their_own")]
    if facts.handoff:
        return [Reason("person_has_taken_over")]
    if standing.keeps_its_leads:
        return [Reason("automatic_moves_do_not_leave", a=standing.name)]
    if facts.moved_by is Mover.PERSON:
        if stage.rank <= standing.rank:
            return [Reason("nothing_moves_card_back_over_person", a=standing.name)]
        moved = Reason("person_moved_card_to", a=standing.name)
        return [about(moved, Reason("only_something_new_moves_it"))]
    if stage.rank < standing.rank and not stage.reachable_from_anywhere:
        return [Reason("automatic_moves_do_not_go_back", a=standing.name, b=stage.name)]
    return []
