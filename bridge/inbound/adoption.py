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

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from bridge.account_traits import Trait
from bridge.cards import kept_forms, nudge, outbox, ownership, write_ahead
from bridge.cards.desired import wanted_tags
from bridge.cards.desired_values import wishes
from bridge.cards.observed import meet_contact
from bridge.cards.observed import observed as observed_of
from bridge.cards.plan import LOST_STATUS_ID, unanswered
from bridge.inbound import drifts, values_of_before
from bridge.inbound.adopted_stage import adopt_stage, place_of
from bridge.inbound.adopted_values import (
    Findings,
    Reading,
    _note_responsible,
    remember_owners,
    save_lead,
    take_values_over,
)
from bridge.inbound.unreadable_cards import each_by_itself, note_unreadable, refuse_unreadable
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card, Catalogue
from bridge.models.card import UNREADABLE
from common.reasons import Reason
from followups import enrollment
from leads import announcements
from leads.models import Event, Lead
from leads.phone import PhoneError, parse
from leads.rulebook import rulebook

log = structlog.get_logger(__name__)


CARD_COLUMNS = (
    "kommo_contact_id",
    "own_contact_id",
    "observed",
    "observed_at",
    "agreed",
    "in_doubt",
    "unread",
    "kept_forms",
    "of_before",
    "ownership",
    "said_tags",
    "state",
    "due_at",
    "pending_since",
    "waiting_reason",
    "last_error",
    "stages_to_visit",
)


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
    refuse_unreadable(reply)
    card = locked(card_id)
    if card.state == Card.State.CLOSED or card.kommo_lead_id != reply.id:
        return Findings()
    if (card.observed_at and card.observed_at > read_at) or write_ahead.was_declared_after(card, read_at):
        return Findings(is_outdated=True)
    if kept_forms.is_stale(card, reply, read_at):
        return Findings(is_outdated=True)
    reply, of_before = values_of_before.without(card, reply)
    seen = _seen(card, reply, catalogue.account if catalogue else card.account)
    now_held = seen.values
    findings = _compare(seen.known, card.in_doubt, now_held)
    if only_compare:
        return findings
    reading = _reading(card, card.lead, reply, catalogue, findings.changed, now=now)
    changed = reading.changed
    gone_because = card.waiting_reason if card.state == Card.State.GONE else None
    if changed and not reading.first_sight and found_by != "webhook":
        drifts.note_adopted(card, changed, wishes(card.lead, reading.book, catalogue), found_by=found_by, now=now)
    _update_card(reading, reply, now_held, read_at)
    card.unread, card.kept_forms, card.of_before = {}, seen.forms, of_before
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
        adopt_stage(reading)
    if "tags" in changed and not reading.first_sight:
        before, after = changed["tags"]
        announcements.tags_changed.send(Lead, lead=reading.lead, before=before, after=after, now=now)
    if gone_because is not None:
        _bring_back(reading, gone_because)
    return findings


def take_in(card: Card, lead: Lead, reply: LeadReply, catalogue: Catalogue | None, *, now: datetime) -> None:
    """Make a new lead, and its card, what was found in Kommo: all of it, in memory. The caller stores both."""
    refuse_unreadable(reply)
    card.kommo_lead_id, card.observed, card.of_before = reply.id, {}, None
    reply, card.of_before = values_of_before.without(card, reply)
    observed = observed_of(reply)
    reading = _reading(card, lead, reply, catalogue, {}, now=now)
    stage, name = place_of(reading, observed)
    lead.stage, lead.other_stage_name = stage, "" if stage else name[:250]
    # Found, not placed: nobody was seen to move it there, so rules may move it on. It has stood there at least since
    # the last change of anything on it.
    lead.stage_set_by, lead.stage_set_at = Lead.Actor.KOMMO, reading.set_at
    lead.kommo_responsible_id = observed["responsible_user_id"] or None
    _update_card(reading, reply, observed, now)
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
            refuse_unreadable(reply)
            card = locked(card_id)
            if card.state == Card.State.CLOSED:
                return False
            card.kommo_lead_id, card.kommo_contact_id = reply.id, reply.main_contact_id
            card.own_contact_id = None
            # It is none that we made, and gets a number where it has none.
            card.observed_contact = {**card.observed_contact, "made": False, "lacks_phone": True}
            # What told of the person before stays known as such: a merge brings our tags along.
            card.said_tags = sorted(ownership.said_tags(card, rulebook(card.lead.pipeline).tag_rules))
            card.observed, card.agreed, card.ownership = {}, {}, {}
            card.in_doubt, card.create_intent_at, card.write_settles_at = {}, None, None
            card.observed_at, card.stages_to_visit = None, []
            card.kept_forms, card.unread, card.of_before = {}, {}, None
            gone_because = card.waiting_reason if card.state == Card.State.GONE else None
            if gone_because is not None:
                card.state, card.waiting_reason = Card.State.IN_SYNC, ""
            card.save()
            card.lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason[:500])
            adopt(card_id, reply, catalogue, read_at=read_at, now=now, found_by=found_by)
            outbox.requeue(Card.objects.filter(pk=card_id), now=now, lane=Card.Lane.LIVE)
            nudge.send_on_commit(card.account_id)
            if gone_because is not None:
                enrollment.go_on(card.lead, stopped_for=gone_because, reason=Reason("card_back"), now=now)
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
    seen = _seen(card, values_of_before.without(card, reply)[0], account)
    return not seen.dropped and {**seen.known, "updated_at": 0} == {**seen.values, "updated_at": 0}


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
        is_lost=kept_forms.is_lost_work(card, reply, user_id=account.kommo_user_id),
    )


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


