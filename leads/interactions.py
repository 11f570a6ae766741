"""One interaction in, one transaction, one decision out.

`record_all()` is the only way a conversation changes a lead. It applies the facts that are newer than what is known,
decides where the lead should stand, writes down what happened and why, and saves the lead; everybody else hears of it
from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Model, OuterRef, QuerySet, Subquery

from common.name_spellings import name_key
from common.statements import JsonArray, Select, insert, insert_missing, update
from leads import (
    address_owners,
    announcements,
    bot_loops,
    erasure,
    farewells,
    flows,
    handoff,
    joining,
    meetings,
    optout,
    past_conversations,
    same_message,
    turns,
)
from leads.addresses import Address
from leads.announcements import Saved
from leads.decisions import Decision, decide
from leads.explanation import begin_memory, facts_of
from leads.interaction_values import Direction, Interaction, Message, Recorded
from leads.models import (
    Event,
    FurtherAddress,
    Lead,
    Objection,
    Pipeline,
    UnmappedConversationStage,
    UnmappedFlow,
)
from leads.rulebook import Rulebook, rulebook
from leads.which_fact_stands import Answered, Change, apply_facts, fill_in, merge_text


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
    leads = _leads_of(interactions, pipeline, book, now)
    met = same_message.meet([(one, found.lead) for one, found in zip(interactions, leads, strict=True)], now=now)
    recorded = [
        _take_in(one, found.lead, found.created, book, now) for one, found in zip(met.interactions, leads, strict=True)
    ]
    seen = _remember_addresses(recorded, leads, now)
    _store(recorded, now)
    told_before = past_conversations.already_told(recorded)
    same_message.keep_past([one for place, one in enumerate(recorded) if place not in told_before], now=now)
    told = [event for place, one in enumerate(recorded) if place not in told_before for event in _events(one, now)]
    insert([*told, *seen])
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
        _heed_a_bot(one, now)
        if reason := _wants_staff(one):
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
    same_message.give_back(met.mistaken, {one.lead.pk: one.lead for one in recorded}, now=now)
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
FURTHER_KEYS = FurtherAddress.objects.filter(lead_id=OuterRef("pk")).order_by().values("lead_id")


def _in_full(leads: QuerySet[Lead]) -> QuerySet[Lead]:
    """Return leads with the keys of their objections and addresses, locked until the transaction ends.

    In one order, so that two batches wait for each other instead of for ever.
    """
    read = leads.select_for_update(no_key=True).annotate(
        objection_keys=Subquery(OBJECTIONS.annotate(keys=JsonArray("key")).values("keys")),
        read_keys=Subquery(FURTHER_KEYS.annotate(keys=JsonArray("key")).values("keys")),
    )
    return read.order_by("pk")


LEADS = Select(
    lambda pipeline_id, keys: _in_full(Lead.objects.filter(pipeline_id=pipeline_id, phone_key__in=keys)),
)
BY_ID = Select(lambda ids: _in_full(Lead.objects.filter(pk__in=ids)))
FURTHER = Select(
    lambda pipeline_id, keys: FurtherAddress.objects.filter(pipeline_id=pipeline_id, key__in=keys).values_list(
        "key", "lead_id"
    )
)


@dataclass(frozen=True)
class Found:
    """The lead an interaction is about, whether it is new, and other leads of the pipeline that its addresses name."""

    lead: Lead
    created: bool
    others: tuple[Lead, ...] = ()


def _leads_of(interactions: Sequence[Interaction], pipeline: Pipeline, book: Rulebook, now: datetime) -> list[Found]:
    """Return each person's lead, in order; those that are new are stored, and not yet announced."""
    # A phone alone is found at once, mostly. For all else it takes two looks.
    further = {key for one in interactions if len(one.keys) > 1 or one.phone is None for key in one.keys}
    address_owners.hold(pipeline.pk, further)
    owners = _locked(pipeline, book, [key for one in interactions for key in one.keys], further)
    found = [list(dict.fromkeys(lead for key in one.keys for lead in owners.get(key, ()))) for one in interactions]
    found = _one_lead_a_person(found, interactions, now)
    new = {
        place: _new_lead(one, pipeline, book, now)
        for place, (one, leads) in enumerate(zip(interactions, found, strict=True))
        if not leads
    }
    if new:
        # Once the others are locked: an erasure that was under way is over now, and known.
        erasure.meet(list(new.values()))
        optout.meet(list(new.values()), now=now)
    leads = [theirs[0] if theirs else new[place] for place, theirs in enumerate(found)]
    erasure.check_reports(zip(interactions, leads, strict=True))
    if new and insert(list(new.values()), ignore_conflicts=True) < len(new):
        # Somebody else stored one of them at this moment: theirs stands.
        theirs_by_key = _locked(pipeline, book, [str(lead.phone_key) for lead in new.values()], set())
        for place, lead in list(new.items()):
            stands = theirs_by_key[str(lead.phone_key)][0]
            if stands.pk != lead.pk:
                leads[place] = stands
                del new[place]
    return [Found(lead, place in new, tuple(found[place][1:])) for place, lead in enumerate(leads)]


