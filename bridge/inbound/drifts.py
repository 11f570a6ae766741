"""Differences between our lead and Kommo's, with what was last agreed; and what staff decide about them by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import InvalidOperation
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from bridge.cards import nudge, outbox, ownership
from bridge.cards.desired_values import Wishes
from bridge.cards.value_mapping import is_adoptable, our_value
from bridge.errors import DriftError
from bridge.models import Card, Catalogue, Drift
from common.reasons import Reason
from leads import stage_moves, which_fact_stands
from leads.models import Event, Lead, Stage
from leads.rulebook import Rulebook, rulebook

Resolution = Drift.Resolution
# What the bridge only reads: nobody can ask it to write them.
ONLY_READ = frozenset({"price", "responsible_user_id"})


class Choice(StrEnum):
    OURS = "ours"
    THEIRS = "theirs"
    DISMISS = "dismiss"


def note_adopted(
    card: Card, changed: Mapping[str, tuple[Any, Any]], wanted: Wishes, *, found_by: str, now: datetime
) -> None:
    """Record what a comparison found that no webhook had told us; Kommo's value is adopted.

    Called while the card still knows what was last agreed, and the lead what it called for.
    """
    Drift.objects.bulk_create(
        Drift(
            card=card,
            subject=subject,
            ours=_ours(card, subject, before, wanted),
            theirs=theirs,
            agreed=_agreed(card, subject, before),
            found_at=now,
            found_by=found_by,
            resolution=Resolution.ADOPTED,
            resolved_at=now,
            resolved_by="bridge",
        )
        for subject, (before, theirs) in changed.items()
    )


def note_repaired(card: Card, subject: str, *, ours: Any, theirs: Any, found_by: str, now: datetime) -> None:
    """Record what our side still owes Kommo; the outbox sends it."""
    Drift.objects.create(
        card=card,
        subject=subject,
        ours=ours,
        theirs=theirs,
        agreed=_agreed(card, subject, theirs),
        found_at=now,
        found_by=found_by,
        resolution=Resolution.REPAIRED,
        resolved_at=now,
        resolved_by="bridge",
    )


def leave_open(card: Card, subject: str, *, ours: Any, theirs: Any, agreed: Any, found_by: str, now: datetime) -> None:
    """Record a difference that a person should decide; the newest one about a thing stands for all."""
    # The comparison that found it has just noted it as adopted: one difference, one row.
    Drift.objects.filter(card=card, subject=subject, found_at=now, resolution=Resolution.ADOPTED).delete()
    values = {"ours": ours, "theirs": theirs, "agreed": agreed, "found_at": now, "found_by": found_by}
    Drift.objects.update_or_create(card=card, subject=subject, resolution=Resolution.OPEN, defaults=values)


@transaction.atomic
def decide(drift: Drift, choice: Choice, *, who: str, catalogue: Catalogue | None, now: datetime) -> None:
    """Let ours or Kommo's value stand, because a person says so; what follows is sent through the outbox.

    Raises DriftError when the value cannot be written or held, or the card is not in Kommo any more.
    """
    lead_id = Card.objects.values_list("lead_id", flat=True).get(pk=drift.card_id)
    rows = Lead.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline", "stage")
    lead = rows.get(pk=lead_id)
    card = Card.objects.select_for_update(no_key=True).get(pk=drift.card_id)
    card.lead = lead
    drift = Drift.objects.select_for_update(no_key=True).get(pk=drift.pk)
    book = rulebook(lead.pipeline)
    label = ownership.label(drift.subject, book)
    if choice is Choice.DISMISS:
        _resolve(drift, Resolution.DISMISSED, who, now)
        return
    if card.state in (Card.State.GONE, Card.State.CLOSED):
        raise DriftError(_("The card is not in Kommo any more: have it made anew, or close it."))
    if choice is Choice.OURS:
        _make_stand(card, book, catalogue, drift.subject, drift.ours, who=who, now=now)
        _resolve(drift, Resolution.REPAIRED, who, now)
        reason = Reason("decided_as_here", a=who, subject=label)
    else:
        if not _holds(card, drift.subject, drift.theirs):
            _make_stand(card, book, catalogue, drift.subject, drift.theirs, who=who, now=now)
        _resolve(drift, Resolution.ADOPTED, who, now)
        reason = Reason("decided_as_in_kommo", a=who, subject=label)
    data = {"subject": drift.subject, "ours": drift.ours, "theirs": drift.theirs}
    lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason[:500], data=data)


def _make_stand(
    card: Card, book: Rulebook, catalogue: Catalogue | None, subject: str, value: Any, *, who: str, now: datetime
) -> None:
    """Have the lead call for a value, whoever's it was, so that the next plan writes it."""
    lead = card.lead
    if subject in ONLY_READ:
        raise DriftError(_("The bridge only reads this from Kommo: change it there."))
    for key in [key for key in card.ownership if key == subject or key.startswith(f"{subject}:")]:
        card.ownership[key].pop("ours", None)
    if subject == "tags":
        # All of the families is as decided, whoever had put it there.
        card.said_tags = list(card.observed.get("tags", ()))
    card.save(update_fields=["ownership", "said_tags"])
    outbox.requeue(Card.objects.filter(pk=card.pk), now=now, lane=Card.Lane.LIVE)
    nudge.send_on_commit(card.account_id)
    if subject == "stage":
        stage_moves.move(
            lead, _stage(lead, book, value), by=Lead.Actor.STAFF, reason=Reason("decided_by", a=who), now=now
        )
    elif subject == "name":
        _set_fact(lead, "name", value or "", now)
    elif subject.startswith("field:"):
        _set_field(lead, book, catalogue, int(subject.removeprefix("field:")), value, now)


