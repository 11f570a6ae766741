"""Whose number is this? A person has one on the lead's row and perhaps others; any of them finds the lead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from leads import optout
from leads.models import Event, FurtherPhone, Lead, Pipeline
from leads.phone import Phone


def of_anybody(phone_key: str) -> Q:
    """Return the condition for the leads of the person who has this number, in every pipeline."""
    return Q(phone_key=phone_key) | Q(pk__in=FurtherPhone.objects.filter(phone_key=phone_key).values("lead_id"))


def owners(pipeline: Pipeline, keys: Iterable[str]) -> dict[str, UUID]:
    """Return whose number each is in a pipeline, for those that are somebody's."""
    wanted = set(keys)
    if not wanted:
        return {}
    further = FurtherPhone.objects.filter(pipeline=pipeline, phone_key__in=wanted).values_list("phone_key", "lead_id")
    first = Lead.objects.filter(pipeline=pipeline, phone_key__in=wanted).values_list("phone_key", "pk")
    return dict(further) | {str(key): pk for key, pk in first}


def learn(lead: Lead, phones: Sequence[Phone], *, seen_in: str, now: datetime, corrects: bool = False) -> bool:
    """Let a lead have these numbers, which stand together in one place; say whether anything about it is new.

    One that is another person's stays theirs. Those that stood there before and do not any more are forgotten. A lead
    without a number gets the first of them on its row; with `corrects` also one whose number nobody has used yet.
    """
    keys = {phone.key for phone in phones}
    gone, _ = FurtherPhone.objects.filter(lead=lead, seen_in=seen_in).exclude(phone_key__in=keys).delete()
    known = owners(lead.pipeline, keys)
    new = list({phone.key: phone for phone in phones if phone.key not in known}.values())
    changed = bool(gone)
    if new and (lead.phone_key is None or (corrects and not _has_talked(lead))):
        changed |= _call_by(lead, new.pop(0), now)
    rows = [
        FurtherPhone(
            lead=lead,
            pipeline_id=lead.pipeline_id,
            phone=phone.e164,
            phone_key=phone.key,
            seen_in=seen_in,
            first_seen_at=now,
        )
        for phone in new
    ]
    FurtherPhone.objects.bulk_create(rows, ignore_conflicts=True)
    if rows and optout.meet([lead], now=now, further=True):
        # A wish is the person's, by whichever of their numbers it was told.
        Lead.objects.filter(pk=lead.pk, opted_out_at=None).update(opted_out_at=lead.opted_out_at, updated_at=now)
    return changed or bool(rows)


def _has_talked(lead: Lead) -> bool:
    return lead.events.filter(kind=Event.Kind.INTERACTION).exists()


def _call_by(lead: Lead, phone: Phone, now: datetime) -> bool:
    """Give the lead its number; False when somebody else of the pipeline took it at this moment."""
    try:
        with transaction.atomic():
            before = lead.phone_key
            lead.phone, lead.phone_key = phone.e164, phone.key
            optout.meet([lead], now=now)
            row = Lead.objects.filter(pk=lead.pk, phone_key=before)
            said_at = lead.opted_out_at
            return bool(row.update(phone=phone.e164, phone_key=phone.key, opted_out_at=said_at, updated_at=now))
    except IntegrityError:
        return False
