"""Where should this lead stand, and why? A pure function of the lead's facts and the pipeline's rules.

Three rules are asked in a fixed order, and each goes on from where the one before it left the lead:

1. Reply: a lead who writes, or books a meeting, from a stage with `on_reply` is taken up again.
2. Meeting: a booked one takes the lead to the meeting stage, a cancelled one takes it back to what it deserves without.
3. Conversation stage: the first mapping that matches it moves the lead, or decides by qualification.

What they call for happens only if it is allowed: never out of a protected stage, won, lost or a person's own stage, and
never during a handoff; never to a lower rank, except to stages reachable from anywhere, and not even there while a
meeting is booked. A verdict that turns is followed between the stages of the verdict, whatever their order.

A stage that was found, or a lead's first one, is nobody's. Where somebody else moved the card, their move stands until
the conversation concludes something it had not concluded when they did (leads/conclusions.py). Over a person's move
nothing then goes but forward; a reply alone takes the lead up from where a person laid it to rest.

What is not allowed is returned as suppressed, with the reason. Why a lead stands in no other stage is told by
`leads/alternatives.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from common.name_spellings import name_key
from leads import conclusions
from leads.conclusions import conclusion
from leads.qualification import Assessment, Outcome, assess
from leads.rules import MappingAction, MappingRule, OnlyIf, Rules, StageKind, StageRule

STANDING = ("scheduled", "rescheduled")
# Booked, and its time is over: it holds nothing any more, and takes nothing back.
GONE_BY = "gone_by"


class Mover(StrEnum):
    """Who put the lead where it stands, if no rule did. KOMMO: it was found there, or another program moved it."""

    PERSON = "person"
    KOMMO = "kommo"


@dataclass(frozen=True)
class Facts:
    """What is known of a lead. `stage` None: the card stands in a stage of Kommo that is none of ours."""

    stage: str | None
    conversation_stage: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    meeting_status: str | None = None
    meeting_id: str | None = None
    # This interaction brought news of a meeting: what became of it, by default of the one above, and which was booked.
    meeting_changed: bool = False
    meeting_reported: str | None = None
    meeting_booked: tuple[str, object] | None = None
    stage_before_meeting: str | None = None
    handoff: bool = False
    # This interaction is a message by the lead.
    inbound: bool = False
    moved_by: Mover | None = None
    # What the conversation has concluded so far, and what of it when somebody else moved the lead.
    concluded: tuple[str, ...] = ()
    concluded_when_moved: frozenset[str] = frozenset()
    # This interaction tells of a time before somebody else put the lead where it stands.
    is_past: bool = False
    # And of a time before a person gave the lead back: what was called for meanwhile could not count.
    was_with_people: bool = False
    new_lead: bool = False

    @property
    def has_standing_meeting(self) -> bool:
        return self.meeting_status in STANDING


@dataclass(frozen=True)
class Suppressed:
    """A move the rules called for that was not allowed."""

    stage: str
    rule: str
    reason: str
    # What calls for the move, where nothing but the order of the stages forbids it.
    against_order: str = ""


@dataclass(frozen=True)
class Decision:
    """Where the lead should stand (None: in no stage of ours), the reason in words, and the rule that decided.

    concluded, concluded_when_moved: what the lead remembers from here on, while it stands where it stood.
    """

    stage: str | None
    changed: bool
    reason: str
    rule: str
    concluded: tuple[str, ...] = ()
    concluded_when_moved: frozenset[str] = frozenset()
    suppressed: Suppressed | None = None
    unmapped_conversation_stage: bool = False
    notify_staff: str | None = None


@dataclass(frozen=True)
class _Candidate:
    """A move that a rule calls for."""

    target: StageRule
    reason: str
    rule: str
    # What it rests on; empty for a reply, which is news each time.
    grounds: tuple[str, ...] = ()
    # Back from a cancelled meeting, or up again after a reply: the ordinary way forward does not apply.
    any_direction: bool = False

    @property
    def drawn(self) -> tuple[str, ...]:
        """Return the conclusions it is, one for each ground."""
        return tuple(conclusion(ground, self.target.key) for ground in self.grounds)


def decide(facts: Facts, rules: Rules) -> Decision:
    """Return the stage the facts call for under the rules. Never raises.

    Deciding again from the resulting stage, with the same facts, changes nothing.
    """
    course = _Course(facts, rules)
    course.follow(_reply(facts, rules))
    if _is_back_from_meeting(facts, rules):
        course.follow(_without_meeting(facts, rules))
    else:
        course.follow(_booked(facts, rules))
        course.follow(_conversation(facts, rules))
    return course.decision()


def concluded_until_now(facts: Facts, rules: Rules) -> tuple[str, ...]:
    """Return what the facts call for wherever the lead stands, and the verdict wherever the talk is.

    For a lead of which nobody wrote down what its conversation had concluded.
    """
    candidates = (_booked(facts, rules), _conversation(facts, rules), _qualification(facts, rules))
    return conclusions.remember((), [code for candidate in candidates if candidate for code in candidate.drawn])


class _Course:
    """Where the lead has got to while the rules are asked one after another."""

    def __init__(self, facts: Facts, rules: Rules) -> None:
        self.facts, self.rules = facts, rules
        self.start = self.standing = rules.stage(facts.stage)
        self.taken: list[_Candidate] = []
        self.suppressed: Suppressed | None = None
        # Why the lead is right where it stands.
        self.confirmed: tuple[str, str] | None = None
        self.drawn: list[str] = []

    def follow(self, candidate: _Candidate | None) -> None:
        """Move as the candidate says, if that is allowed, and note what came of it."""
        if candidate is None:
            return
        target, reason, rule = candidate.target, candidate.reason, candidate.rule
        lock = self._lock()
        if lock is None:
            self.drawn += candidate.drawn
        if target == self.standing:
            self.confirmed = self.confirmed or (reason, rule)
        elif refusal := lock or self._mover_refusal(candidate):
            self.suppressed = self.suppressed or Suppressed(target.key, rule, f"{reason}, but {refusal}")
        elif refusal := self._direction_refusal(candidate):
            self._stay_ahead(candidate, refusal)
        else:
            self.standing = target
            self.taken.append(candidate)

    def _lock(self) -> str | None:
        """Return why nothing at all may move the lead from where it stands; None when something may."""
        stage = self.standing
        if stage is None:
            return "a person put the card into a stage of their own"
        if self.facts.handoff:
            return "a person has taken over"
        return f"automatic moves do not leave {stage.name}" if stage.keeps_its_leads else None

    def _mover_refusal(self, candidate: _Candidate) -> str | None:
        """Return why the move of whoever put the lead where it stands holds against this; None when it does not."""
        mover, start = self.facts.moved_by, self.start
        if mover is None or start is None:
            return None
        is_person = mover is Mover.PERSON
        # Where this very decision has put the lead, nobody else has.
        if not self.taken:
            if self.facts.is_past:
                return (
                    f"a person moved the card to {start.name} after that"
                    if is_person
                    else f"the card stood in {start.name} in Kommo after that"
                )
            if not self._is_news_to_mover(candidate):
                who = "a person" if is_person else "another program"
                return f"{who} moved the card to {start.name} and nothing new was concluded since"
        is_taken_up = any(step.rule == "on_reply" for step in (*self.taken, candidate))
        if is_person and candidate.target.rank <= start.rank and not is_taken_up:
            return f"a person moved the card to {start.name}, and nothing moves it back over them"
        return None

    def _is_news_to_mover(self, candidate: _Candidate) -> bool:
        known = self.facts.concluded_when_moved
        return not candidate.grounds or any(code not in known for code in candidate.drawn)

    def _direction_refusal(self, candidate: _Candidate) -> str | None:
        """Return why the move is not one forward; None when it is, or when it need not be."""
        stage, target = self.standing, candidate.target
        if stage is None or candidate.any_direction:
            return None
        if target.reachable_from_anywhere or self._turns(candidate):
            return "its meeting is still booked" if self._meeting_holds(target) else None
        return (
            None if target.rank > stage.rank else f"automatic moves do not go back from {stage.name} to {target.name}"
        )

    def _turns(self, candidate: _Candidate) -> bool:
        """Say whether this is a verdict that was another before, and the lead stands where verdicts lead."""
        rule, known = self.rules.qualification, self.facts.concluded
        verdict_stages = {rule.qualified_stage, rule.disqualified_stage}
        return (
            self.standing is not None
            and {self.standing.key, candidate.target.key} <= verdict_stages
            and all(map(conclusions.is_verdict, candidate.drawn))
            and any(code not in known for code in candidate.drawn)
        )

    def _meeting_holds(self, target: StageRule) -> bool:
        meeting_stage = self.rules.stage(self.rules.meeting_stage)
        return self.facts.has_standing_meeting and meeting_stage is not None and target != meeting_stage

    def _stay_ahead(self, candidate: _Candidate, refusal: str) -> None:
        """Note a move that would go back. With a meeting booked, lesser talk is no news for staff."""
        stage, target = self.standing, candidate.target
        assert stage is not None
        if self.facts.has_standing_meeting and not stage.reachable_from_anywhere and not target.reachable_from_anywhere:
            further = f"{candidate.reason}; {stage.name} is further along"
            self.confirmed = self.confirmed or (further, candidate.rule)
            return
        reason = f"{candidate.reason}, but {refusal}"
        against_order = "" if self._meeting_holds(target) else candidate.reason
        self.suppressed = self.suppressed or Suppressed(target.key, candidate.rule, reason, against_order)

    def decision(self) -> Decision:
        changed = self.standing != self.start
        if changed:
            reason, rule = "; ".join(step.reason for step in self.taken), self.taken[-1].rule
        else:
            reason, rule = self._why_it_stays()
        return Decision(
            stage=self.standing.key if self.standing else self.facts.stage,
            changed=changed,
            reason=reason,
            rule=rule,
            suppressed=self.suppressed,
            unmapped_conversation_stage=_is_unmapped(self.facts, self.rules),
            notify_staff=self._notice(changed),
            **self._memory(),
        )

    def _memory(self) -> dict[str, Any]:
        """Return what is concluded by now, and what of it somebody else knew when they moved the lead."""
        facts = self.facts
        known = {"concluded": facts.concluded, "concluded_when_moved": facts.concluded_when_moved}
        if not facts.is_past:
            return known | {"concluded": conclusions.remember(facts.concluded, self.drawn)}
        if facts.moved_by is not Mover.PERSON or facts.was_with_people:
            return known
        return {
            "concluded": conclusions.remember(facts.concluded, self.drawn),
            "concluded_when_moved": facts.concluded_when_moved | set(self.drawn),
        }

    def _why_it_stays(self) -> tuple[str, str]:
        if self.suppressed:
            return self.suppressed.reason, self.suppressed.rule
        if self.taken:
            return self.taken[-1].reason, self.taken[-1].rule
        if self.confirmed:
            return self.confirmed
        if self.facts.new_lead:
            return "first message of a new lead", "new lead"
        if self.facts.conversation_stage:
            unmapped = _is_unmapped(self.facts, self.rules)
            what = "is not mapped yet" if unmapped else "moves nothing now"
            return f"conversation stage “{self.facts.conversation_stage}” {what}", "conversation stage"
        return "nothing in this interaction calls for a move", "none"

    def _notice(self, changed: bool) -> str | None:
        """Return what staff should be told, where they work: of a lead that no rule will take any further."""
        facts, stage = self.facts, self.start
        reported = facts.meeting_reported or facts.meeting_status
        books = facts.meeting_changed and facts.has_standing_meeting and reported in STANDING
        if facts.meeting_changed and reported == "no_show":
            return "the lead did not come to the meeting"
        if stage is None:
            return None
        if facts.handoff:
            return "the lead wrote while a person has taken over" if facts.inbound else None
        if changed and self.taken[0].rule == "on_reply":
            return f"{self.taken[0].reason} and was taken up"
        waits = stage.on_reply or stage.kind is not StageKind.OPEN or stage.is_only_silent
        if not (facts.inbound or books):
            return None
        if not (waits or stage.key == self.rules.qualification.disqualified_stage):
            return None
        what = "booked a meeting" if books else "wrote"
        if changed and self.standing:
            return f"the lead {what} from {stage.name}; the card moved to {self.standing.name}"
        return f"the lead {what} from {stage.name}; the card stays there"


def _reply(facts: Facts, rules: Rules) -> _Candidate | None:
    """A lead who writes from a stage with `on_reply` is taken up again; to book a meeting is to answer, too."""
    stage = rules.stage(facts.stage)
    target = rules.stage(stage.on_reply) if stage else None
    if stage is None or target is None or target == stage:
        return None
    if facts.inbound:
        reason = f"the lead wrote again from {stage.name}"
    elif facts.meeting_changed and facts.has_standing_meeting and facts.meeting_reported in (None, *STANDING):
        reason = f"the lead booked a meeting from {stage.name}"
    else:
        return None
    return _Candidate(target, reason, "on_reply", any_direction=True)


def _booked(facts: Facts, rules: Rules) -> _Candidate | None:
    """A booked meeting takes the lead to the meeting stage, whatever the conversation stage says."""
    meeting_stage = rules.stage(rules.meeting_stage)
    if meeting_stage is None or not facts.has_standing_meeting:
        return None
    verb = "booked" if facts.meeting_status == "scheduled" else "moved to another time"
    reason = f"{_meeting(facts)} {verb}"
    ground = conclusions.ground_of_meeting(facts.meeting_id, facts.attributes.get("meeting_starts_at"))
    # One that was booked behind it is news as well.
    further = (conclusions.ground_of_meeting(*facts.meeting_booked),) if facts.meeting_booked else ()
    return _Candidate(meeting_stage, reason, "meeting", tuple(dict.fromkeys((ground, *further))))


def _is_back_from_meeting(facts: Facts, rules: Rules) -> bool:
    stage = rules.stage(facts.stage)
    return stage is not None and stage.key == rules.meeting_stage and facts.meeting_status == "cancelled"


def _without_meeting(facts: Facts, rules: Rules) -> _Candidate | None:
    """The stage the lead deserves when its meeting is taken away.

    What the conversation earns now if that stage is reachable from anywhere (disqualified, not interested); otherwise
    the furthest of that, of qualified if the criteria are met, and of where it stood before. When none of these is
    known: in qualification, since somebody who had a meeting is no new lead.
    """
    earned = _conversation(facts, rules)
    if not earned or not earned.target.reachable_from_anywhere:
        options = [earned, _qualified_in_any_stage(facts, rules), _before_meeting(facts, rules)]
        # The first of equals: what is known now says more than where the lead once stood.
        earned = max((option for option in options if option), key=lambda option: option.target.rank, default=None)
    if earned is None:
        undecided = rules.stage(rules.qualification.undecided_stage)
        # Nor into a stage that a reply leads out of: the lead would be sent to and fro with every message.
        places = [
            stage
            for stage in (undecided, *rules.stages[1:], *rules.stages)
            if stage and _is_open_place(stage, rules) and not stage.on_reply
        ]
        if not places:
            return None
        earned = _Candidate(places[0], "nothing else is known", "meeting")
    reason = f"{_meeting(facts)} cancelled; {earned.reason}"
    return _Candidate(earned.target, reason, "meeting", (f"cancelled:{facts.meeting_id or ''}",), any_direction=True)


def _qualified_in_any_stage(facts: Facts, rules: Rules) -> _Candidate | None:
    target = rules.stage(rules.qualification.qualified_stage)
    assessment = _assess(facts, rules)
    if target is None or not _is_open_place(target, rules) or assessment.outcome is not Outcome.QUALIFIED:
        return None
    return _Candidate(target, assessment.reason, assessment.rule)


def _before_meeting(facts: Facts, rules: Rules) -> _Candidate | None:
    before = rules.stage(facts.stage_before_meeting)
    if before and before.on_reply:
        # It was taken up from there to book; being not interested is over.
        before = rules.stage(before.on_reply)
    if before is None or not _is_open_place(before, rules):
        return None
    qualified = _assess(facts, rules).outcome is Outcome.QUALIFIED
    if qualified and before.key == rules.qualification.disqualified_stage:
        return None
    return _Candidate(before, f"it stood in {before.name} before", "meeting")


def _is_open_place(stage: StageRule, rules: Rules) -> bool:
    """Say whether a lead whose meeting was cancelled can be put there without a person or a rule asking for it."""
    return stage.key != rules.meeting_stage and not stage.keeps_its_leads


def _conversation(facts: Facts, rules: Rules) -> _Candidate | None:
    """What the first mapping that matches the conversation stage, and whose condition holds, calls for."""
    if not facts.conversation_stage:
        return None
    key = name_key(facts.conversation_stage)
    for mapping in rules.mappings:
        if holds(mapping, facts) and name_key(mapping.conversation_stage) == key:
            return _mapped(mapping, facts, rules)
    return None


def holds(mapping: MappingRule, facts: Facts) -> bool:
    """Say whether the condition of a mapping is fulfilled: talk of a meeting is none."""
    return mapping.only_if is OnlyIf.ALWAYS or facts.has_standing_meeting


def _mapped(mapping: MappingRule, facts: Facts, rules: Rules) -> _Candidate | None:
    candidate = None
    if mapping.action is MappingAction.QUALIFY:
        candidate = _qualification(facts, rules)
    elif mapping.action is MappingAction.MOVE and (target := rules.stage(mapping.move_to)):
        reason = f"conversation stage “{mapping.conversation_stage}” means {target.name}"
        ground = f"said:{name_key(mapping.conversation_stage)}"
        candidate = _Candidate(target, reason, f"mapping:{mapping.conversation_stage}", (ground,))
    if candidate and candidate.target.key == rules.meeting_stage and facts.meeting_status == "cancelled":
        # Or talk would put the lead back where the cancelled meeting takes it from, and so on for ever.
        return None
    return candidate


def _qualification(facts: Facts, rules: Rules) -> _Candidate | None:
    assessment = _assess(facts, rules)
    stages = {
        Outcome.QUALIFIED: rules.qualification.qualified_stage,
        Outcome.DISQUALIFIED: rules.qualification.disqualified_stage,
        Outcome.UNDECIDED: rules.qualification.undecided_stage,
    }
    target = rules.stage(stages[assessment.outcome])
    return _Candidate(target, assessment.reason, assessment.rule, _grounds(assessment)) if target else None


def _grounds(assessment: Assessment) -> tuple[str, ...]:
    if assessment.outcome is Outcome.DISQUALIFIED:
        return tuple(f"{conclusions.DISQUALIFIED}:{result.criterion.field}" for result in assessment.fatal)
    return (conclusions.QUALIFIED if assessment.outcome is Outcome.QUALIFIED else conclusions.UNDECIDED,)


def _assess(facts: Facts, rules: Rules) -> Assessment:
    flow = facts.attributes.get("chosen_flow")
    return assess(facts.attributes, rules.qualification, flow if isinstance(flow, str) else None)


def _is_unmapped(facts: Facts, rules: Rules) -> bool:
    key = name_key(facts.conversation_stage or "")
    return bool(key) and all(name_key(mapping.conversation_stage) != key for mapping in rules.mappings)


def _meeting(facts: Facts) -> str:
    return f"meeting {facts.meeting_id}" if facts.meeting_id else "a meeting"
