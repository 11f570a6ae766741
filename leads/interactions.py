"""One interaction in, one transaction, one decision out.

`record_all()` is the only way a conversation changes a lead. It applies the facts that are newer than what is known,
decides where the lead should stand, writes down what happened and why, and saves the lead; everybody else hears of it
from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import F, Model, OuterRef, Subquery

from leads import announcements, erasure, flows, handoff, history, meetings, messages, optout, turns
from leads.announcements import Saved
from leads.decisions import Decision, decide
from leads.explanation import begin_memory, facts_of
from leads.facts import Change, apply_facts, fill_in, merge_text
from leads.models import (
    Event,
    FurtherPhone,
    Lead,
    Objection,
    Pipeline,
    Stage,
    UnmappedConversationStage,
    UnmappedFlow,
)
from leads.names import name_key
from leads.phone import Phone
from leads.rulebook import Rulebook, rulebook
from leads.statements import JsonArray, Select, insert, insert_missing, update


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    STAFF = "staff"


@dataclass(frozen=True)
class Message:
    """One message of the conversation. `direction` says who wrote it: the lead, the agent or a person.

    What an intake knows besides: another id of it, who of ours wrote it, its kind (leads.models.Message.Kind) and
    attachments.
    """

    direction: Direction
    id: str = ""
    sent_at: datetime | None = None
    text: str = ""
    other_id: str = ""
    author: str = ""
    kind: str = "text"
    attachments: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Meeting:
    """A meeting as the agent's calendar has it; `status` is one of Lead.MeetingStatus.

    A part that is empty was not spoken of and stays as it was, unless `cleared` names it.
    """

    status: str
    id: str = ""
    starts_at: datetime | None = None
    link: str = ""
    cleared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Interaction:
    """What the agent reports. A key that is absent says nothing; a None clears.

    facts: attribute -> value, for the attributes the agent named (leads.models.ATTRIBUTES).
    custom: further facts by their own names; None clears all of them.
    context: any of "conversation_stage" (text or None), "objections" (list of texts or None), "meeting" (Meeting or
    None).
    known_as: by which a repetition is told, beside the message's id.
    """

    phone: Phone
    occurred_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] | None = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    message: Message | None = None
    # The card that the reporter's own tables know for this person, by Kommo's id.
    kommo_lead_id: int | None = None
    known_as: frozenset[str] = frozenset()
    # What could not be made anything of, by its place in the report, and why; the rest counts.
    unread: Mapping[str, str] = field(default_factory=dict)
    # Told afterwards (leads/history.py), and whether it may move a lead that nobody has placed.
    history: bool = False
    may_move: bool = True
    # The way in that heard it (its slug), where nobody reported it; and who did what it tells, if not the message says.
    via: str = ""
    actor: str = ""
    # Facts as a messenger shows them, such as the name of a profile: they count where nothing is known.
    hints: Mapping[str, Any] = field(default_factory=dict)
    # Its message was told before, by whatever road: it counts no more.
    is_told_before: bool = False

    @property
    def told_at(self) -> datetime:
        """When it was said, or concluded, at the earliest."""
        sent_at = self.message.sent_at if self.message else None
        return min(self.occurred_at, sent_at) if sent_at else self.occurred_at


@dataclass(frozen=True)
class Recorded:
    """What one interaction came to. `changes` says what of it was new."""

    lead: Lead
    created: bool
    decision: Decision
    interaction: Interaction
    previous: Stage | None
    changes: Change

    @property
    def ignored(self) -> list[dict[str, str]]:
        """What of the report was not taken up, by the names the report has for it, and why."""
        unread = [{"field": name, "reason": reason} for name, reason in self.interaction.unread.items()]
        return unread + [
            {"field": reported_as(attribute), "reason": reason} for attribute, reason in self.changes.ignored.items()
        ]


def reported_as(attribute: str) -> str:
    """Return where an attribute stands in a report."""
    if attribute in ("conversation_stage", "meeting"):
        return f"context.{attribute}"
    return "context.objections_raised" if attribute == "objections" else f"lead.{attribute}"


def record(interaction: Interaction, *, pipeline: Pipeline, now: datetime) -> Recorded:
    """Store one interaction and what follows from it; all of it or nothing. See `record_all`."""
    [recorded] = record_all([interaction], pipeline=pipeline, now=now)
    return recorded


@transaction.atomic(savepoint=False)
def record_all(interactions: Sequence[Interaction], *, pipeline: Pipeline, now: datetime) -> list[Recorded]:
    """Store interactions of one pipeline, each of another person, and what follows from them; all of it or nothing.

    The number of statements does not grow with the number of interactions, but for what each sets in motion: a move, an
    enrollment. `pipeline` was read in this request, so that its rules are the current ones. Concurrent first messages
    of one phone make one lead: the loser of the race finds the winner's row.

    Raises ForgottenError when one tells of a person who was erased, and nothing newer than that.
    """
    book = rulebook(pipeline)
    leads = _leads_of(interactions, pipeline, book, now)
    met = messages.meet([(one, leads[one.phone.key][0]) for one in interactions], now=now)
    recorded = [_take_in(one, *leads[one.phone.key], book, now) for one in met.interactions]
    _store(recorded, now)
    told_before = history.already_told(recorded)
    messages.keep_past([one for place, one in enumerate(recorded) if place not in told_before], now=now)
    insert([event for place, one in enumerate(recorded) if place not in told_before for event in _events(one, now)])
    for one in recorded:
        if one.decision.unmapped_conversation_stage:
            _collect_unmapped(UnmappedConversationStage, pipeline, one.lead.conversation_stage, now)
        if one.changes.unmapped_flow:
            _collect_unmapped(UnmappedFlow, pipeline, one.changes.unmapped_flow, now)
    for place, one in enumerate(recorded):
        if one.interaction.history and place not in told_before:
            _heed_a_farewell(one, now)
    # The past announces nothing to anybody.
    fresh = [one for one in recorded if not one.interaction.history]
    announcements.interactions_recorded.send(Lead, recorded=fresh, now=now)
    for one in fresh:
        _heed_a_colleague(one, now)
        if reason := one.decision.notify_staff:
            announcements.staff_wanted.send(Lead, lead=one.lead, reason=reason, now=now)
    for one in fresh:
        if one.decision.changed and not one.created:
            reason = one.decision.reason
            announcements.stage_changed.send(
                Lead, lead=one.lead, previous=one.previous, by=Lead.Actor.BRIDGE, reason=reason, now=now
            )
        if one.decision.changed:
            handoff.follow_stage(one.lead, previous=one.previous, by=Lead.Actor.BRIDGE, now=now)
        elif one.created:
            # Born into a stage that pauses the agent, if staff have put such a one first.
            handoff.follow_stage(one.lead, by=Lead.Actor.BRIDGE, now=now)
    messages.give_back(met.mistaken, {one.lead.pk: one.lead for one in recorded}, now=now)
    return recorded


def _take_in(interaction: Interaction, lead: Lead, created: bool, book: Rulebook, now: datetime) -> Recorded:
    begun = begin_memory(lead, book)
    changes = _apply(interaction, lead, book, now)
    decision = _decide(interaction, lead, book, changes, created=created)
    previous = lead.stage
    if decision.changed:
        _enter(lead, book, decision, changes, now)
    _remember(lead, decision, changes, begun=begun)
    return Recorded(lead, created, decision, interaction, previous, changes)


OBJECTIONS = Objection.objects.filter(lead_id=OuterRef("pk")).order_by().values("lead_id")
# By pipeline and phone, with the keys of their objections, locked until the transaction ends. In one order, so that two
# batches wait for each other instead of for ever.
LEADS = Select(
    lambda pipeline_id, phone_keys: (
        Lead.objects.select_for_update(no_key=True)
        .filter(pipeline_id=pipeline_id, phone_key__in=phone_keys)
        .annotate(objection_keys=Subquery(OBJECTIONS.annotate(keys=JsonArray("key")).values("keys")))
        .order_by("pk")
    )
)

FURTHER = Select(
    lambda pipeline_id, phone_keys: FurtherPhone.objects.filter(
        pipeline_id=pipeline_id, phone_key__in=phone_keys
    ).values_list("phone_key", "lead_id", "lead__phone_key")
)


def _leads_of(
    interactions: Sequence[Interaction], pipeline: Pipeline, book: Rulebook, now: datetime
) -> dict[str, tuple[Lead, bool]]:
    """Return each person's lead by the key of the phone, and whether it is new: stored, and not yet announced."""
    phones = {one.phone.key: one.phone for one in interactions}
    found = _locked(pipeline, book, list(phones))
    missing = [phone for key, phone in phones.items() if key not in found]
    new = {phone.key: _new_lead(phone, pipeline, book, now) for phone in missing}
    if new:
        # Once the others are locked: an erasure that was under way is over now, and known.
        erasure.meet(list(new.values()))
        optout.meet(list(new.values()), now=now)
    erasure.check_reports(interactions, found | new)
    if not new:
        return {key: (lead, False) for key, lead in found.items()}
    if insert(list(new.values()), ignore_conflicts=True) < len(new):
        # Somebody else stored one of them at this moment: theirs stands.
        theirs = _locked(pipeline, book, list(new))
        found |= {key: lead for key, lead in theirs.items() if lead.pk != new[key].pk}
    return {key: (found[key], False) if key in found else (new[key], True) for key in phones}