def _one_lead_a_person(
    found: Sequence[list[Lead]], interactions: Sequence[Interaction], now: datetime
) -> list[list[Lead]]:
    """Join the leads that one report calls one person; what is left of them stands in the place of each."""
    stands: dict[UUID, Lead] = {}
    for leads, interaction in zip(found, interactions, strict=True):
        theirs = list(dict.fromkeys(stands.get(lead.pk, lead) for lead in leads))
        if len(theirs) > 1:
            left = joining.bring_together(theirs, interaction.keys, now=now)
            oldest = min(left, key=lambda lead: lead.created_at)
            stands |= {lead.pk: oldest for lead in theirs if lead not in left}
    return [list(dict.fromkeys(stands.get(lead.pk, lead) for lead in leads)) for leads in found]


def _locked(pipeline: Pipeline, book: Rulebook, keys: list[str], further: set[str]) -> dict[str, list[Lead]]:
    """Return the leads these addresses are known to be of, by key; one object for all addresses of a person.

    Mostly an address has one owner. Those in `further` are looked for in both places where addresses stand.
    """
    keys = list(dict.fromkeys(keys))
    found = {str(lead.phone_key): [lead] for lead in LEADS.all(pipeline_id=pipeline.pk, keys=keys)}
    if wanted := [key for key in keys if key not in found or key in further]:
        address_owners.hold(pipeline.pk, set(wanted) - further)
        for key, lead in _by_further_address(pipeline, wanted, found):
            found.setdefault(key, []).append(lead)
    for lead in (lead for leads in found.values() for lead in leads):
        lead.pipeline = pipeline
        # Attached, not joined: the row lock must not reach the stages, and they are already in memory.
        lead.stage = book.stages_by_id.get(lead.stage_id) if lead.stage_id else None
    return found


def _by_further_address(pipeline: Pipeline, keys: list[str], found: Mapping[str, list[Lead]]) -> list[tuple[str, Lead]]:
    owned = FURTHER.all(pipeline_id=pipeline.pk, keys=keys)
    stored = {key for key, _ in owned} | found.keys()
    elsewhere = address_owners.known_elsewhere([key for key in keys if key not in stored])
    if elsewhere:
        ours = Lead.objects.filter(pipeline=pipeline, pk__in=[pk for _, pk in elsewhere])
        here = set(ours.values_list("pk", flat=True))
        owned = [*owned, *((key, pk) for key, pk in elsewhere if pk in here)]
    if not owned:
        return []
    known: dict[UUID, Lead] = {lead.pk: lead for leads in found.values() for lead in leads}
    others = list(dict.fromkeys(lead_id for _, lead_id in owned if lead_id not in known))
    known |= {lead.pk: lead for lead in BY_ID.all(ids=others)} if others else {}
    return [(key, known[lead_id]) for key, lead_id in owned if lead_id in known]


def _new_lead(interaction: Interaction, pipeline: Pipeline, book: Rulebook, now: datetime) -> Lead:
    first = interaction.all_addresses[0]
    lead = Lead(
        pipeline=pipeline,
        phone=first.phone.e164 if first.phone else None,
        phone_key=first.key,
        stage=book.first_stage,
        stage_set_at=now,
        created_at=now,
        updated_at=now,
    )
    lead.__dict__["read_keys"] = list(interaction.keys[1:])
    return lead


def _remember_addresses(recorded: Sequence[Recorded], found: Sequence[Found], now: datetime) -> list[Event]:
    """Store what is new of people's addresses; return what to tell of it on their timelines.

    An address that is somebody else's stays theirs.
    """
    rows: dict[str, FurtherAddress] = {}
    for one, of in zip(recorded, found, strict=True):
        lead, interaction = one.lead, one.interaction
        known = {interaction.keys[0]} if one.created else set(lead.address_keys)
        known |= {key for other in of.others for key in other.address_keys}
        for address in interaction.all_addresses:
            if address.key in known:
                continue
            if address.phone and lead.phone is None and address_owners.call_by(lead, address.phone, now):
                one.changes.columns.add("phone")
            rows[address.key] = address_owners.row(
                lead, address.key, _value(address), seen_in=interaction.via or "report", at=now
            )
    if not rows:
        return []
    stored = insert_missing(list(rows.values()), returning="key")
    by_id = {one.lead.pk: one for one in recorded}
    events = []
    for key in (key for key in rows if key in stored):
        one = by_id[rows[key].lead_id]
        one.lead.__dict__["read_keys"] = [*(known for known in one.lead.further_keys if known != key), key]
        if not one.created:
            data = {"address": key, "channel": rows[key].seen_in}
            events.append(_event(one.lead, now, Event.Kind.ADDRESS, "a new address of this person", data))
    changed = optout.meet([by_id[pk].lead for pk in {row.lead_id for row in rows.values()}], now=now, further=True)
    for pk in changed:
        # A wish is the person's, by whichever of their addresses it was told.
        by_id[pk].changes.columns.add("opted_out_at")
    return events