def _stage(lead: Lead, book: Rulebook, place: Any) -> Stage:
    pipeline_id, status_id = place
    stage = book.stages_by_status_id.get(status_id) if pipeline_id == lead.pipeline.kommo_pipeline_id else None
    if stage is None:
        raise DriftError(_("None of our stages is bound to that stage in Kommo: move the card there."))
    return Stage.objects.get(pk=stage.pk)


def _set_field(
    lead: Lead, book: Rulebook, catalogue: Catalogue | None, field_id: int, value: Any, now: datetime
) -> None:
    mapping = next(
        (field_mapping for field_mapping in book.field_mappings if field_mapping.kommo_field_id == field_id), None
    )
    if mapping is None:
        raise DriftError(_("No fact of the lead is mapped to this field."))
    if not is_adoptable(mapping.attribute):
        # What the lead calls for there is not ours to change by hand; it is written again as it is.
        return
    try:
        ours = our_value(mapping, value, catalogue)
    except (ValueError, InvalidOperation) as error:
        raise DriftError(_("The lead cannot hold this value: %(why)s.") % {"why": error}) from error
    _set_fact(lead, mapping.attribute, ours, now)


def _set_fact(lead: Lead, attribute: str, value: Any, now: datetime) -> None:
    if which_fact_stands.adopt(lead, attribute, value, at=now) or value in (None, ""):
        if value in (None, ""):
            which_fact_stands.take_back(lead, attribute)
        lead.updated_at = now
        column = "custom" if attribute.startswith("custom.") else attribute
        lead.save(update_fields=[column, "provenance", "updated_at"])


def _holds(card: Card, subject: str, value: Any) -> bool:
    """Say whether Kommo is known to hold the value, and may keep it."""
    return bool(_part(card.observed, subject) == value)


def _resolve(drift: Drift, resolution: Drift.Resolution, who: str, now: datetime) -> None:
    drift.resolution, drift.resolved_by, drift.resolved_at = resolution, who[:150], now
    drift.save(update_fields=["resolution", "resolved_by", "resolved_at"])


def _ours(card: Card, subject: str, known: Any, wanted: Wishes) -> Any:
    if subject == "stage":
        lead = card.lead
        return [lead.pipeline.kommo_pipeline_id, lead.stage.kommo_status_id] if lead.stage else known
    if subject == "name" or subject == "tags" or subject.removeprefix("field:") in wanted.fields:
        return wanted.of(subject)
    return known


def _agreed(card: Card, subject: str, known: Any) -> Any:
    return _part(card.agreed, subject) if card.agreed else known


def _part(observed: Mapping[str, Any], subject: str) -> Any:
    """Return one subject's value out of what a card holds."""
    if subject == "stage":
        return [observed.get("pipeline_id"), observed.get("status_id")]
    if subject.startswith("field:"):
        return observed.get("fields", {}).get(subject.removeprefix("field:"))
    return observed.get(subject)