def _everything(observed: dict[str, Any], lead: Lead) -> dict[str, tuple[Any, Any]]:
    """Return all that stands on a lead seen for the first time. What is empty there, nobody has emptied."""
    found: dict[str, tuple[Any, Any]] = {"stage": (None, [observed["pipeline_id"], observed["status_id"]])}
    found |= {f"field:{key}": (None, value) for key, value in observed["fields"].items() if value not in (None, [])}
    if observed["name"] and not is_the_phone(observed["name"], lead):
        found["name"] = ("", observed["name"])
    if observed["tags"]:
        found["tags"] = ([], observed["tags"])
    return found


def is_the_phone(name: str, lead: Lead) -> bool:
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


def _compare(known: Mapping[str, Any], doubts: Mapping[str, Any], observed: Mapping[str, Any]) -> Findings:
    findings = Findings()
    for subject in ("name", "price", "responsible_user_id"):
        if subject in known and observed[subject] not in (known[subject], doubts.get(subject, known[subject])):
            findings.changed[subject] = (known[subject], observed[subject])
    place = (observed["pipeline_id"], observed["status_id"])
    known_place = (known.get("pipeline_id"), known.get("status_id"))
    doubted_place = (doubts.get("pipeline_id"), doubts.get("status_id"))
    if known_place[1] is not None and place not in (known_place, doubted_place):
        findings.changed["stage"] = (list(known_place), list(place))
    elif known_place[1] is not None and place[1] == LOST_STATUS_ID:
        # Elsewhere there is none, and with a move to there comes the mover's.
        reason = known.get("loss_reason_id") if known_place[1] == LOST_STATUS_ID else None
        if observed["loss_reason_id"] not in (reason, doubts.get("loss_reason_id", reason)):
            findings.changed["loss_reason_id"] = (reason, observed["loss_reason_id"])
    for field_id in {*known.get("fields", {}), *observed["fields"]}:
        theirs = observed["fields"].get(field_id)
        ours = known.get("fields", {}).get(field_id)
        if theirs != ours and theirs != doubts.get("fields", {}).get(field_id, ours):
            findings.changed[f"field:{field_id}"] = (ours, theirs)
    tags, known_tags = set(observed["tags"]), set(known.get("tags", ()))
    explained = set(doubts.get("tags_to_add", ())) | set(doubts.get("tags_to_delete", ()))
    # What was known together with what an unanswered write of ours accounts for: the rest is somebody else's work.
    ours_by_now = known_tags ^ ((tags ^ known_tags) & explained)
    if tags != ours_by_now:
        findings.changed["tags"] = (sorted(ours_by_now), sorted(tags))
    return findings


def _update_card(reading: Reading, reply: LeadReply, observed: dict[str, Any], read_at: datetime) -> None:
    card = reading.card
    card.observed, card.observed_at, card.agreed = observed, read_at, observed
    meet_contact(card, reply)
    has_ended = card.write_settles_at is None or card.write_settles_at <= read_at
    # With no write of ours under way, a reading answers every doubt.
    card.in_doubt = {} if has_ended else unanswered(card.in_doubt, observed)
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


def _bring_back(reading: Reading, gone_because: str) -> None:
    """What became of the lead while its card was away is sent now, and what was stopped for it goes on."""
    card = reading.card
    outbox.requeue(Card.objects.filter(pk=card.pk), now=reading.now, lane=Card.Lane.LIVE)
    nudge.send_on_commit(card.account_id)
    reason = Reason("card_restored_in_kommo")
    reading.lead.events.create(at=reading.now, kind=Event.Kind.CARD, actor=reading.by, reason=reason)
    enrollment.go_on(reading.lead, stopped_for=gone_because, reason=Reason("card_back"), now=reading.now)
