"""Comparing a lead as Kommo has it with its card, and adopting what people did.

Three values meet for every subject: what Kommo holds now, what it held when we last knew (`Card.observed`), and what we
have sent without an answer (`Card.in_doubt`). Kommo's value is an echo when it equals either of ours; anything else is
the work of a person or of another program. It is adopted: the lead takes it over where it can hold it, so that the next
plan finds nothing to write; where it cannot, the value is held against what the lead calls for (bridge/sync/ownership).
Either way it stands until the conversation brings a newer fact about that very thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import InvalidOperation
from typing import Any

from django.db import transaction

from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card, Catalogue
from bridge.sync import automations, drifts, kept_forms, nudge, outbox, ownership
from bridge.sync.observe import meet_contact, persons_name
from bridge.sync.observe import observed as observed_of
from bridge.sync.our_values import is_adoptable, our_value
from bridge.sync.plan import MAX_NAME_LENGTH, unanswered
from bridge.sync.traits import Trait
from bridge.sync.wishes import Wishes, wishes
from followups import enrollment
from leads import facts, stages
from leads.models import Event, Lead, Stage
from leads.rulebook import Rulebook, rulebook

CARD_COLUMNS = (
    "kommo_contact_id",
    "own_contact_id",
    "observed",
    "observed_at",
    "agreed",
    "in_doubt",
    "unread",
    "kept_forms",
    "ownership",
    "state",
    "due_at",
    "pending_since",
    "waiting_reason",
    "stages_to_visit",
)


@dataclass
class Findings:
    """What a comparison found on one card: subject -> (what we knew, what Kommo has)."""

    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    # The reading is older than what we know by now and says nothing.
    is_outdated: bool = False


@dataclass
class _Reading:
    """One lead as Kommo has it, on its way into card and lead."""

    card: Card
    lead: Lead
    book: Rulebook
    catalogue: Catalogue | None
    changed: Mapping[str, tuple[Any, Any]]
    by: Lead.Actor
    set_at: datetime
    now: datetime


@transaction.atomic
def adopt(
    card_id: int,
    reply: LeadReply,
    catalogue: Catalogue | None,
    *,
    read_at: datetime,
    now: datetime,
    found_by: str,
    only_compare: bool = False,
) -> Findings:
    """Bring the card to what Kommo holds and adopt what people changed; return what had changed.

    `read_at` is when the reading was asked for: if the card was settled since, the reading may be older than that and
    is left alone, as is a card that is closed or shows another lead by now. With `only_compare` nothing is stored.
    """
    card = _locked(card_id)
    if card.state == Card.State.CLOSED or card.kommo_lead_id != reply.id:
        return Findings()
    if card.observed_at and card.observed_at > read_at:
        return Findings(is_outdated=True)
    if kept_forms.is_stale(card, reply, read_at):
        return Findings(is_outdated=True)
    seen = _seen(card, reply, catalogue.account if catalogue else card.account)
    now_held = seen.held
    findings = _compare(seen.known, card.in_doubt, now_held)
    if only_compare:
        return findings
    changed = findings.changed if card.observed else {}
    reading = _Reading(
        card=card,
        lead=card.lead,
        book=rulebook(card.lead.pipeline),
        catalogue=catalogue,
        changed=changed,
        by=Lead.Actor.KOMMO if reply.updated_by == 0 else Lead.Actor.STAFF,
        set_at=min(now, datetime.fromtimestamp(reply.updated_at, UTC)) if reply.updated_at else now,
        now=now,
    )
    gone_because = card.waiting_reason if card.state == Card.State.GONE else None
    if changed and found_by != "webhook":
        drifts.note_adopted(card, changed, wishes(card.lead, reading.book, catalogue), found_by=found_by, now=now)
    _update_card(reading, reply, now_held, read_at)
    card.unread, card.kept_forms = {}, seen.forms
    if seen.dropped:
        _send_again(reading)
    columns = _take_over(reading)
    _remember_owners(reading)
    # Before the lead is touched: saving the lead makes the card due again, and that must stand.
    card.save(update_fields=CARD_COLUMNS)
    _save_lead(reading, columns)
    if "stage" in changed:
        _adopt_stage(reading)
    if gone_because is not None:
        _bring_back(reading, gone_because)
    return findings


def is_as_known(card: Card, reply: LeadReply, read_at: datetime, account: Account) -> bool:
    """Say whether a reading tells nothing new: nothing is in doubt, and Kommo holds what we know it to hold."""
    if card.in_doubt or card.state in (Card.State.GONE, Card.State.CLOSED, Card.State.SHOWN):
        return False
    if card.observed_at is None or card.observed_at > read_at or reply.main_contact_id != card.kommo_contact_id:
        return False
    if kept_forms.is_stale(card, reply, read_at):
        return True
    seen = _seen(card, reply, account)
    return not seen.dropped and {**seen.known, "updated_at": 0} == {**seen.held, "updated_at": 0}


def _seen(card: Card, reply: LeadReply, account: Account) -> kept_forms.Reading:
    """Return the reading in the form in which we sent what it holds."""
    robots = account.traits.get(Trait.WRITES_BY) != "user"
    return kept_forms.read(
        observed_of(reply),
        reply,
        known=card.observed,
        doubts=card.in_doubt,
        forms=card.kept_forms,
        unread=card.unread,
        is_own=kept_forms.is_own_work(card.unread, reply, user_id=account.kommo_user_id, robots=robots),
    )


def _locked(card_id: int) -> Card:
    """Lock lead, then card: the order of everybody who changes a lead."""
    lead_id = Card.objects.values_list("lead_id", flat=True).get(pk=card_id)
    rows = Lead.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline", "stage")
    lead = rows.get(pk=lead_id)
    card = Card.objects.select_for_update(no_key=True).get(pk=card_id)
    card.lead = lead
    return card


def _compare(known: Mapping[str, Any], doubts: Mapping[str, Any], held: Mapping[str, Any]) -> Findings:
    findings = Findings()
    for subject in ("name", "price", "responsible_user_id"):
        if subject in known and held[subject] not in (known[subject], doubts.get(subject, known[subject])):
            findings.changed[subject] = (known[subject], held[subject])
    place = (held["pipeline_id"], held["status_id"])
    known_place = (known.get("pipeline_id"), known.get("status_id"))
    doubted_place = (doubts.get("pipeline_id"), doubts.get("status_id"))
    if known_place[1] is not None and place not in (known_place, doubted_place):
        findings.changed["stage"] = (list(known_place), list(place))
    for field_id in {*known.get("fields", {}), *held["fields"]}:
        theirs = held["fields"].get(field_id)
        ours = known.get("fields", {}).get(field_id)
        if theirs != ours and theirs != doubts.get("fields", {}).get(field_id, ours):
            findings.changed[f"field:{field_id}"] = (ours, theirs)
    tags, known_tags = set(held["tags"]), set(known.get("tags", ()))
    explained = set(doubts.get("tags_to_add", ())) | set(doubts.get("tags_to_delete", ()))
    # What was known together with what an unanswered write of ours accounts for: the rest is somebody else's work.
    ours_by_now = known_tags ^ ((tags ^ known_tags) & explained)
    if tags != ours_by_now:
        findings.changed["tags"] = (sorted(ours_by_now), sorted(tags))
    return findings


def _update_card(reading: _Reading, reply: LeadReply, held: dict[str, Any], read_at: datetime) -> None:
    card = reading.card
    card.observed, card.observed_at, card.agreed = held, read_at, held
    meet_contact(card, reply)
    has_ended = card.write_settles_at is None or card.write_settles_at <= read_at
    # With no write of ours under way, a reading answers every doubt.
    card.in_doubt = {} if has_ended else unanswered(card.in_doubt, held)
    if card.state == Card.State.GONE:
        # Restored in Kommo: the card is back.
        card.state, card.waiting_reason = Card.State.IN_SYNC, ""
    elif card.state == Card.State.SHOWN and reading.changed:
        # Perhaps a person did what would be sent: ask again what would.
        card.state, card.waiting_reason = Card.State.DUE, ""
        card.due_at = card.pending_since = reading.now


def _send_again(reading: _Reading) -> None:
    """Kommo did not keep all it was sent: what is missing goes once more."""
    card = reading.card
    if card.state in (Card.State.IN_SYNC, Card.State.BLOCKED):
        card.state, card.waiting_reason = Card.State.DUE, ""
        card.due_at = card.pending_since = reading.now
        nudge.send_on_commit(card.account_id)


def _take_over(reading: _Reading) -> set[str]:
    """Set on the lead, in memory, what it can hold of what people changed; return the columns to save."""
    lead, columns = reading.lead, set[str]()
    for subject, (before, after) in reading.changed.items():
        if subject == "name":
            name = persons_name(after, reading.card.kommo_lead_id or 0)[:MAX_NAME_LENGTH]
            columns |= {"provenance", *(("name",) if facts.adopt(lead, "name", name, at=reading.set_at) else ())}
        elif subject.startswith("field:"):
            columns |= _take_field_over(reading, int(subject.removeprefix("field:")), before, after)
    return columns


def _take_field_over(reading: _Reading, field_id: int, before: Any, held: Any) -> set[str]:
    mapping = next((one for one in reading.book.field_mappings if one.kommo_field_id == field_id), None)
    if mapping is None or not is_adoptable(mapping.attribute):
        return set()
    try:
        value = our_value(mapping, held, reading.catalogue, before)
    except (ValueError, InvalidOperation):
        return set()
    changed = facts.adopt(reading.lead, mapping.attribute, value, at=reading.set_at)
    column = "custom" if mapping.attribute.startswith("custom.") else mapping.attribute
    return {"provenance", column} if changed else {"provenance"}


def _remember_owners(reading: _Reading) -> None:
    """Note who set what; where the lead calls for something else even now, theirs is held against that."""
    if not reading.changed:
        return
    card = reading.card
    wanted = wishes(reading.lead, reading.book, reading.catalogue)
    for subject, (before, after) in reading.changed.items():
        card.ownership[subject] = ownership.entry(reading.by, reading.set_at, after)
        if subject == "stage":
            card.stages_to_visit = []
        elif subject == "tags":
            _hold_families(reading, set(before) ^ set(after), after, wanted)
        elif wanted.calls_for(subject, after):
            card.ownership[subject]["ours"] = wanted.of(subject)


def _hold_families(reading: _Reading, touched: set[str], after: list[str], wanted: Wishes) -> None:
    for rule in reading.book.tag_rules:
        if ownership.family(rule, touched):
            entry = ownership.entry(reading.by, reading.set_at, ownership.family(rule, after))
            entry["ours"] = ownership.family(rule, wanted.tags)
            reading.card.ownership[f"tags:{rule.template}"] = entry


def _save_lead(reading: _Reading, columns: set[str]) -> None:
    lead = reading.lead
    if columns:
        lead.updated_at = reading.now
        lead.save(update_fields={*columns, "updated_at"})
    edits = {
        ownership.label(subject, reading.book): {"from": before, "to": after}
        for subject, (before, after) in reading.changed.items()
        if subject != "stage"
    }
    if edits:
        lead.events.create(
            at=reading.set_at,
            kind=Event.Kind.STAFF_EDIT,
            actor=reading.by,
            reason=f"changed in Kommo: {', '.join(edits)}"[:500],
            data=edits,
        )


def _adopt_stage(reading: _Reading) -> None:
    """Let the lead stand where a person put the card; a stage unknown to us is `other`, with Kommo's name."""
    lead, book, now = reading.lead, reading.book, reading.now
    place = (reading.card.observed["pipeline_id"], reading.card.observed["status_id"])
    stage = book.stages_by_status_id.get(place[1]) if place[0] == lead.pipeline.kommo_pipeline_id else None
    status = reading.catalogue.status(*place) if reading.catalogue else None
    name = status["name"] if status else str(place[1])
    reason = f"moved in Kommo to {name}"
    if reading.by is Lead.Actor.KOMMO:
        reason = f"moved in Kommo to {name} by an automation or another program"
        agreed = reading.changed["stage"][0]
        automations.tell_if_against_the_rules(reading.card, lead, book, stage, name=name, agreed=agreed, now=now)
    by, moved_at = reading.by, reading.set_at
    if stage is None:
        stages.leave_our_stages(lead, name=name, reason=reason, now=now, by=by, moved_at=moved_at)
    elif lead.stage_id == stage.pk:
        # Where the rules had just put it as well: that somebody else did it is what counts from now on.
        stages.confirm(lead, by=by, reason=reason, now=now)
    else:
        stages.move(lead, Stage.objects.get(pk=stage.pk), by=by, reason=reason, now=now, moved_at=moved_at)


def _bring_back(reading: _Reading, gone_because: str) -> None:
    """What became of the lead while its card was away is sent now, and what was stopped for it goes on."""
    card = reading.card
    outbox.requeue(Card.objects.filter(pk=card.pk), now=reading.now, lane=Card.Lane.LIVE)
    nudge.send_on_commit(card.account_id)
    reason = "restored in Kommo: the card is back"
    reading.lead.events.create(at=reading.now, kind=Event.Kind.CARD, actor=reading.by, reason=reason)
    enrollment.go_on(reading.lead, stopped_for=gone_because, reason="the card is back", now=reading.now)