def _locked(pipeline: Pipeline, book: Rulebook, phone_keys: list[str]) -> dict[str, Lead]:
    found = {str(lead.phone_key): lead for lead in LEADS.all(pipeline_id=pipeline.pk, phone_keys=phone_keys)}
    if missing := [key for key in phone_keys if key not in found]:
        found |= _by_further_number(pipeline, missing, found)
    for lead in found.values():
        lead.pipeline = pipeline
        # Attached, not joined: the row lock must not reach the stages, and they are already in memory.
        lead.stage = book.stages_by_id.get(lead.stage_id) if lead.stage_id else None
    return found


def _by_further_number(pipeline: Pipeline, keys: list[str], found: Mapping[str, Lead]) -> dict[str, Lead]:
    """Return the leads whose further number is asked for, one object for all numbers of a person."""
    owned = FURTHER.all(pipeline_id=pipeline.pk, phone_keys=keys)
    if not owned:
        return {}
    known = {lead.pk: lead for lead in found.values()}
    first = [phone_key for _, _, phone_key in owned if phone_key and phone_key not in found]
    known |= {lead.pk: lead for lead in LEADS.all(pipeline_id=pipeline.pk, phone_keys=first)} if first else {}
    return {key: known[lead_id] for key, lead_id, _ in owned if lead_id in known}


