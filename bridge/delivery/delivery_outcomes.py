"""Settling: deciding, card by card, what became of a call, or of a plan that led to none.

Every outcome is merged into the card as it is by then: while a call was under way the lead may have changed again and
staff may have moved the card. A card is in sync only if the version that was sent is still the newest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from bridge.cards import backoff, kept_forms, refused_parts
from bridge.cards.batch_entry import Entry
from bridge.cards.ledger import AWAY, Call, delivery_of, erased, leave_the_outbox, settle_each
from bridge.cards.ownership import after_write, said_after_write
from bridge.cards.plan import Operation, apply, contested
from bridge.cards.write_ahead import LINGERS_FOR
from bridge.delivery import loss_reason_after_move
from bridge.errors import (
    KommoAccessError,
    KommoError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoRejectedError,
    Rejection,
)
from bridge.kommo.replies import Created, Updated
from bridge.kommo.what_an_error_stops import ABOUT_THE_MOMENT, Action, Purpose, purpose_of
from bridge.models import Card, Catalogue, Delivery
from common.reasons import Reason, about, several
from leads.models import Event, Lead
from leads.rulebook import rulebook


def created(entries: Sequence[Entry], answers: Iterable[Created], *, call: Call, now: datetime) -> list[Entry]:
    """Link every card whose lead Kommo names; the others stay due, and are looked up before they are created again.

    Returns those that duplicate control joined to an older lead, which has to be read: what it holds is a person's.
    """
    answer_by_lead = {request_id: answer for answer in answers for request_id in answer.request_ids}
    taken = cards_by_kommo_id(entries, [answer.lead_id for answer in answer_by_lead.values()])
    of_erased = erased(taken.values())
    merged: list[Entry] = []

    def settle(card: Card, entry: Entry) -> Delivery:
        answer = answer_by_lead.get(entry.plan.body["request_id"])
        # What the answer leaves out may have been made all the same; it is over now, either way.
        card.write_settles_at = None if answer else now
        if answer is None:
            return _not_named(card, entry, call, now)
        owner = taken.get(answer.lead_id)
        if owner in of_erased and owner != card.pk:
            # The card of somebody who was erased, and is back under the same phone: it is theirs again.
            Card.objects.filter(pk=owner).update(kommo_lead_id=None)
            owner = None
        if owner not in (None, card.pk):
            # Duplicate control joined this person to a card that another lead of ours already has.
            reason = Reason("merged_into_card_of_another", number=answer.lead_id)
            return _stuck(card, entry, Card.State.BLOCKED, reason, call, now)
        card.kommo_lead_id, card.kommo_contact_id = answer.lead_id, answer.contact_id
        card.observed_contact = _contact_made(card, entry, answer)
        taken[answer.lead_id] = card.pk
        delivery = _delivered(card, entry, call, now)
        if answer.merged:
            # Joined to a lead that was there: what of ours it took is read, and all it holds otherwise is theirs.
            card.observed, card.agreed, card.ownership = {}, {}, {}
            card.unread, card.kept_forms = {}, {}
            merged.append(entry)
        return delivery

    settle_each(entries, settle, now)
    return merged


def _contact_made(card: Card, entry: Entry, answer: Created) -> dict[str, Any]:
    """Return what is ours on the contact that came with a lead (shape: bridge/delivery/contacts.py)."""
    contacts = entry.plan.body["_embedded"].get("contacts")
    made: dict[str, Any] = {"name": contacts[0].get("name", ""), "made": not answer.merged} if contacts else {}
    with_phone = bool(contacts) and bool(entry.wanted.phone)
    # The number may have come to be known while the call was under way.
    return made if with_phone else {**made, "lacks_phone": True}


def updated(entries: Sequence[Entry], answers: Iterable[Updated], *, call: Call, now: datetime) -> list[Entry]:
    """Settle the cards Kommo names in its answer; the others are not delivered and stay due.

    Returns those it has left out more than once: their leads may be gone.
    """
    answer_by_id = {answer.lead_id: answer for answer in answers}
    left_out: list[Entry] = []

    def settle(card: Card, entry: Entry) -> Delivery:
        answer = answer_by_id.get(card.kommo_lead_id or 0)
        card.write_settles_at = None
        if answer is None:
            if card.attempts:
                left_out.append(entry)
            return _not_named(card, entry, call, now)
        delivery = _delivered(card, entry, call, now)
        card.observed["updated_at"] = card.unread["updated_at"] = answer.updated_at
        return delivery

    settle_each(entries, settle, now)
    return left_out


def failed(
    entries: Sequence[Entry],
    error: KommoError,
    *,
    call: Call,
    due_at: datetime,
    counts: bool,
    now: datetime,
    was_write: bool = True,
    waits_for: str = "",
) -> None:
    """Keep the cards of a call that brought nothing due, from `due_at` on.

    `counts` when the failure may be theirs: then each waits by its own count of failures, if that is longer. A call
    that only asked, or a write that was held back before it was declared (`was_write` False), tells nothing of an
    earlier write: what was awaited of that is awaited still.
    """
    # When the token had to be renewed first, the write itself was answered: it was refused, and not acted upon.
    was_about_the_token = purpose_of(error) is Purpose.TOKEN
    surely_not_applied = not was_write or was_about_the_token or getattr(error, "sent", None) is False
    outcome = Delivery.Outcome.FAILED if surely_not_applied else Delivery.Outcome.UNKNOWN
    over_at = now + LINGERS_FOR if getattr(error, "lingers", False) and not was_about_the_token else None
    may_have_made = not surely_not_applied and not _says_no(error)

    def settle(card: Card, entry: Entry) -> Delivery:
        if was_write:
            is_create = entry.plan.operation is Operation.CREATE
            card.write_settles_at = over_at or (now if is_create and may_have_made else None)
            card.unread = kept_forms.lost(card.unread, now) if may_have_made else card.unread
            if surely_not_applied and entry.card.create_intent_at is None:
                card.create_intent_at = None
        card.attempts += counts
        wait_until = due_at
        if counts:
            wait_until = max(due_at, now + backoff.delay(card.attempts, jitter=random.random()))
        if was_write and over_at and entry.plan.operation is Operation.UPDATE:
            # A create is looked up meanwhile.
            wait_until = max(wait_until, over_at)
        tries = card.tries_without_outcome
        delivery = _still_due(card, entry, outcome, call, now, due_at=wait_until)
        if not was_write:
            card.tries_without_outcome = tries
        if wait_until > now:
            card.state = Card.State.RETRYING
        card.last_error = str(error)[:500]
        card.waiting_reason = waits_for or card.last_error
        delivery.error = str(error)[:1000]
        return delivery

    settle_each(entries, settle, now)


def _says_no(error: KommoError) -> bool:
    """Say whether Kommo's answer is a refusal: nothing of the request was done."""
    if error.status_code in ABOUT_THE_MOMENT:
        return False
    return isinstance(error, (KommoAccessError, KommoNotFoundError, KommoRateLimitError, KommoRejectedError))


