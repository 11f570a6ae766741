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
from common.reasons import Reason, several
from leads import conclusions
from leads.conclusions import conclusion
from leads.qualification import Assessment, Outcome, assess
from leads.rules import MappingAction, MappingRule, OnlyIf, Rules, StageKind, StageRule

STANDING = ("scheduled", "rescheduled")
# Booked, and its time is over: it holds nothing any more, and takes nothing back.
GONE_BY = "gone_by"
MEETING_IS = {
    "scheduled": "meeting_is_scheduled",
    "rescheduled": "meeting_is_rescheduled",
    "cancelled": "meeting_is_cancelled",
    "completed": "meeting_is_completed",
    "no_show": "meeting_is_no_show",
    GONE_BY: "meeting_is_gone_by",
}


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
            self.suppressed = self.suppressed or Suppressed(target.key, rule, Reason("but", why=reason, but=refusal))
        elif refusal := self._direction_refusal(candidate):
            self._stay_ahead(candidate, refusal)
        else:
            self.standing = target
            self.taken.append(candidate)

    def _lock(self) -> str | None:
        """Return why nothing at all may move the lead from where it stands; None when something may."""
        stage = self.standing
        if stage is None:
            return Reason("card_in_stage_of_their_own")
        if self.facts.handoff:
            return Reason("person_has_taken_over")
        return Reason("automatic_moves_do_not_leave", a=stage.name) if stage.keeps_its_leads else None

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
                    Reason("person_moved_card_after_that", a=start.name)
                    if is_person
                    else Reason("card_stood_in_kommo_after_that", a=start.name)
                )
            if not self._is_news_to_mover(candidate):
                return Reason(
                    "person_moved_card_nothing_new" if is_person else "another_program_moved_card_nothing_new",
                    a=start.name,
                )
        is_taken_up = any(step.rule == "on_reply" for step in (*self.taken, candidate))
        if is_person and candidate.target.rank <= start.rank and not is_taken_up:
            return Reason("nothing_moves_card_back_over_person", a=start.name)
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
            return Reason("meeting_still_booked") if self._meeting_holds(target) else None
        return (
            None if target.rank > stage.rank else Reason("automatic_moves_do_not_go_back", a=stage.name, b=target.name)
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
            further = several([candidate.reason, Reason("further_along", a=stage.name)])
            self.confirmed = self.confirmed or (further, candidate.rule)
            return
        reason = Reason("but", why=candidate.reason, but=refusal)
        against_order = "" if self._meeting_holds(target) else candidate.reason
        self.suppressed = self.suppressed or Suppressed(target.key, candidate.rule, reason, against_order)

    def decision(self) -> Decision:
        changed = self.standing != self.start
        if changed:
            reason, rule = several(step.reason for step in self.taken), self.taken[-1].rule
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
            return Reason("first_message"), "new lead"
        if self.facts.conversation_stage:
            name = f"“{self.facts.conversation_stage}”"
            if _is_unmapped(self.facts, self.rules):
                return Reason("conversation_stage_not_mapped", a=name), "conversation stage"
            return Reason("conversation_stage_moves_nothing", a=name), "conversation stage"
        return Reason("nothing_calls_for_a_move"), "none"

    def _notice(self, changed: bool) -> str | None:
        """Return what staff should be told, where they work: of a lead that no rule will take any further."""
        facts, stage = self.facts, self.start
        reported = facts.meeting_reported or facts.meeting_status
        books = facts.meeting_changed and facts.has_standing_meeting and reported in STANDING
        if facts.meeting_changed and reported == "no_show":
            return Reason("lead_did_not_come")
        if stage is None:
            return None
        if facts.handoff:
            return Reason("wrote_while_person_has_taken_over") if facts.inbound else None
        if changed and self.taken[0].rule == "on_reply":
            return Reason("wrote_again_and_taken_up" if facts.inbound else "booked_and_taken_up", a=stage.name)
        waits = stage.on_reply or stage.kind is not StageKind.OPEN or stage.is_only_silent
        if not (facts.inbound or books):
            return None
        if not (waits or stage.key == self.rules.qualification.disqualified_stage):
            return None
        came = Reason("lead_booked" if books else "lead_wrote_from", a=stage.name)
        if changed and self.standing:
            return several([came, Reason("card_moved_to", a=self.standing.name)])
        return several([came, Reason("card_stays_there")])


def _reply(facts: Facts, rules: Rules) -> _Candidate | None:
    """A lead who writes from a stage with `on_reply` is taken up again; to book a meeting is to answer, too."""
    stage = rules.stage(facts.stage)
    target = rules.stage(stage.on_reply) if stage else None
    if stage is None or target is None or target == stage:
        return None
    if facts.inbound:
        reason = Reason("wrote_again", a=stage.name)
    elif facts.meeting_changed and facts.has_standing_meeting and facts.meeting_reported in (None, *STANDING):
        reason = Reason("lead_booked", a=stage.name)
    else:
        return None
    return _Candidate(target, reason, "on_reply", any_direction=True)


def _booked(facts: Facts, rules: Rules) -> _Candidate | None:
    """A booked meeting takes the lead to the meeting stage, whatever the conversation stage says."""
    meeting_stage = rules.stage(rules.meeting_stage)
    if meeting_stage is None or not facts.has_standing_meeting:
        return None
    is_new = facts.meeting_status == "scheduled"
    if facts.meeting_id:
        reason = Reason("meeting_booked" if is_new else "meeting_moved", a=facts.meeting_id)
    else:
        reason = Reason("some_meeting_booked" if is_new else "some_meeting_moved")
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
        earned = _Candidate(places[0], Reason("nothing_else_known"), "meeting")
    meeting = facts.meeting_id
    cancelled = Reason("meeting_cancelled", a=meeting) if meeting else Reason("some_meeting_cancelled")
    reason = several([cancelled, earned.reason])
    return _Candidate(earned.target, reason, "meeting", (f"cancelled:{meeting or ''}",), any_direction=True)


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
    return _Candidate(before, Reason("stood_there_before", a=before.name), "meeting")


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
        reason = Reason("conversation_stage_means", a=f"“{mapping.conversation_stage}”", b=target.name)
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


def meeting_is(status: str) -> Reason:
    """Return what has become of a meeting."""
    return Reason(MEETING_IS[status])