def _new_lead(phone: Phone, pipeline: Pipeline, book: Rulebook, now: datetime) -> Lead:
    return Lead(
        pipeline=pipeline,
        phone=phone.e164,
        phone_key=phone.key,
        stage=book.first_stage,
        stage_set_at=now,
        created_at=now,
        updated_at=now,
    )


def _apply(interaction: Interaction, lead: Lead, book: Rulebook, now: datetime) -> Change:
    changes, facts = Change(), dict(interaction.facts)
    if said := facts.get("chosen_flow"):
        facts["chosen_flow"] = flows.settled(lead, said, book.flows, changes)
        if facts["chosen_flow"] is None:
            del facts["chosen_flow"]
    apply_facts(
        lead, facts, interaction.custom, at=interaction.occurred_at, history=interaction.history, changes=changes
    )
    fill_in(lead, interaction.hints, changes)
    if (jid := interaction.phone.jid) and jid != lead.whatsapp_id:
        lead.whatsapp_id = jid
        changes.columns.add("whatsapp_id")
    context = interaction.context
    if "conversation_stage" in context:
        merge_text(lead, "conversation_stage", context["conversation_stage"] or "", changes, at=interaction.occurred_at)
    if "meeting" in context:
        meetings.merge(lead, context["meeting"], changes, at=interaction.occurred_at, now=now)
    else:
        meetings.pass_by(lead, changes, now)
    if "objections" in context:
        _merge_objections(lead, context["objections"], changes, at=interaction.occurred_at)
    if interaction.message:
        _note_message(lead, interaction, changes, now)
    return changes