def put_back(entries: Sequence[Entry], *, reason: str, call: Call, now: datetime) -> None:
    """Keep cards due that were refused only for the company they travelled in: nothing of theirs was applied."""

    def settle(card: Card, entry: Entry) -> Delivery:
        card.write_settles_at = None
        delivery = _still_due(card, entry, Delivery.Outcome.FAILED, call, now, due_at=now)
        card.last_error = card.waiting_reason = delivery.error = reason[:500]
        return delivery

    settle_each(entries, settle, now)


def refused(verdicts: Sequence[tuple[Entry, KommoError, Action]], *, call: Call, now: datetime) -> None:
    """Set aside the cards whose write Kommo will never take, each with the reason a person can act on."""
    verdict_by_card = {entry.card.pk: (error, action) for entry, error, action in verdicts}
    states = {Action.GONE: Card.State.GONE, Action.BLOCKED: Card.State.BLOCKED}

    def settle(card: Card, entry: Entry) -> Delivery:
        error, action = verdict_by_card[card.pk]
        card.write_settles_at = None
        if loss_reason_after_move.asks_for_two_steps(card, entry, error):
            card.loss_reason_after_move = True
            card.in_doubt = {}
            delivery = _still_due(card, entry, Delivery.Outcome.REFUSED, call, now, due_at=now)
            delivery.error = several([str(error), Reason("move_goes_first")])[:1000]
            return delivery
        # Refused as a whole: none of it happened.
        card.in_doubt, card.create_intent_at = {}, None
        card.refused_plan = entry.plan.fingerprint
        return _stuck(card, entry, states.get(action, Card.State.DEAD), str(error), call, now)

    settle_each([entry for entry, _, _ in verdicts], settle, now)


