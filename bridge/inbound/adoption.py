"""Comparing a lead as Kommo has it with its card, and adopting what people did.

Three values meet for every subject: what Kommo holds now, what it held when we last knew (`Card.observed`), and what we
have sent without an answer (`Card.in_doubt`). Kommo's value is an echo when it equals either of ours; anything else is
the work of a person or of another program. It is adopted: the lead takes it over where it can hold it, so that the next
plan finds nothing to write; where it cannot, the value is held against what the lead calls for (cards/ownership.py).
Either way it stands until the conversation brings a newer fact about that very thing.

A lead we see for the first time is adopted whole: of everything that stands on it, nothing is ours. So it is with one
that is taken in, linked, merged into, or found where a create got no answer. This file is the one door of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import InvalidOperation
from typing import Any

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from bridge.account_traits import Trait
from bridge.cards import kept_forms, nudge, outbox, ownership, write_ahead
from bridge.cards.desired import wanted_tags
from bridge.cards.desired_values import Wishes, wishes
from bridge.cards.observed import meet_contact, persons_name
from bridge.cards.observed import observed as observed_of
from bridge.cards.plan import MAX_NAME_LENGTH, unanswered
from bridge.cards.value_mapping import is_adoptable, our_value
from bridge.errors import KommoError
from bridge.inbound import drifts, moved_by_automation
from bridge.kommo.replies import LeadReply
from bridge.kommo.reply_values import ReplyShapeError
from bridge.models import Account, Card, Catalogue
from followups import enrollment
from leads import announcements, stage_moves, which_fact_stands
from leads.models import Event, Lead, Stage, TagRule
from leads.phone import PhoneError, parse
from leads.rulebook import Rulebook, rulebook

log = structlog.get_logger(__name__)

# How the error of a card begins whose lead could not be adopted.
UNREADABLE = "what Kommo holds could not be adopted"

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
    "said_tags",
    "state",
    "due_at",
    "pending_since",
    "waiting_reason",
    "last_error",
    "stages_to_visit",
)


@dataclass
class Findings:
    """What a comparison found on one card: subject -> (what we knew, what Kommo has)."""

    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    # The reading is older than what we know by now and says nothing.
    is_outdated: bool = False
    # What went wrong with this one lead.
    error: str = ""


@dataclass
class Reading:
    """One lead as Kommo has it, on its way into card and lead."""

    card: Card
    lead: Lead
    book: Rulebook
    catalogue: Catalogue | None
    changed: Mapping[str, tuple[Any, Any]]
    by: Lead.Actor
    set_at: datetime
    now: datetime
    first_sight: bool = False
    # What the conversation has told of stays its own.
    only_unspoken: bool = False
    # Who changed the lead last: {"kommo_user_id": …}; nothing for ourselves, a program, and where Kommo does not say.
    by_whom: Mapping[str, int] = field(default_factory=dict)


def adopt_each(
    replies: Mapping[int, LeadReply],
    catalogue: Catalogue | None,
    *,
    read_at: datetime,
    now: datetime,
    found_by: str,
    only_compare: bool = False,
) -> dict[int, Findings]:
    """Adopt readings by card id, each by itself; return what was found on each card.

    What goes wrong with one lead is that lead's: it is kept with its error, and the others go on.
    """
    found: dict[int, Findings] = {}
    for card_id, reply in replies.items():
        with each_by_itself(found_by, reply.id) as failure:
            found[card_id] = adopt(
                card_id, reply, catalogue, read_at=read_at, now=now, found_by=found_by, only_compare=only_compare
            )
        if failure.error:
            found[card_id] = Findings(error=failure.error)
            note_unreadable(card_id, failure.error)
    return found


def note_unreadable(card_id: int, error: str) -> None:
    """Keep with a card what of its lead could not be adopted, until the next reading is."""
    Card.objects.filter(pk=card_id).update(last_error=f"{UNREADABLE}: {error}"[:1000])


def unreadable() -> QuerySet[Card]:
    """Return the cards of which something in Kommo could not be adopted."""
    return Card.objects.filter(last_error__startswith=UNREADABLE)


@dataclass
class Failure:
    """What went wrong with one lead, if anything did."""

    error: str = ""


@contextmanager
def each_by_itself(found_by: str, kommo_id: int) -> Iterator[Failure]:
    """Keep what goes wrong with one lead from all others. A database that is away is everybody's, and is raised."""
    failure = Failure()
    try:
        yield failure
    except (OperationalError, InterfaceError, KommoError):
        raise
    except Exception as error:
        log.exception("lead_not_adopted", kommo_id=kommo_id, found_by=found_by)
        failure.error = f"{type(error).__name__}: {error}"[:900]


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

    `read_at` is when the reading was asked for: if the card was settled or written to since, the reading may be older
    than that and is left alone, as is a card that is closed or shows another lead by now. With `only_compare` nothing
    is stored.
    """
    _refuse_unreadable(reply)
    card = locked(card_id)
    if card.state == Card.State.CLOSED or card.kommo_lead_id != reply.id:
        return Findings()
    if (card.observed_at and card.observed_at > read_at) or write_ahead.was_declared_after(card, read_at):
        return Findings(is_outdated=True)
    if kept_forms.is_stale(card, reply, read_at):
        return Findings(is_outdated=True)
    seen = _seen(card, reply, catalogue.account if catalogue else card.account)
    now_held = seen.held
    findings = _compare(seen.known, card.in_doubt, now_held)
    if only_compare:
        return findings
    reading = _reading(card, card.lead, reply, catalogue, findings.changed, now=now)
    changed = reading.changed
    gone_because = card.waiting_reason if card.state == Card.State.GONE else None
    if changed and not reading.first_sight and found_by != "webhook":
        drifts.note_adopted(card, changed, wishes(card.lead, reading.book, catalogue), found_by=found_by, now=now)
    _update_card(reading, reply, now_held, read_at)
    card.unread, card.kept_forms = {}, seen.forms
    if card.last_error.startswith(UNREADABLE):
        card.last_error = ""
    if seen.dropped or (changed and card.refused_parts):
        # A person may just have filled in what a stage asked for.
        _send_again(reading)
    called_for = wanted_tags(reading.lead, reading.book)
    columns = take_values_over(reading)
    remember_owners(reading, called_for=called_for)
    # Before the lead is touched: saving the lead makes the card due again, and that must stand.
    card.save(update_fields=CARD_COLUMNS)
    _note_responsible(reading.lead, now_held)
    save_lead(reading, columns)
    if "stage" in changed:
        _adopt_stage(reading)
    if "tags" in changed and not reading.first_sight:
        before, after = changed["tags"]
        announcements.tags_changed.send(Lead, lead=reading.lead, before=before, after=after, now=now)
    if gone_because is not None:
        _bring_back(reading, gone_because)
    return findings


def take_in(card: Card, lead: Lead, reply: LeadReply, catalogue: Catalogue | None, *, now: datetime) -> None:
    """Make a new lead, and its card, what was found in Kommo: all of it, in memory. The caller stores both."""
    _refuse_unreadable(reply)
    held = observed_of(reply)
    card.kommo_lead_id, card.observed = reply.id, {}
    reading = _reading(card, lead, reply, catalogue, {}, now=now)
    stage, name = _place_of(reading, held)
    lead.stage, lead.other_stage_name = stage, "" if stage else name[:250]
    # Found, not placed: nobody was seen to move it there, so rules may move it on. It has stood there at least since
    # the last change of anything on it.
    lead.stage_set_by, lead.stage_set_at = Lead.Actor.KOMMO, reading.set_at
    lead.kommo_responsible_id = held["responsible_user_id"] or None
    _update_card(reading, reply, held, now)
    take_values_over(reading)
    remember_owners(reading, called_for=[])


def link(
    card_id: int,
    reply: LeadReply,
    catalogue: Catalogue | None,
    *,
    read_at: datetime,
    now: datetime,
    found_by: str,
    reason: str,
) -> bool:
    """Let a card of ours show a lead found in Kommo, which is adopted whole; False when it is another card's.

    Theirs stands: its place, its name and every value it has. What it lacks, and the conversation has told, is sent.
    """
    try:
        with transaction.atomic():
            _refuse_unreadable(reply)
            card = locked(card_id)
            if card.state == Card.State.CLOSED:
                return False
            card.kommo_lead_id, card.kommo_contact_id = reply.id, reply.main_contact_id
            card.own_contact_id = None
            # What told of the person before stays known as such: a merge brings our tags along.
            card.said_tags = sorted(ownership.said_tags(card, rulebook(card.lead.pipeline).tag_rules))
            card.observed, card.agreed, card.ownership = {}, {}, {}
            card.in_doubt, card.create_intent_at, card.write_settles_at = {}, None, None
            card.observed_at, card.stages_to_visit = None, []
            card.kept_forms, card.unread = {}, {}
            gone_because = card.waiting_reason if card.state == Card.State.GONE else None
            if gone_because is not None:
                card.state, card.waiting_reason = Card.State.IN_SYNC, ""
            card.save()
            card.lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason[:500])
            adopt(card_id, reply, catalogue, read_at=read_at, now=now, found_by=found_by)
            outbox.requeue(Card.objects.filter(pk=card_id), now=now, lane=Card.Lane.LIVE)
            nudge.send_on_commit(card.account_id)
            if gone_because is not None:
                enrollment.go_on(card.lead, stopped_for=gone_because, reason="the card is back", now=now)
            log.info("lead_linked", card=card_id, kommo_id=reply.id, found_by=found_by)
    except IntegrityError:
        # Two people, one lead, and nothing to prove whose.
        return False
    return True


def is_as_known(card: Card, reply: LeadReply, read_at: datetime, account: Account) -> bool:
    """Say whether a reading tells nothing new: nothing is in doubt, and Kommo holds what we know it to hold."""
    if reply.unreadable or card.in_doubt or card.state in (Card.State.GONE, Card.State.CLOSED, Card.State.SHOWN):
        return False
    if card.last_error.startswith(UNREADABLE):
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


def _refuse_unreadable(reply: LeadReply) -> None:
    if reply.unreadable:
        raise ReplyShapeError(reply.unreadable)


def _reading(
    card: Card,
    lead: Lead,
    reply: LeadReply,
    catalogue: Catalogue | None,
    changed: Mapping[str, tuple[Any, Any]],
    *,
    now: datetime,
) -> Reading:
    first_sight = not card.observed
    return Reading(
        card=card,
        lead=lead,
        book=rulebook(lead.pipeline),
        catalogue=catalogue,
        changed=_everything(observed_of(reply), lead) if first_sight else changed,
        by=Lead.Actor.KOMMO if reply.updated_by == 0 else Lead.Actor.STAFF,
        set_at=min(now, datetime.fromtimestamp(reply.updated_at, UTC)) if reply.updated_at else now,
        now=now,
        first_sight=first_sight,
        by_whom=_whom(reply, card.account),
    )


def _whom(reply: LeadReply, account: Account) -> dict[str, int]:
    user_id = reply.updated_by
    return {"kommo_user_id": user_id} if user_id and user_id != account.kommo_user_id else {}


def _everything(held: dict[str, Any], lead: Lead) -> dict[str, tuple[Any, Any]]:
    """Return all that stands on a lead seen for the first time. What is empty there, nobody has emptied."""
    found: dict[str, tuple[Any, Any]] = {"stage": (None, [held["pipeline_id"], held["status_id"]])}
    found |= {f"field:{key}": (None, value) for key, value in held["fields"].items() if value not in (None, [])}
    if held["name"] and not _is_the_phone(held["name"], lead):
        found["name"] = ("", held["name"])
    if held["tags"]:
        found["tags"] = ([], held["tags"])
    return found


def _is_the_phone(name: str, lead: Lead) -> bool:
    """Say whether a card is called by the person's number, because nobody knew the name."""
    if not any(character.isdigit() for character in name):
        return False
    try:
        return parse(name, region=lead.pipeline.phone_region).key == lead.phone_key
    except PhoneError:
        return False


