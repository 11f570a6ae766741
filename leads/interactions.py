"""One interaction in, one transaction, one decision out.

`record_all()` is the only way a conversation changes a lead. It applies the facts that are newer than what is known,
decides where the lead should stand, writes down what happened and why, and saves the lead; everybody else hears of it
from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, Model

from common.name_spellings import name_key
from common.statements import insert, update
from leads import announcements, flows, handoff, meetings, past_conversations, pauses_by_mistake, same_message
from leads.announcements import Saved
from leads.decisions import Decision, decide
from leads.explanation import begin_memory, facts_of
from leads.falling_silent import heed_a_bot, heed_a_colleague, heed_a_farewell, is_farewell
from leads.interaction_events import events
from leads.interaction_values import Direction, Interaction, Recorded
from leads.models import Lead, Pipeline, UnmappedConversationStage, UnmappedFlow
from leads.objections import merge_objections
from leads.rulebook import Rulebook, rulebook
from leads.staff_wanted import wants_staff
from leads.which_fact_stands import Change, apply_facts, fill_in, merge_text
from leads.who_wrote_last import note_message
from leads.whose_interaction import leads_of, remember_addresses


def record(interaction: Interaction, *, pipeline: Pipeline, now: datetime) -> Recorded:
    """Store one interaction and what follows from it; all of it or nothing. See `record_all`."""
    [recorded] = record_all([interaction], pipeline=pipeline, now=now)
    return recorded


@transaction.atomic(savepoint=False)
def record_all(interactions: Sequence[Interaction], *, pipeline: Pipeline, now: datetime) -> list[Recorded]:
    """Store interactions of one pipeline, each of another person, and what follows from them; all of it or nothing.

    The number of statements does not grow with the number of interactions, but for what each sets in motion: a move, an
    enrollment. `pipeline` was read in this request, so that its rules are the current ones. Concurrent first messages
    of one person make one lead: the loser of the race finds the winner's row.

    Raises ForgottenError when one tells of a person who was erased, and nothing newer than that.
    """
    book = rulebook(pipeline)
    leads = leads_of(interactions, pipeline, book, now)
    met = same_message.meet(
        [(interaction, found.lead) for interaction, found in zip(interactions, leads, strict=True)], now=now
    )
    recorded = [
        _take_in(interaction, found.lead, found.created, book, now)
        for interaction, found in zip(met.interactions, leads, strict=True)
    ]
    seen = remember_addresses(recorded, leads, now)
    _store(recorded, now)
    told_before = past_conversations.already_told(recorded)
    same_message.keep_past([result for place, result in enumerate(recorded) if place not in told_before], now=now)
    new_events = [
        event for place, result in enumerate(recorded) if place not in told_before for event in events(result, now)
    ]
    insert([*new_events, *seen])
    for result in recorded:
        if result.decision.unmapped_conversation_stage:
            _collect_unmapped(UnmappedConversationStage, pipeline, result.lead.conversation_stage, now)
        if result.changes.unmapped_flow:
            _collect_unmapped(UnmappedFlow, pipeline, result.changes.unmapped_flow, now)
    for place, result in enumerate(recorded):
        if result.interaction.history and place not in told_before:
            heed_a_farewell(result, now)
    # The past announces nothing to anybody.
    fresh = [result for result in recorded if not result.interaction.history]
    announcements.interactions_recorded.send(Lead, recorded=fresh, now=now)
    for result in fresh:
        heed_a_colleague(result, now)
        heed_a_bot(result, now)
        if reason := wants_staff(result):
            announcements.staff_wanted.send(Lead, lead=result.lead, reason=reason, now=now)
    for result in fresh:
        if result.decision.changed and not result.created:
            reason = result.decision.reason
            announcements.stage_changed.send(
                Lead, lead=result.lead, previous=result.previous, by=Lead.Actor.BRIDGE, reason=reason, now=now
            )
        if result.decision.changed:
            handoff.follow_stage(result.lead, previous=result.previous, by=Lead.Actor.BRIDGE, now=now)
        elif result.created:
            # Born into a stage that pauses the agent, if staff have put such a one first.
            handoff.follow_stage(result.lead, by=Lead.Actor.BRIDGE, now=now)
    pauses_by_mistake.take_back(met.mistaken, {result.lead.pk: result.lead for result in recorded}, now=now)
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


def _apply(interaction: Interaction, lead: Lead, book: Rulebook, now: datetime) -> Change:
    changes, facts = Change(), dict(interaction.facts)
    if flow := facts.get("chosen_flow"):
        facts["chosen_flow"] = flows.settled(lead, flow, book.flows, changes)
        if facts["chosen_flow"] is None:
            del facts["chosen_flow"]
    apply_facts(
        lead, facts, interaction.custom, at=interaction.occurred_at, history=interaction.history, changes=changes
    )
    fill_in(lead, interaction.hints, changes)
    if (jid := interaction.jid) and jid != lead.whatsapp_id:
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
        merge_objections(lead, context["objections"], changes, at=interaction.occurred_at)
    if interaction.message:
        note_message(lead, interaction, changes, now)
    return changes


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
    return past_conversations.settle(decision, lead, interaction, book) if interaction.history else decision


def _remember(lead: Lead, decision: Decision, changes: Change, *, begun: bool) -> None:
    """Keep what the conversation has concluded; where a rule moved the lead, nobody else has."""
    known_when_moved = [] if decision.changed else sorted(decision.concluded_when_moved)
    if begun or lead.concluded != list(decision.concluded):
        lead.concluded = list(decision.concluded)
        changes.columns.add("concluded")
    if begun or sorted(lead.concluded_when_moved or ()) != known_when_moved:
        lead.concluded_when_moved = known_when_moved
        changes.columns.add("concluded_when_moved")


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
    for result in recorded:
        columns = frozenset(result.changes.columns)
        if columns or result.created:
            result.lead.updated_at = now
            by_columns.setdefault(columns | {"updated_at"}, []).append(result.lead)
            touched = {"objections"} if "objections" in result.changes.timeline else set()
            saved.append(Saved(result.lead, result.created, columns | touched))
    for columns, leads in by_columns.items():
        update(leads, columns)
    if saved:
        announcements.leads_saved.send(Lead, saved=saved, now=now)


def _collect_unmapped(words: type[Model], pipeline: Pipeline, text: str, now: datetime) -> None:
    """Keep the word for staff to give it a meaning; until then it moves nothing and no card shows it."""
    rows, key = words._default_manager, name_key(text)
    if not rows.filter(pipeline=pipeline, key=key).update(times_seen=F("times_seen") + 1, last_seen_at=now):
        rows.bulk_create(
            [words(pipeline=pipeline, key=key, text=text, first_seen_at=now, last_seen_at=now)],
            ignore_conflicts=True,
        )
