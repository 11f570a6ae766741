"""Whose address is this? A person has one on the lead's row and perhaps others; any of them finds the lead."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from leads import optout
from leads.addresses import Address, Kind
from leads.models import Event, FurtherAddress, Lead, Pipeline
from leads.phone import Phone

# Numbers begin so, and no other key does (leads/addresses.py).
PHONE_BEGINS = "+"
# Of these a card knows more than what was reported.
KNOWN_ELSEWHERE = f"{Kind.KOMMO_CONTACT}:"


def of_anybody(key: str) -> Q:
    """Return the condition for the leads of the person who has this address, in every pipeline."""
    return of_any([key])


def of_any(keys: Collection[str]) -> Q:
    """Return the condition for the leads of whoever has one of these addresses, in every pipeline.

    By their ids, each place asked by its index: of two conditions with "or" between them PostgreSQL reads every lead.
    """
    elsewhere = [lead_id for _, lead_id in known_elsewhere(keys)]
    more = [Lead.objects.filter(pk__in=elsewhere).order_by().values("pk")] if elsewhere else []
    return Q(pk__in=ids_with_any(keys, *more))


Elsewhere = Callable[[Collection[str]], Iterable[tuple[str, UUID]]]

_elsewhere: list[Elsewhere] = []


def ask_elsewhere(of: Elsewhere) -> None:
    """Let a room above say whose addresses of its own are: the contact on a card, say. Keys -> key and lead of each."""
    _elsewhere.append(of)


def known_elsewhere(keys: Collection[str]) -> list[tuple[str, UUID]]:
    """Return key and lead of those of these addresses that only a room above knows. No query for any but its own."""
    wanted = [key for key in keys if key.startswith(KNOWN_ELSEWHERE)]
    return [pair for of in _elsewhere if wanted for pair in of(wanted)]


def with_any(keys: Collection[str]) -> QuerySet[Any, Any]:
    """Return id and key of whoever has one of these addresses, in every pipeline: a row for each that is theirs."""
    first = Lead.objects.filter(phone_key__in=keys).order_by().values_list("pk", "phone_key")
    further = FurtherAddress.objects.filter(key__in=keys).order_by().values_list("lead_id", "key")
    return first.union(further)


def ids_with_any(keys: Collection[str], *more: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Return the ids of the leads of whoever has one of these addresses, in every pipeline; each place by its index.

    `more`: ids that are among them in any case.
    """
    first = Lead.objects.filter(phone_key__in=keys).order_by().values("pk")
    return first.union(FurtherAddress.objects.filter(key__in=keys).order_by().values("lead_id"), *more)


def of_same_people(leads: Collection[Lead]) -> dict[UUID, frozenset[UUID]]:
    """Return by the id of each lead all leads of its person, in every pipeline, itself among them.

    One person are leads that have an address in common, and those that have one in common with these. Two queries,
    and two for each step further.
    """
    keys_of = {lead.pk: {lead.phone_key} - {None} for lead in leads}
    _add_further(keys_of, keys_of)
    asked: set[str] = set()
    while news := {str(key) for keys in keys_of.values() for key in keys} - asked:
        asked |= news
        strangers: dict[UUID, set[str | None]] = {}
        for pk, key in with_any(news):
            known = keys_of if pk in keys_of else strangers
            known.setdefault(pk, set()).add(key)
        if strangers:
            for pk, key in Lead.objects.filter(pk__in=strangers, phone_key__isnull=False).values_list(
                "pk", "phone_key"
            ):
                strangers[pk].add(key)
            _add_further(strangers, strangers)
            keys_of |= strangers
    groups = _connected(keys_of)
    return {lead.pk: groups[lead.pk] for lead in leads}


def _add_further(keys_of: dict[UUID, set[str | None]], lead_ids: Iterable[UUID]) -> None:
    for pk, key in FurtherAddress.objects.filter(lead__in=list(lead_ids)).values_list("lead_id", "key"):
        keys_of[pk].add(key)


def _connected(keys_of: Mapping[UUID, set[str | None]]) -> dict[UUID, frozenset[UUID]]:
    """Put leads together that have a key in common, directly or by others. Pure."""
    groups: dict[UUID, set[UUID]] = {pk: {pk} for pk in keys_of}
    by_key: dict[str | None, UUID] = {}
    for pk, keys in keys_of.items():
        for key in keys:
            other = by_key.setdefault(key, pk)
            if groups[other] is not groups[pk]:
                small, large = sorted((groups[other], groups[pk]), key=len)
                large |= small
                groups |= dict.fromkeys(small, large)
    frozen = {id(group): frozenset(group) for group in groups.values()}
    return {pk: frozen[id(group)] for pk, group in groups.items()}


def owners(pipeline: Pipeline, keys: Iterable[str]) -> dict[str, UUID]:
    """Return whose address each is in a pipeline, by key, for those that are somebody's."""
    wanted = set(keys)
    if not wanted:
        return {}
    further = FurtherAddress.objects.filter(pipeline=pipeline, key__in=wanted).values_list("key", "lead_id")
    first = Lead.objects.filter(pipeline=pipeline, phone_key__in=wanted).values_list("phone_key", "pk")
    return dict(further) | {str(key): pk for key, pk in first}