def locked(card_id: int) -> Card:
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


def _update_card(reading: Reading, reply: LeadReply, held: dict[str, Any], read_at: datetime) -> None:
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


def _send_again(reading: Reading) -> None:
    """What is missing in Kommo goes once more."""
    card = reading.card
    if card.state in (Card.State.IN_SYNC, Card.State.BLOCKED):
        card.state, card.waiting_reason = Card.State.DUE, ""
        card.due_at = card.pending_since = reading.now
        nudge.send_on_commit(card.account_id)


def take_values_over(reading: Reading) -> set[str]:
    """Set on the lead, in memory, what it can hold of what people changed; return the columns to save."""
    lead, columns = reading.lead, set[str]()
    for subject, (before, after) in reading.changed.items():
        if subject == "name":
            name = persons_name(after, reading.card.kommo_lead_id or 0)[:MAX_NAME_LENGTH]
            if reading.first_sight and not name:
                continue
            columns |= {
                "provenance",
                *(("name",) if which_fact_stands.adopt(lead, "name", name, at=reading.set_at) else ()),
            }
        elif subject.startswith("field:"):
            columns |= _take_field_over(reading, int(subject.removeprefix("field:")), before, after)
    return columns


def _take_field_over(reading: Reading, field_id: int, before: Any, held: Any) -> set[str]:
    mapping = next((one for one in reading.book.field_mappings if one.kommo_field_id == field_id), None)
    if mapping is None or not is_adoptable(mapping.attribute):
        return set()
    if reading.only_unspoken and mapping.attribute in reading.lead.provenance:
        return set()
    try:
        value = our_value(mapping, held, reading.catalogue, before)
    except (ValueError, InvalidOperation):
        return set()
    changed = which_fact_stands.adopt(reading.lead, mapping.attribute, value, at=reading.set_at)
    column = "custom" if mapping.attribute.startswith("custom.") else mapping.attribute
    return {"provenance", column} if changed else {"provenance"}


