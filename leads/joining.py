"""When leads turn out to be one person: joined when at most one of them has a card, shown to staff otherwise.

They turn out to be by an address that belongs to one and is told together with an address of the other; never by a
name. The older lead stays. Of each fact the newer one stands, of the place in the pipeline what a person set, or else
what lies further ahead; everything that hangs on the other lead hangs on this one from then on, and whoever knows the
other one's id is answered with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models import Q

from common.reasons import Reason
from leads import announcements, meetings, which_fact_stands
from leads.models import (
    ATTRIBUTES,
    Event,
    FurtherAddress,
    JoinedLead,
    Lead,
    Meeting,
    Message,
    NameWord,
    Objection,
    ProbablySame,
)

REASON = Reason("one_person_by_shared_address")
PLACE = (
    "stage", "other_stage_name", "stage_set_by", "stage_set_at", "stage_before_meeting", "decision_reason",
    "concluded_when_moved",
)  # fmt: skip
HANDOFF = ("handoff_source", "handoff_since", "handoff_reason", "handoff_until")
LATEST = ("last_inbound_at", "last_outbound_at", "last_staff_at", "resumed_at", "back_since_erasure_of")


class BothHaveCardsError(Exception):
    """Each of the leads has a card in Kommo: only a person may join them."""


def bring_together(leads: Sequence[Lead], keys: Iterable[str], *, now: datetime) -> list[Lead]:
    """Join leads that one report calls one person, as far as that may be; return what is left, the right one first.

    The leads' rows are locked.
    """
    oldest, *others = sorted(leads, key=lambda lead: (lead.created_at, lead.pk))
    left = [oldest]
    for other in others:
        if _may_join(oldest, other, keys, now):
            join(oldest, other, by=Lead.Actor.BRIDGE, reason=REASON, now=now)
        else:
            left.append(other)
    return sorted(left, key=lambda lead: lead.pk != leads[0].pk)


def _may_join(older: Lead, younger: Lead, keys: Iterable[str], now: datetime) -> bool:
    """Say whether two leads may be joined without asking anybody; ask staff where not."""
    pair = ProbablySame.objects.filter(older=older, younger=younger)
    if pair.filter(are_two=True).exists():
        return False
    if len(_with_cards([older.pk, younger.pk])) < 2:
        return True
    evidence = sorted(set(keys))
    row, is_new = ProbablySame.objects.get_or_create(
        older=older,
        younger=younger,
        defaults={"evidence": evidence, "first_seen_at": now, "last_seen_at": now},
    )
    if not is_new:
        pair.update(evidence=sorted({*row.evidence, *evidence}), last_seen_at=now)
    return False


def _with_cards(lead_ids: Sequence[UUID]) -> set[UUID]:
    answers: list[tuple[Any, Any]] = announcements.cards_wanted.send(Lead, lead_ids=lead_ids)
    return set().union(*(found for _, found in answers))


@transaction.atomic
def join_by_hand(pair: ProbablySame, *, name: str, now: datetime) -> Lead | None:
    """Join two leads because a person says that they are one; None when one of them is gone meanwhile.

    The older lead's card stays theirs. The other card stays in Kommo as it is, and nobody's here.
    """
    rows = Lead.objects.select_for_update(of=("self",)).select_related("pipeline", "stage").order_by("pk")
    found = {lead.pk: lead for lead in rows.filter(pk__in=[pair.older_id, pair.younger_id], erased_at=None)}
    if len(found) < 2:
        return None
    lead, other = found[pair.older_id], found[pair.younger_id]
    join(lead, other, by=Lead.Actor.STAFF, reason=Reason("joined_by", a=name), now=now)
    return lead


def join(lead: Lead, other: Lead, *, by: Lead.Actor, reason: str, now: datetime) -> None:
    """Let `lead` be both leads from now on; both rows are locked, and `other` is no more afterwards."""
    former, data = other.pk, {"lead": str(other.pk), "addresses": other.address_keys}
    has_cards = _with_cards([lead.pk, other.pk])
    # Rooms above move what may not simply change its lead, and say which card is left behind, if one is.
    answers = announcements.leads_joining.send(Lead, lead=lead, other=other, now=now)
    left_behind = next((card for _, card in answers if card), None)
    rows = _addresses(lead, other)
    _merge_facts(lead, other)
    _merge_place(lead, other, has_cards, now)
    _move_rows(lead, other)
    Lead.objects.filter(pk=other.pk).delete()
    _merge_meetings(lead, other, now)
    lead.updated_at = now
    lead.save()
    FurtherAddress.objects.bulk_create(rows, ignore_conflicts=True)
    JoinedLead.objects.create(former_id=former, lead=lead, joined_at=now, kommo_lead_id=left_behind)
    lead.events.create(at=now, kind=Event.Kind.JOINED, actor=by, reason=reason, data=data)
    for name in ("read_keys", "_prefetched_objects_cache"):
        lead.__dict__.pop(name, None)
    lead.__dict__["objection_keys"] = list(lead.objections.values_list("key", flat=True))


# --- What each knew


def _addresses(lead: Lead, other: Lead) -> list[FurtherAddress]:
    """Let the lead be called as either was, a phone before all else; return the row of the key that has to yield."""
    last = max(
        (lead, other),
        key=lambda candidate: (
            candidate.last_inbound_at is not None,
            candidate.last_inbound_at or candidate.created_at,
        ),
    )
    written_from = last.written_from or last.phone_key or ""
    yielding, value, at = other.phone_key, other.phone, other.created_at
    if lead.phone is None and (other.phone or not lead.phone_key):
        yielding, value, at = lead.phone_key, None, lead.created_at
        # Who was drawn stays drawn (leads/served_leads.py).
        lead.first_key = lead.first_key or lead.phone_key or ""
        lead.phone, lead.phone_key = other.phone, other.phone_key
    lead.whatsapp_id = last.whatsapp_id or lead.whatsapp_id or other.whatsapp_id
    lead.written_from = "" if written_from == lead.phone_key else written_from
    if not yielding:
        return []
    return [
        FurtherAddress(
            lead=lead,
            pipeline_id=lead.pipeline_id,
            key=yielding,
            value=value or yielding.partition(":")[2],
            first_seen_at=at,
            seen_in="",
        )
    ]


def _merge_facts(lead: Lead, other: Lead) -> None:
    custom = [f"custom.{name}" for name in other.custom]
    for attribute in (*ATTRIBUTES, "conversation_stage", *custom, *other.provenance):
        if attribute in ("meeting", "objections") or not _is_newer(lead, other, attribute):
            continue
        _take(lead, other, attribute)
        if attribute in other.provenance:
            lead.provenance[attribute] = other.provenance[attribute]
    for attribute in ("meeting", "objections"):
        mine, theirs = lead.provenance.get(attribute, {}), other.provenance.get(attribute, {})
        if theirs.get("at", "") > mine.get("at", ""):
            lead.provenance[attribute] = theirs
        if cleared_at := max(mine.get("cleared_at", ""), theirs.get("cleared_at", "")):
            lead.provenance.setdefault(attribute, {})["cleared_at"] = cleared_at
    lead.concluded = list(dict.fromkeys([*(lead.concluded or ()), *(other.concluded or ())]))
    for column in LATEST:
        setattr(lead, column, max(filter(None, (getattr(lead, column), getattr(other, column))), default=None))
    lead.kommo_responsible_id = lead.kommo_responsible_id or other.kommo_responsible_id
    lead.opted_out_at = min(filter(None, (lead.opted_out_at, other.opted_out_at)), default=None)
    if other.in_handoff and not lead.in_handoff:
        for column in HANDOFF:
            setattr(lead, column, getattr(other, column))


def _is_newer(lead: Lead, other: Lead, attribute: str) -> bool:
    """Say whether what the other lead knows of this stands: it is newer, or nothing else is known."""
    mine, theirs = lead.provenance.get(attribute), other.provenance.get(attribute)
    if mine and theirs:
        return datetime.fromisoformat(theirs["at"]) > datetime.fromisoformat(mine["at"])
    # What was said stands over what was found, also where it was that there is nothing.
    speaks = [
        _value(candidate, attribute) not in (None, "") or which_fact_stands.was_taken_back(candidate, attribute)
        for candidate in (lead, other)
    ]
    if theirs and speaks[1]:
        return True
    return speaks[1] and not speaks[0]


def _value(lead: Lead, attribute: str) -> Any:
    if attribute.startswith("custom."):
        return lead.custom.get(attribute.removeprefix("custom."))
    return getattr(lead, attribute)


def _take(lead: Lead, other: Lead, attribute: str) -> None:
    if not attribute.startswith("custom."):
        setattr(lead, attribute, getattr(other, attribute))
    elif (name := attribute.removeprefix("custom.")) in other.custom:
        lead.custom[name] = other.custom[name]
    else:
        lead.custom.pop(name, None)


def _merge_place(lead: Lead, other: Lead, has_cards: set[UUID], now: datetime) -> None:
    """Let the lead stand where a person put either of them, else further ahead; it leaves the other place now."""
    stands = max((lead, other), key=lambda candidate: _claim(candidate, has_cards))
    yields = other if stands is lead else lead
    yields.stays.filter(left_at=None).update(left_at=now)
    if stands is other:
        for column in PLACE:
            setattr(lead, column, getattr(other, column))


def _claim(lead: Lead, has_cards: set[UUID]) -> tuple[Any, ...]:
    by_person = lead.stage_set_by == Lead.Actor.STAFF
    # A stage of Kommo's that is none of ours was chosen by somebody.
    rank = lead.stage.rank if lead.stage else 1_000
    return (by_person, lead.stage_set_at if by_person else rank, lead.pk in has_cards, lead.stage_set_at)


# --- What hangs on them

# Rows that may not stand twice on one lead, by what would be the same.
ONCE: tuple[tuple[type[models.Model], str], ...] = ((Objection, "key"), (Message, "message_id"), (NameWord, "word"))


def _move_rows(lead: Lead, other: Lead) -> None:
    """Hang everything of the other lead on this one, whichever room it is of."""
    for model, column in ONCE:
        known = model._base_manager.filter(lead=lead).exclude(**{column: ""}).values(column)
        model._base_manager.filter(lead=other, **{f"{column}__in": known}).delete()
    if cleared_at := lead.provenance.get("objections", {}).get("cleared_at"):
        Objection.objects.filter(Q(lead=lead) | Q(lead=other), raised_at__lte=cleared_at).delete()
    for mine in Meeting.objects.filter(lead=lead):
        theirs = Meeting.objects.filter(lead=other, meeting_id=mine.meeting_id).first()
        if theirs is not None:
            (theirs if theirs.told_at <= mine.told_at else mine).delete()
    _move_doubts(lead, other)
    for relation in Lead._meta.related_objects:
        if not relation.one_to_one and relation.related_model is not ProbablySame:
            name = relation.field.name
            relation.related_model._base_manager.filter(**{name: other.pk}).update(**{name: lead.pk})


def _move_doubts(lead: Lead, other: Lead) -> None:
    """Let what was said of the other lead and a third one be said of this lead and the third."""
    rows = ProbablySame.objects.filter(Q(older=other) | Q(younger=other)).select_related("older", "younger")
    for row in rows:
        third = row.younger if row.older_id == other.pk else row.older
        row.delete()
        if third.pk == lead.pk:
            continue
        older, younger = sorted((lead, third), key=lambda candidate: (candidate.created_at, candidate.pk))
        defaults = {"evidence": row.evidence, "first_seen_at": row.first_seen_at, "last_seen_at": row.last_seen_at}
        ProbablySame.objects.get_or_create(older=older, younger=younger, defaults={**defaults, "are_two": row.are_two})


def _merge_meetings(lead: Lead, other: Lead, now: datetime) -> None:
    if other.meeting_status and (not lead.meeting_status or not lead.has_standing_meeting):
        for column in meetings.SHOWN:
            setattr(lead, column, getattr(other, column))
    if lead.meeting_status:
        meetings.show_again(lead, which_fact_stands.Change(), now)
