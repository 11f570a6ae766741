"""Leads born in Kommo: linked to the lead we know by phone, or taken in as a lead without a conversation.

What is taken in is adopted whole (bridge/inbound/adoption.py) and wanted as it is: taking in changes nothing in Kommo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from bridge.cards import nudge
from bridge.inbound import (
    adoption,
    cards_of_joined_leads,
    merged_in_kommo,
    people_on_cards,
    probe_lead,
    unreadable_cards,
    unreadable_leads,
    which_of_several_cards,
)
from bridge.inbound.people_on_cards import Numbers
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, WebhookItem
from common.reasons import Reason
from leads import address_owners, addresses, erasure, handoff, optout
from leads.models import Event, Lead, Pipeline

INCOMING = 1  # the type of the status of leads nobody has accepted yet

Result = WebhookItem.Result


def our_pipelines(account: Account) -> dict[int, Pipeline]:
    """Return the pipelines whose cards this account holds, by Kommo's id."""
    rows = Pipeline.objects.filter(account_link__account=account, kommo_pipeline_id__isnull=False)
    return {row.kommo_pipeline_id: row for row in rows if row.kommo_pipeline_id is not None}


def would_take_in(account: Account, replies: Sequence[LeadReply], catalogue: Catalogue | None) -> list[int]:
    """Return the ids of the leads that `take_in` would look at: in our pipelines, accepted, and nobody's card yet."""
    pipelines = our_pipelines(account) if replies else {}
    readable = [reply for reply in replies if reply.pipeline_id in pipelines and not reply.unreadable]
    wanted = [reply for reply in readable if not _is_nobodys(reply, catalogue)]
    ours = _cards_they_name(account, wanted)
    return [reply.id for reply in wanted if str(_bridge_id(account, reply)) not in ours]


def take_in(
    account: Account,
    replies: Sequence[LeadReply],
    client: KommoClient,
    catalogue: Catalogue | None,
    *,
    now: datetime,
    lane: Lane = Lane.BULK,
) -> dict[int, tuple[str, str]]:
    """Link or take in leads that no card of ours shows. Raises KommoError.

    Returns Kommo id -> what became of each (of a card whose place one took, too), and what went wrong with it: one that
    cannot be taken in keeps no other, is told and read again (bridge/inbound/unreadable_leads.py).
    Leads of pipelines that are not ours, and those still in Incoming leads, stay Kommo's own. Costs one call for the
    contacts of up to 250 leads.
    """
    results = {reply.id: (Result.IGNORED.value, "") for reply in replies}
    pipelines = our_pipelines(account) if replies else {}
    results |= {reply.id: (Result.FAILED.value, reply.unreadable) for reply in replies if _is_odd(reply, pipelines)}
    readable = [reply for reply in replies if reply.pipeline_id in pipelines and not reply.unreadable]
    left = cards_of_joined_leads.left_behind([reply.id for reply in readable]) if readable else set()
    wanted = [reply for reply in readable if reply.id not in left and not _is_nobodys(reply, catalogue)]
    ours = _cards_they_name(account, wanted)
    strangers: list[LeadReply] = []
    for reply in wanted:
        card = ours.get(str(_bridge_id(account, reply)))
        if card is None:
            strangers.append(reply)
        else:
            results[reply.id] = (_known_by_our_id(card, reply, catalogue, now), "")
    contacts = people_on_cards.ask(
        account, client, (contact_id for reply in strangers for contact_id in reply.contact_ids), lane, now=now
    )
    # Without contacts nobody can say whose they are: they wait, and nobody else does.
    waiting = {reply.id: people_on_cards.NO_CONTACTS for reply in strangers if contacts is None and reply.contact_ids}
    results |= {kommo_id: (Result.IGNORED.value, reason) for kommo_id, reason in waiting.items()}
    for reply in strangers:
        if reply.id in waiting:
            continue
        with unreadable_cards.each_by_itself("take-in", reply.id) as failure:
            pipeline = pipelines[reply.pipeline_id]
            theirs = people_on_cards.numbers_of(reply, contacts or {}, pipeline, catalogue)
            became = _link_or_make(account, reply, pipeline, theirs, catalogue, now)
            results |= {kommo_id: (result, "") for kommo_id, result in became.items()}
        if failure.error:
            results[reply.id] = (Result.FAILED.value, failure.error)
    failed = {kommo_id: error for kommo_id, (result, error) in results.items() if result == Result.FAILED}
    unreadable_leads.note(account, failed | waiting, now=now)
    unreadable_leads.over(account, results.keys() - failed.keys() - waiting.keys())
    return results