def remember_owners(reading: Reading, *, called_for: Sequence[str]) -> None:
    """Note who set what; where the lead calls for something else even now, theirs is held against that.

    `called_for`: the tags the lead called for before. What was found changes nothing in Kommo, so a tag that a found
    fact calls for is not added either.
    """
    if not reading.changed:
        return
    card = reading.card
    wanted = wishes(reading.lead, reading.book, reading.catalogue)
    # Before the new owners are noted: until something is counted, those of before tell what is ours.
    said = ownership.said_tags(card, reading.book.tag_rules) | set(wanted.tags)
    card.said_tags = sorted(said & {*card.observed.get("tags", ()), *card.in_doubt.get("tags_to_add", ())})
    for subject, (before, after) in reading.changed.items():
        if subject == "name" and reading.first_sight and not persons_name(after, card.kommo_lead_id or 0):
            continue
        card.ownership[subject] = ownership.entry(reading.by, reading.set_at, after)
        if subject == "stage":
            card.stages_to_visit = []
        elif subject == "tags":
            _hold_families(reading, set(before) ^ set(after), after, wanted)
        elif wanted.calls_for(subject, after):
            card.ownership[subject]["ours"] = wanted.of(subject)
    if reading.first_sight:
        held = card.observed.get("tags", [])
        _hold_families(reading, set(wanted.tags) ^ set(called_for), held, wanted)