def _merge_objections(lead: Lead, names: list[str] | None, changes: Change, *, at: datetime) -> None:
    """Add what was raised; None takes back what was raised until then.

    They accumulate, so one that is reported late is added all the same, unless all were taken back after it.
    """
    cleared_at = lead.provenance.get("objections", {}).get("cleared_at")
    if cleared_at and datetime.fromisoformat(cleared_at) > at:
        changes.stale.add("objections")
        changes.ignored["objections"] = f"older than when all objections were taken back, which was {cleared_at}"
        return
    if names is None:
        removed, _ = lead.objections.filter(raised_at__lte=at).delete()
        changes.note(lead, "objections", None, at, changed=bool(removed))
        lead.provenance["objections"]["cleared_at"] = at.isoformat()
        return
    # Read before the lock was waited for: meanwhile others may have been stored, and all taken back. What is stored
    # already is not new; what was known is looked at again where any were ever taken back.
    known = () if cleared_at else getattr(lead, "objection_keys", None) or ()
    by_key = {name_key(name): name.strip() for name in names}
    unknown = [
        Objection(lead_id=lead.pk, name=name, key=key, raised_at=at) for key, name in by_key.items() if key not in known
    ]
    stored = insert_missing(unknown, returning="key")
    added = [objection.name for objection in unknown if objection.key in stored]
    changes.note(lead, "objections", added, at, changed=bool(added))
    if cleared_at:
        lead.provenance["objections"]["cleared_at"] = cleared_at


MESSAGE_COLUMN = {
    Direction.INBOUND: "last_inbound_at",
    Direction.OUTBOUND: "last_outbound_at",
    Direction.STAFF: "last_staff_at",
}


def _note_message(lead: Lead, interaction: Interaction, changes: Change, now: datetime) -> None:
    message = interaction.message
    assert message is not None
    # Nobody has written in the future: a clock is ahead.
    at = min(message.sent_at or interaction.occurred_at, now)
    if not interaction.history:
        at = _in_turn(lead, message.direction, at)
    column = MESSAGE_COLUMN[message.direction]
    last = getattr(lead, column)
    if last is None or at > last:
        setattr(lead, column, at)
        changes.columns.add(column)


def _in_turn(lead: Lead, direction: Direction, at: datetime) -> datetime:
    if direction is Direction.INBOUND:
        return turns.of_the_lead(at, ours=lead.last_outbound_at)
    return turns.of_ours(at, theirs=lead.last_inbound_at)


def _decide(interaction: Interaction, lead: Lead, book: Rulebook, changes: Change, *, created: bool) -> Decision:
    message = interaction.message
    # Who asks for no more messages has not come back to the conversation.
    inbound = message is not None and message.direction is Direction.INBOUND and not is_farewell(message, lead)
    facts = facts_of(
        lead,
        book,
        inbound=inbound,
        changes=changes,
        new_lead=created,
        occurred_at=interaction.occurred_at,
    )
    decision = decide(facts, book.rules)
    return history.settle(decision, lead, interaction, book) if interaction.history else decision


def _remember(lead: Lead, decision: Decision, changes: Change, *, begun: bool) -> None:
    """Keep what the conversation has concluded; where a rule moved the lead, nobody else has."""
    known_when_moved = [] if decision.changed else sorted(decision.concluded_when_moved)
    if begun or lead.concluded != list(decision.concluded):
        lead.concluded = list(decision.concluded)
        changes.columns.add("concluded")
    if begun or sorted(lead.concluded_when_moved or ()) != known_when_moved:
        lead.concluded_when_moved = known_when_moved
        changes.columns.add("concluded_when_moved")


def is_farewell(message: Message, lead: Lead) -> bool:
    """Say whether a message of the lead asks for no more messages, by the words of the pipeline."""
    return message.direction is Direction.INBOUND and optout.asks_to_stop(message.text, lead.pipeline)


def _heed_a_farewell(one: Recorded, now: datetime) -> None:
    message = one.interaction.message
    if message and is_farewell(message, one.lead):
        reason = f"the lead wrote “{message.text.strip()[:40]}”"
        optout.opt_out(one.lead, by=Lead.Actor.LEAD, reason=reason, now=now)


def _heed_a_colleague(one: Recorded, now: datetime) -> None:
    """Let the agent fall silent where a person wrote, as it does when they reply in Kommo's chat."""
    lead, message = one.lead, one.interaction.message
    if message is None or message.direction is not Direction.STAFF or not lead.pipeline.chat_reply_pauses:
        return
    wrote_at = min(message.sent_at or one.interaction.occurred_at, now)
    if lead.resumed_at is not None and lead.resumed_at >= wrote_at:
        return
    reason = "a person wrote to the lead"
    handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason=reason, now=wrote_at)