def _value(address: Address) -> str:
    return address.phone.e164 if address.phone else address.value


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
    column = MESSAGE_COLUMN.get(message.direction)
    if column is None:
        return
    if not interaction.history:
        at = _in_turn(lead, message.direction, at)
        _note_turn(lead, message.direction, at, changes)
    last = getattr(lead, column)
    if last is None or at > last:
        if message.direction is not Direction.INBOUND:
            changes.answered = _answered(lead, message, at)
        setattr(lead, column, at)
        changes.columns.add(column)
        if message.direction is Direction.INBOUND:
            _note_where(lead, interaction.written_from.key, changes)


def _answered(lead: Lead, message: Message, at: datetime) -> Answered | None:
    """Return whose wait a message of ours ends; None for nobody's. `lead` is as it was before."""
    is_first = lead.last_inbound_at is not None and lead.last_outbound_at is None and lead.last_staff_at is None
    since = lead.handoff_since
    # In the chat a person was there already: their message is what began it.
    waits = message.direction is Direction.STAFF and lead.handoff_source != Lead.HandoffSource.CHAT
    if since is None or not waits or since > at or (lead.last_staff_at and lead.last_staff_at >= since):
        since = None
    return (
        Answered(at, is_first, handed_over_at=since, by=message.author if since else "") if is_first or since else None
    )


def _note_turn(lead: Lead, direction: Direction, at: datetime, changes: Change) -> None:
    """Count who answers whom, so that two bots are noticed; what a person of ours writes begins the count anew."""
    counted = bot_loops.Turns(lead.quick_turns, lead.turns)
    if direction is Direction.INBOUND:
        turns = bot_loops.after(counted, at=at, ours=lead.last_outbound_at, before=lead.last_inbound_at)
    else:
        turns = bot_loops.Turns() if direction is Direction.STAFF else counted
    if turns != counted:
        lead.quick_turns, lead.turns = turns.quick, turns.without_pause
        changes.columns |= {"quick_turns", "turns"}


def _note_where(lead: Lead, key: str, changes: Change) -> None:
    """Note from which of their addresses the person has written last."""
    written_from = "" if key == lead.phone_key else key
    if lead.written_from != written_from:
        lead.written_from = written_from
        changes.columns.add("written_from")


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


def is_farewell(message: Message, lead: Lead) -> bool:
    """Say whether a message of the lead asks for no more messages, by the words of the pipeline."""
    return message.direction is Direction.INBOUND and optout.asks_to_stop(message.text, lead.pipeline)


def _wants_staff(one: Recorded) -> str | None:
    """Return why somebody should look at the lead after this interaction, or None."""
    message, lead = one.interaction.message, one.lead
    if message is None or message.direction is not Direction.INBOUND or not farewells.may_ask_to_stop(message.text):
        return one.decision.notify_staff
    # Whom a person has, a person reads; and nobody is asked about what was long ago.
    is_settled = lead.in_handoff or lead.opted_out_at or one.interaction.history or is_farewell(message, lead)
    return one.decision.notify_staff if is_settled else farewells.MAY_ASK_TO_STOP


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


def _heed_a_bot(one: Recorded, now: datetime) -> None:
    """Let the agent fall silent where it talks with a bot, or where the pipeline yields to one that answers leads."""
    lead, message = one.lead, one.interaction.message
    if message is None or lead.in_handoff:
        return
    at, reason = now, ""
    if message.direction is Direction.INBOUND:
        reason = bot_loops.loop(bot_loops.Turns(lead.quick_turns, lead.turns))
    elif message.direction is Direction.BOT and lead.pipeline.yields_to_bots:
        at = min(message.sent_at or one.interaction.occurred_at, now)
        if lead.resumed_at is None or lead.resumed_at < at:
            reason = f"another bot answers the lead: “{' '.join(message.text.split())[:60]}”"
    if reason:
        handoff.pause(lead, source=Lead.HandoffSource.GUARD, by=Lead.Actor.BRIDGE, reason=reason, now=at)


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


AUTHORS = {
    Direction.INBOUND: Lead.Actor.LEAD,
    Direction.STAFF: Lead.Actor.STAFF,
    Direction.BOT: Lead.Actor.KOMMO,
}


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
    if reason := _wants_staff(one):
        events.append(_event(lead, now, Event.Kind.STAFF_TOLD, reason, {}))
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