def _hold_families(reading: Reading, touched: set[str], after: list[str], wanted: Wishes) -> None:
    for rule in reading.book.tag_rules:
        if ownership.family(rule, touched) and not _is_spoken_for(reading, rule):
            entry = ownership.entry(reading.by, reading.set_at, ownership.family(rule, after))
            entry["ours"] = ownership.family(rule, wanted.tags)
            reading.card.ownership[f"tags:{rule.template}"] = entry


def _is_spoken_for(reading: Reading, rule: TagRule) -> bool:
    """Say whether a family that has just come to be ours tells what the conversation has told."""
    told = reading.lead.provenance.get(rule.attribute, {}).get("by") == Lead.Actor.AGENT
    return reading.only_unspoken and told and not ownership.family(rule, reading.card.observed.get("tags", ()))


def save_lead(reading: Reading, columns: set[str]) -> None:
    lead = reading.lead
    if columns and reading.only_unspoken:
        # Without the signal: there is nothing to deliver of what was found there.
        Lead.objects.filter(pk=lead.pk).update(**{column: getattr(lead, column) for column in columns})
    elif columns:
        lead.updated_at = reading.now
        lead.save(update_fields={*columns, "updated_at"})
    if reading.first_sight and not columns:
        return
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
            reason=f"{'found' if reading.first_sight else 'changed'} in Kommo: {', '.join(edits)}"[:500],
            data={**edits, **reading.by_whom},
        )