def _enter(lead: Lead, book: Rulebook, decision: Decision, changes: Change, now: datetime) -> None:
    assert decision.stage is not None
    target = book.stages_by_key[decision.stage]
    if target.key == book.rules.meeting_stage:
        lead.stage_before_meeting = lead.stage
    lead.stage, lead.other_stage_name = target, ""
    lead.stage_set_by, lead.stage_set_at = Lead.Actor.BRIDGE, now
    lead.decision_reason = decision.reason[:500]
    changes.columns |= {
        "stage",
        "other_stage_name",
        "stage_set_by",
        "stage_set_at",
        "stage_before_meeting",
        "decision_reason",
    }


def _store(recorded: Sequence[Recorded], now: datetime) -> None:
    """Save each lead once, with the columns that changed, and announce them: the outbox listens, and judges by them."""
    saved: list[Saved] = []
    by_columns: dict[frozenset[str], list[Lead]] = {}
    for one in recorded:
        columns = frozenset(one.changes.columns)
        if columns or one.created:
            one.lead.updated_at = now
            by_columns.setdefault(columns | {"updated_at"}, []).append(one.lead)
            said = {"objections"} if "objections" in one.changes.told else set()
            saved.append(Saved(one.lead, one.created, columns | said))
    for columns, leads in by_columns.items():
        update(leads, columns)
    if saved:
        announcements.leads_saved.send(Lead, saved=saved, now=now)


AUTHORS = {Direction.INBOUND: Lead.Actor.LEAD, Direction.STAFF: Lead.Actor.STAFF}


def _events(one: Recorded, now: datetime) -> list[Event]:
    interaction, lead, previous, decision, changes = one.interaction, one.lead, one.previous, one.decision, one.changes
    message = interaction.message
    actor = AUTHORS.get(message.direction, Lead.Actor.AGENT) if message else interaction.actor or Lead.Actor.AGENT
    data: dict[str, Any] = {"changed": changes.told}
    if one.ignored:
        data["ignored"] = one.ignored
    if changes.unmapped_flow:
        data["unmapped_flow"] = changes.unmapped_flow
    if message:
        data["message"] = {"id": message.id, "direction": message.direction, "text": message.text}
    if message and message.kind != "text":
        data["message"]["kind"] = message.kind
    if interaction.via:
        data["channel"] = interaction.via
    # A message stands where it was written; what was concluded with it, when that was.
    at = message.sent_at if message and message.sent_at else interaction.occurred_at
    events = []
    if not (interaction.is_told_before or interaction.via) or message or changes.told or one.ignored:
        events.append(Event(lead_id=lead.pk, at=at, kind=Event.Kind.INTERACTION, actor=actor, data=data))
    if decision.changed:
        data = {
            "rule": decision.rule,
            "from": previous.key if previous else "other",
            "to": decision.stage,
            "from_name": previous.name if previous else "",
            "to_name": lead.stage.name if lead.stage else "",
        }
        events.append(_event(lead, now, Event.Kind.DECISION, decision.reason, data))
    if decision.suppressed and changes.columns:
        data = {"would_be": decision.suppressed.stage, "rule": decision.suppressed.rule}
        events.append(_event(lead, now, Event.Kind.MOVE_SUPPRESSED, decision.suppressed.reason, data))
    if changes.gone_by:
        events.append(meetings.gone_by(lead, changes, now))
    if decision.notify_staff:
        events.append(_event(lead, now, Event.Kind.STAFF_TOLD, decision.notify_staff, {}))
    return events


def _event(lead: Lead, now: datetime, kind: Event.Kind, reason: str, data: dict[str, Any]) -> Event:
    return Event(lead_id=lead.pk, at=now, kind=kind, actor=Lead.Actor.BRIDGE, reason=reason[:500], data=data)


def _collect_unmapped(words: type[Model], pipeline: Pipeline, text: str, now: datetime) -> None:
    """Keep the word for staff to give it a meaning; until then it moves nothing and no card shows it."""
    rows, key = words._default_manager, name_key(text)
    if not rows.filter(pipeline=pipeline, key=key).update(times_seen=F("times_seen") + 1, last_seen_at=now):
        rows.bulk_create(
            [words(pipeline=pipeline, key=key, text=text, first_seen_at=now, last_seen_at=now)],
            ignore_conflicts=True,
        )