def leads_with(keys: Collection[str]) -> dict[str, set[UUID]]:
    """Return the leads that have each of these addresses, in every pipeline. Two queries."""
    found: dict[str, set[UUID]] = {}
    further = FurtherAddress.objects.filter(key__in=keys).values_list("key", "lead_id")
    first = Lead.objects.filter(phone_key__in=keys).values_list("phone_key", "pk")
    for key, pk in (*further, *first):
        found.setdefault(str(key), set()).add(pk)
    return found


def hold(pipeline_id: int, keys: Collection[str]) -> None:
    """Let nobody else make out whose these addresses are until the transaction ends.

    Two constraints guard an address, one for each place it may stand in, and none sees both. SQLite has one writer.
    """
    if connection.vendor != "postgresql" or not keys:
        return
    marks = sorted(_mark(f"{pipeline_id}:{key}") for key in keys)
    with connection.cursor() as cursor:
        # In one order, so that two wait for each other instead of for ever.
        cursor.execute("SELECT pg_advisory_xact_lock(mark) FROM unnest(%s::bigint[]) AS mark", [marks])


def _mark(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)


def row(lead: Lead, key: str, value: str, *, seen_in: str, at: datetime) -> FurtherAddress:
    """Return a further address of a lead, not yet stored."""
    return FurtherAddress(
        lead=lead, pipeline_id=lead.pipeline_id, value=value, key=key, seen_in=seen_in[:40], first_seen_at=at
    )


def learn(
    lead: Lead,
    phones: Sequence[Phone],
    *,
    seen_in: str,
    now: datetime,
    corrects: bool = False,
    may_be_another: bool = False,
) -> bool:
    """Let a lead have these numbers, which stand together in one place; say whether anything about it is new.

    One that is another person's stays theirs. Those that stood there before and do not any more are forgotten. A lead
    without a number gets the first of them on its row; with `corrects` also one whose number nobody has used yet. Where
    others may stand too, with `may_be_another`, only one that has no address at all, and no living person's elsewhere.
    """
    keys = {phone.key for phone in phones}
    stood = FurtherAddress.objects.filter(lead=lead, seen_in=seen_in, key__startswith=PHONE_BEGINS)
    gone, _ = stood.exclude(key__in=keys).delete()
    known = owners(lead.pipeline, keys)
    new = list({phone.key: phone for phone in phones if phone.key not in known}.values())
    changed = bool(gone)
    if may_be_another and new:
        calls = lead.phone_key is None and not is_of_a_living_lead(new[0].key)
    else:
        calls = lead.phone is None or (corrects and not has_talked(lead))
    if new and calls:
        changed |= call_by(lead, new.pop(0), now)
    rows = [row(lead, phone.key, phone.e164, seen_in=seen_in, at=now) for phone in new]
    FurtherAddress.objects.bulk_create(rows, ignore_conflicts=True)
    if rows and optout.meet([lead], now=now, further=True):
        # A wish is the person's, by whichever of their addresses it was told.
        Lead.objects.filter(pk=lead.pk, opted_out_at=None).update(opted_out_at=lead.opted_out_at, updated_at=now)
    return changed or bool(rows)


def introduce(lead: Lead, addresses: Sequence[Address], *, now: datetime) -> None:
    """Give a lead that has no address yet its first ones, which are nobody's; a number goes on its row."""
    first, *others = sorted(addresses, key=lambda address: address.phone is None)
    if first.phone:
        call_by(lead, first.phone, now)
    else:
        try:
            with transaction.atomic():
                Lead.objects.filter(pk=lead.pk, phone_key=None).update(phone_key=first.key, updated_at=now)
        except IntegrityError:
            return
    rows = [
        row(lead, address.key, address.value, seen_in="report", at=now)
        for address in others
        if address.key != first.key
    ]
    FurtherAddress.objects.bulk_create(rows, ignore_conflicts=True)


def is_of_a_living_lead(key: str) -> bool:
    """Say whether this is the first address of anybody, in whatever pipeline."""
    return Lead.objects.filter(phone_key=key, erased_at=None).exists()


def has_talked(lead: Lead) -> bool:
    """Say whether anything of a conversation with this person was ever reported."""
    return lead.events.filter(kind=Event.Kind.INTERACTION).exists()


def call_by(lead: Lead, phone: Phone, now: datetime) -> bool:
    """Give the lead its number; False when somebody else of the pipeline took it at this moment.

    The other address it was known by until now becomes one of its further ones.
    """
    before, former = lead.phone_key, lead.phone_key if lead.phone is None else None
    try:
        with transaction.atomic():
            lead.phone, lead.phone_key = phone.e164, phone.key
            if former and lead.last_inbound_at:
                lead.written_from = lead.written_from or former
            # A number that is corrected was never theirs; another address was.
            lead.first_key = lead.first_key or former or ""
            optout.meet([lead], now=now)
            said_at = lead.opted_out_at
            changed = Lead.objects.filter(pk=lead.pk, phone_key=before).update(
                phone=phone.e164,
                phone_key=phone.key,
                written_from=lead.written_from,
                first_key=lead.first_key,
                opted_out_at=said_at,
                updated_at=now,
            )
            if changed and former:
                stays = row(lead, former, former.partition(":")[2], seen_in="", at=lead.created_at)
                FurtherAddress.objects.bulk_create([stays], ignore_conflicts=True)
                lead.__dict__.pop("read_keys", None)
            return bool(changed)
    except IntegrityError:
        lead.phone, lead.phone_key = (None, before) if former else (lead.phone, before)
        return False