def leave_out(
    verdicts: Sequence[tuple[Entry, KommoError, Action]], catalogue: Catalogue | None, *, call: Call, now: datetime
) -> list[Entry]:
    """Keep due the cards whose refusal names parts that can be left out, and return them: the rest of each goes on."""
    parts_by_card: dict[int, dict[str, Rejection]] = {}
    for entry, error, action in verdicts:
        if action is not Action.GONE and not loss_reason_after_move.asks_for_two_steps(entry.card, entry, error):
            parts = refused_parts.named(entry.plan.body, getattr(error, "items", ()))
            new = parts.keys() - entry.card.refused_parts.keys()
            # Refused again although it was left out: it cannot be that part, or not that part alone.
            if parts and (new or any(_is_due_again(entry, part, catalogue) for part in parts)):
                parts_by_card[entry.card.pk] = parts
    kept = [entry for entry, *_ in verdicts if entry.card.pk in parts_by_card]

    def settle(card: Card, entry: Entry) -> Delivery:
        card.in_doubt, card.create_intent_at, card.write_settles_at = {}, None, None
        delivery = _still_due(card, entry, Delivery.Outcome.REFUSED, call, now, due_at=now)
        texts: list[str] = []
        for part, item in parts_by_card[card.pk].items():
            texts.append(sentence := _left_out_because(entry, part, item))
            card.refused_parts[part] = {
                "reason": sentence,
                "cause": refused_parts.cause(part, entry.wanted, catalogue, entry.card.observed),
                "on": now.date().isoformat(),
            }
        delivery.error = about(several(texts), "everything else is sent without it")[:1000]
        card.last_error = card.waiting_reason = delivery.error[:500]
        return delivery

    settle_each(kept, settle, now)
    return kept


def _is_due_again(entry: Entry, part: str, catalogue: Catalogue | None) -> bool:
    known = entry.card.refused_parts.get(part)
    return known is None or known["cause"] != refused_parts.cause(part, entry.wanted, catalogue, entry.card.observed)


def _left_out_because(entry: Entry, part: str, item: Rejection) -> str:
    """Say which part Kommo refuses, and why, in words a person can act on."""
    kind, _, name = part.partition(":")
    label = name or kind
    if kind == "field":
        mappings = rulebook(entry.card.lead.pipeline).field_mappings
        label = next(
            (mapping.kommo_field for mapping in mappings if str(mapping.kommo_field_id) == name), f"field {name}"
        )
    return Reason("kommo_refuses_part", a=label, rest=item.detail or item.code)


def nothing_to_send(entries: Sequence[Entry], *, now: datetime) -> None:
    """Settle the cards whose plan is empty: in agreement, or blocked by a configuration that is missing."""

    def settle(card: Card, entry: Entry) -> None:
        if card.wanted_version != entry.version:
            # The lead has moved on meanwhile, and what it calls for now is not nothing.
            return
        if reason := entry.plan.refusal or several(entry.plan.unmapped):
            leave_the_outbox(card, Card.State.BLOCKED, reason)
        else:
            _agree(card, now)

    settle_each(entries, settle, now)


def park(entries: Sequence[Entry], why: Callable[[Entry], str], *, now: datetime) -> list[Entry]:
    """Set aside the cards that `why` gives a reason for; return the others."""
    reasons = {entry.card.pk: why(entry) for entry in entries}

    def settle(card: Card, entry: Entry) -> None:
        if card.wanted_version == entry.version:
            card.last_error = reasons[card.pk][:1000]
            leave_the_outbox(card, Card.State.DEAD, reasons[card.pk])

    settle_each([entry for entry in entries if reasons[entry.card.pk]], settle, now)
    return [entry for entry in entries if not reasons[entry.card.pk]]


def park_unplannable(card: Card, error: Exception, *, now: datetime) -> None:
    """Set aside a card whose plan cannot be made: a mistake of ours or of the configuration, and no other card's."""
    reason = about(Reason("not_computed"), f"{type(error).__name__}: {error}")
    standing = Card.objects.filter(pk=card.pk, wanted_version=card.wanted_version).exclude(state__in=AWAY)
    if not standing.update(
        state=Card.State.DEAD, due_at=None, pending_since=None, waiting_reason=reason[:500], last_error=reason[:1000]
    ):
        return
    Event.objects.create(
        lead_id=card.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.BRIDGE, reason=reason[:500]
    )


def would_send(entries: Sequence[Entry], *, now: datetime) -> None:
    """Show what would be sent, once per plan, and send nothing (shadow mode)."""

    def settle(card: Card, entry: Entry) -> Delivery | None:
        if card.wanted_version == entry.version:
            leave_the_outbox(card, Card.State.SHOWN, Reason("shadow_would_have_been_sent"))
        if card.shadow_plan == entry.plan.fingerprint:
            return None
        card.shadow_plan = entry.plan.fingerprint
        return delivery_of(card, entry, Delivery.Outcome.WOULD_SEND, Call(), now)

    settle_each(entries, settle, now)