def _is_odd(reply: LeadReply, pipelines: Mapping[int, Pipeline]) -> bool:
    """Say whether a lead cannot be read and may be ours: where its pipeline can be read, others' are none of ours."""
    return bool(reply.unreadable) and (not reply.pipeline_id or reply.pipeline_id in pipelines)


def _is_nobodys(reply: LeadReply, catalogue: Catalogue | None) -> bool:
    """Say whether a lead is none of ours yet, or ever: still incoming, or made to look how the account behaves."""
    return is_incoming(reply, catalogue) or probe_lead.is_one(reply)


def is_incoming(reply: LeadReply, catalogue: Catalogue | None) -> bool:
    status = catalogue.status(reply.pipeline_id, reply.status_id) if catalogue else None
    return bool(status and status["type"] == INCOMING)


def places_of_incoming(account: Account, catalogue: Catalogue | None) -> list[tuple[int, int]]:
    """Return the places (pipeline, status) in our pipelines where leads wait that nobody has accepted yet."""
    return [
        (pipeline["id"], status["id"])
        for pipeline in (catalogue.pipelines if catalogue else ())
        for status in pipeline["statuses"]
        if status["type"] == INCOMING and pipeline["id"] in our_pipelines(account)
    ]


def _bridge_id(account: Account, reply: LeadReply) -> UUID | None:
    """Return the id of ours that a lead carries; None for none, and for whatever else stands in that field."""
    bridge_id = reply.field_value(account.bridge_id_field_id) if account.bridge_id_field_id else None
    try:
        return UUID(str(bridge_id)) if bridge_id else None
    except ValueError:
        return None


def _cards_they_name(account: Account, replies: Sequence[LeadReply]) -> dict[str, Card]:
    """Return lead id -> card, for the leads of ours these carry the id of."""
    named = {found for reply in replies if (found := _bridge_id(account, reply))}
    cards = Card.objects.filter(account=account, lead_id__in=named).select_related("lead") if named else ()
    return {str(card.lead_id): card for card in cards}


def _known_by_our_id(card: Card, reply: LeadReply, catalogue: Catalogue | None, now: datetime) -> str:
    """Our own create before its answer was settled; or what a vanished lead was merged into; or a copy of a card."""
    if card.lead.erased_at:
        # Made before its person was erased, as it turns out: known by its ids, nothing more is kept of it.
        ids = {"kommo_lead_id": reply.id, "kommo_contact_id": reply.main_contact_id}
        Card.objects.filter(pk=card.pk, kommo_lead_id=None).update(**ids)
        return Result.FORGOTTEN
    if card.kommo_lead_id is None:
        return _made_by_us(card, reply, catalogue, now)
    if card.state == Card.State.GONE:
        return Result.ADOPTED if merged_in_kommo.relink(card, reply, catalogue, now=now) else Result.UNCHANGED
    # Copied together with its fields: a deal of the sales staff's own.
    return Result.IGNORED


def _made_by_us(card: Card, reply: LeadReply, catalogue: Catalogue | None, now: datetime) -> str:
    """Let a create whose answer was lost be looked up now; one that nobody awaits any more is linked."""
    waiting = Card.objects.filter(pk=card.pk, kommo_lead_id=None)
    if card.create_intent_at:
        if waiting.filter(state=Card.State.RETRYING, create_intent_at__isnull=False).update(due_at=now):
            nudge.send_on_commit(card.account_id)
        return Result.ECHO
    reason = Reason("earlier_create_had_succeeded", number=reply.id)
    linked = adoption.link(card.pk, reply, catalogue, read_at=now, now=now, found_by="link", reason=reason)
    return Result.ADOPTED if linked else Result.UNCHANGED