def _note_responsible(lead: Lead, held: Mapping[str, Any]) -> None:
    """Let lists know whose lead it is; nothing is delivered of that, so nobody is told."""
    user_id = held["responsible_user_id"] or None
    if lead.kommo_responsible_id != user_id:
        lead.kommo_responsible_id = user_id
        Lead.objects.filter(pk=lead.pk).update(kommo_responsible_id=user_id)


def _adopt_stage(reading: Reading) -> None:
    """Let the lead stand where a person put the card; a stage unknown to us is `other`, with Kommo's name."""
    lead, book, now = reading.lead, reading.book, reading.now
    stage, name = _place_of(reading, reading.card.observed)
    if reading.first_sight:
        stage_moves.found(lead, stage, name=name, reason=f"found in Kommo in {name}", now=now)
        return
    reason = f"moved in Kommo to {name}"
    if reading.by is Lead.Actor.KOMMO:
        reason = f"moved in Kommo to {name} by an automation or another program"
        agreed = reading.changed["stage"][0]
        moved_by_automation.tell_if_against_the_rules(
            reading.card, lead, book, stage, name=name, agreed=agreed, now=now
        )
    by, moved_at, whom = reading.by, reading.set_at, reading.by_whom
    if stage is None:
        stage_moves.leave_our_stages(lead, name=name, reason=reason, now=now, by=by, moved_at=moved_at, by_whom=whom)
    elif lead.stage_id == stage.pk:
        # Where the rules had just put it as well: that somebody else did it is what counts from now on.
        stage_moves.confirm(lead, by=by, reason=reason, now=now, by_whom=whom)
    else:
        stage_moves.move(lead, stage, by=by, reason=reason, now=now, moved_at=moved_at, by_whom=whom)


def _place_of(reading: Reading, held: Mapping[str, Any]) -> tuple[Stage | None, str]:
    """Return our stage for where a lead stands in Kommo, None where none of ours is bound, and Kommo's name of it."""
    place = (held["pipeline_id"], held["status_id"])
    known = reading.book.stages_by_status_id if place[0] == reading.lead.pipeline.kommo_pipeline_id else {}
    status = reading.catalogue.status(*place) if reading.catalogue else None
    name = str(status["name"]) if status else str(place[1])
    return known.get(place[1]), name


def _bring_back(reading: Reading, gone_because: str) -> None:
    """What became of the lead while its card was away is sent now, and what was stopped for it goes on."""
    card = reading.card
    outbox.requeue(Card.objects.filter(pk=card.pk), now=reading.now, lane=Card.Lane.LIVE)
    nudge.send_on_commit(card.account_id)
    reason = "restored in Kommo: the card is back"
    reading.lead.events.create(at=reading.now, kind=Event.Kind.CARD, actor=reading.by, reason=reason)
    enrollment.go_on(reading.lead, stopped_for=gone_because, reason="the card is back", now=reading.now)
