"""Whose lead is an interaction about? Found by any of the addresses and locked, or made; new addresses are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from common.reasons import Reason
from common.statements import JsonArray, Select, insert, insert_missing
from leads import address_owners, erasure, joining, optout
from leads.addresses import Address
from leads.interaction_events import bridge_event
from leads.interaction_values import Interaction, Recorded
from leads.models import Event, FurtherAddress, Lead, Objection, Pipeline
from leads.rulebook import Rulebook

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


class ErasedMeanwhileError(Exception):
    """Somebody else stored the person's lead at this moment, and it was erased in the next: it is to be tried again."""


def leads_of(interactions: Sequence[Interaction], pipeline: Pipeline, book: Rulebook, now: datetime) -> list[Found]:
    """Return each person's lead, in order; those that are new are stored, and not yet announced."""
    # A phone alone is found at once, mostly. For all else it takes two looks.
    further = {
        key
        for interaction in interactions
        if len(interaction.keys) > 1 or interaction.phone is None
        for key in interaction.keys
    }
    address_owners.hold(pipeline.pk, further)
    owners = _locked(pipeline, book, [key for interaction in interactions for key in interaction.keys], further)
    found = [
        list(dict.fromkeys(lead for key in interaction.keys for lead in owners.get(key, ())))
        for interaction in interactions
    ]
    found = _one_lead_a_person(found, interactions, now)
    new = {
        place: _new_lead(interaction, pipeline, book, now)
        for place, (interaction, leads) in enumerate(zip(interactions, found, strict=True))
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
            if not theirs_by_key.get(str(lead.phone_key)):
                raise ErasedMeanwhileError
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


def remember_addresses(recorded: Sequence[Recorded], found: Sequence[Found], now: datetime) -> list[Event]:
    """Store what is new of people's addresses; return what to tell of it on their timelines.

    An address that is somebody else's stays theirs.
    """
    rows: dict[str, FurtherAddress] = {}
    for record, of in zip(recorded, found, strict=True):
        lead, interaction = record.lead, record.interaction
        known = {interaction.keys[0]} if record.created else set(lead.address_keys)
        known |= {key for other in of.others for key in other.address_keys}
        for address in interaction.all_addresses:
            if address.key in known:
                continue
            if address.phone and lead.phone is None and address_owners.call_by(lead, address.phone, now):
                record.changes.columns.add("phone")
            rows[address.key] = address_owners.row(
                lead, address.key, _value(address), seen_in=interaction.via or "report", at=now
            )
    if not rows:
        return []
    stored = insert_missing(list(rows.values()), returning="key")
    by_id = {record.lead.pk: record for record in recorded}
    events = []
    for key in (key for key in rows if key in stored):
        record = by_id[rows[key].lead_id]
        record.lead.__dict__["read_keys"] = [*(known for known in record.lead.further_keys if known != key), key]
        if not record.created:
            data = {"address": key, "channel": rows[key].seen_in}
            events.append(bridge_event(record.lead, now, Event.Kind.ADDRESS, Reason("new_address"), data))
    changed = optout.meet([by_id[pk].lead for pk in {row.lead_id for row in rows.values()}], now=now, further=True)
    for pk in changed:
        # A wish is the person's, by whichever of their addresses it was told.
        by_id[pk].changes.columns.add("opted_out_at")
    return events


def _value(address: Address) -> str:
    return address.phone.e164 if address.phone else address.value