def _link_or_make(
    account: Account,
    reply: LeadReply,
    pipeline: Pipeline,
    theirs: Numbers,
    catalogue: Catalogue | None,
    now: datetime,
) -> dict[int, str]:
    """Return Kommo id -> what became of the lead, and of the one in whose place it is its person's card now."""
    try:
        with transaction.atomic():
            known = _known(pipeline, [*theirs.keys, *_contacts(reply)])
            if known:
                return _link_to(known, account, reply, theirs, catalogue, now)
            if any(erasure.is_unwelcome(key) for key in theirs.keys):
                return {reply.id: Result.FORGOTTEN}
            _new_lead(account, reply, pipeline, theirs, catalogue, now)
            return {reply.id: Result.ADOPTED}
    except IntegrityError:
        # Somebody else took it in, or the first message of this person arrived, at this very moment.
        return {reply.id: Result.UNCHANGED}


def _contacts(reply: LeadReply) -> list[str]:
    """Return the contacts of a lead as addresses: somebody may be known by their chat alone."""
    ids = sorted(reply.contact_ids, key=lambda contact_id: contact_id != reply.main_contact_id)
    return [addresses.parse("kommo_contact", str(contact_id), region="").key for contact_id in ids]


def _known(pipeline: Pipeline, keys: Sequence[str]) -> list[Lead]:
    """Return the leads that have any of these addresses, locked; in the order of the addresses."""
    owners = address_owners.owners(pipeline, keys)
    ids = list(dict.fromkeys(owners[key] for key in keys if key in owners))
    # The lead's row alone is locked.
    locked = Lead.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline", "stage")
    rows = {lead.pk: lead for lead in locked.filter(pk__in=ids).order_by("pk")}
    return [rows[pk] for pk in ids if pk in rows]


def _link_to(
    known: Sequence[Lead],
    account: Account,
    reply: LeadReply,
    theirs: Numbers,
    catalogue: Catalogue | None,
    now: datetime,
) -> dict[int, str]:
    for lead in known:
        card = Card.objects.select_for_update(no_key=True).filter(lead=lead).first()
        if card is None:
            card = Card.objects.create(lead=lead, account=account, due_at=now, pending_since=now)
        elif card.state == Card.State.CLOSED or (card.create_intent_at and not card.kommo_lead_id):
            continue
        elif card.kommo_lead_id and card.state != Card.State.GONE:
            former = card.kommo_lead_id
            if which_of_several_cards.takes_its_place(card, lead, reply, catalogue, now=now):
                people_on_cards.keep(
                    Card.objects.select_related("lead__pipeline").get(pk=card.pk), reply, theirs, now=now
                )
                return {reply.id: Result.ADOPTED, former: Result.IGNORED}
            # This person has a card: a second lead of theirs in Kommo is a deal of the sales staff's own.
            which_of_several_cards.heed_care(lead, reply, now=now)
            continue
        reason = Reason("linked_to_lead_of_person", number=reply.id)
        if adoption.link(card.pk, reply, catalogue, read_at=now, now=now, found_by="link", reason=reason):
            people_on_cards.keep(card, reply, theirs, now=now)
            return {reply.id: Result.ADOPTED}
    return {reply.id: Result.IGNORED}


def _new_lead(
    account: Account,
    reply: LeadReply,
    pipeline: Pipeline,
    theirs: Numbers,
    catalogue: Catalogue | None,
    now: datetime,
) -> None:
    phone = people_on_cards.called_by(theirs, reply.main_contact_id)
    lead = Lead(
        pipeline=pipeline,
        phone=phone.e164 if phone else None,
        phone_key=phone.key if phone else None,
        decision_reason=Reason("found_in_kommo"),
        # As old as its card: whoever counts new leads counts nobody as new because we were connected.
        created_at=_made_at(reply, now),
        updated_at=now,
    )
    erasure.meet([lead])
    optout.meet([lead], now=now)
    card = Card(lead=lead, account=account, state=Card.State.IN_SYNC, synced_at=now)
    adoption.take_in(card, lead, reply, catalogue, now=now)
    # Without the signal: there is nothing to deliver to a card that was just read.
    Lead.objects.bulk_create([lead])
    card.save()
    reason = Reason("taken_in_from_kommo", number=reply.id)
    lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.KOMMO, reason=reason)
    people_on_cards.keep(card, reply, theirs, now=now)
    handoff.follow_stage(lead, by=Lead.Actor.STAFF, now=now, found=True)


def _made_at(reply: LeadReply, now: datetime) -> datetime:
    """Return when a lead was made in Kommo; now where that is not told, or lies ahead."""
    try:
        return min(now, datetime.fromtimestamp(reply.created_at, UTC)) if reply.created_at > 0 else now
    except (ValueError, OverflowError, OSError):
        return now