def reload(entries: Iterable[Entry]) -> list[Card]:
    """Return the entries' cards as they are now, with what planning needs."""
    ids = [entry.card.pk for entry in entries]
    cards = Card.objects.filter(pk__in=ids, state__in=Card.PENDING)
    return list(cards.select_related("lead__pipeline", "lead__stage").prefetch_related("lead__objections"))


def cards_by_kommo_id(entries: Sequence[Entry], ids: list[int]) -> dict[int, int]:
    """Return Kommo lead id -> card, for the leads that cards of the entries' account show already."""
    account_ids = {entry.card.account_id for entry in entries}
    rows = Card.objects.filter(account__in=account_ids, kommo_lead_id__in=ids).values_list("kommo_lead_id", "pk")
    return {kommo_id: pk for kommo_id, pk in rows if kommo_id is not None}


def _delivered(card: Card, entry: Entry, call: Call, now: datetime) -> Delivery:
    delivery = delivery_of(card, entry, Delivery.Outcome.DELIVERED, call, now)
    effect = entry.plan.effect
    doubts = contested(effect, entry.card.observed, card.observed)
    card.observed = apply(card.observed, effect)
    card.observed_at = card.synced_at = now
    card.agreed = card.observed
    lead = entry.card.lead
    tag_rules = rulebook(lead.pipeline).tag_rules
    card.said_tags = said_after_write(card, effect, tag_rules)
    card.ownership = after_write(card, effect, lead, tag_rules, now)
    card.in_doubt, card.create_intent_at = doubts, None
    card.unread = kept_forms.sent(card.unread, effect)
    card.attempts = card.tries_without_outcome = 0
    card.last_error = card.refused_plan = card.shadow_plan = ""
    visited = effect.get("status_id") in card.stages_to_visit
    if visited:
        # With what was to be visited before it and is not in Kommo any more.
        card.stages_to_visit = card.stages_to_visit[card.stages_to_visit.index(effect["status_id"]) + 1 :]
    if "loss_reason_id" in effect:
        card.loss_reason_after_move = False
    if "name" in effect and card.kommo_contact_id and card.observed_contact.get("name") != card.observed["name"]:
        card.contact_due_at = now
    if (
        card.wanted_version != entry.version
        or visited
        or doubts
        or loss_reason_after_move.reason_is_missing(card, entry)
    ):
        card.state, card.due_at, card.waiting_reason = Card.State.DUE, now, ""
        if card.wanted_version != entry.version and not visited:
            # What waits now came while the call was under way: a lead that never rests is no card that never arrives.
            card.pending_since = now - timedelta(milliseconds=call.duration_ms or 0)
    elif entry.plan.unmapped:
        leave_the_outbox(card, Card.State.BLOCKED, "; ".join(entry.plan.unmapped))
    else:
        _agree(card, now)
    return delivery


def _agree(card: Card, now: datetime) -> None:
    card.agreed = card.observed
    # What is left on its way now is not in Kommo any more.
    card.stages_to_visit = []
    card.synced_at = now
    card.attempts = card.tries_without_outcome = 0
    card.last_error = ""
    leave_the_outbox(card, Card.State.IN_SYNC, "")


def _stuck(card: Card, entry: Entry, state: Card.State, reason: str, call: Call, now: datetime) -> Delivery:
    delivery = delivery_of(card, entry, Delivery.Outcome.REFUSED, call, now)
    delivery.error = reason[:1000]
    card.tries_without_outcome = 0
    card.last_error = reason[:1000]
    if card.wanted_version == entry.version or state is Card.State.GONE:
        leave_the_outbox(card, state, reason)
    else:
        # The lead has moved on meanwhile: what it calls for now may well be taken.
        card.state, card.due_at = Card.State.DUE, now
    return delivery


def _not_named(card: Card, entry: Entry, call: Call, now: datetime) -> Delivery:
    # The rest of a batch that was applied in part goes at once; what is left out again and again waits.
    wait = backoff.delay(card.attempts, jitter=random.random()) if card.attempts else timedelta(0)
    delivery = _still_due(card, entry, Delivery.Outcome.FAILED, call, now, due_at=now + wait)
    card.attempts += 1
    delivery.error = Reason("answer_does_not_name_lead")
    card.last_error = card.waiting_reason = delivery.error
    if wait:
        card.state = Card.State.RETRYING
    return delivery


def _still_due(
    card: Card, entry: Entry, outcome: Delivery.Outcome, call: Call, now: datetime, *, due_at: datetime
) -> Delivery:
    card.state, card.due_at = Card.State.DUE, due_at
    card.waiting_reason = ""
    card.pending_since = card.pending_since or now
    card.tries_without_outcome = 0
    return delivery_of(card, entry, outcome, call, now)
