"""A lead as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q

from bridge.accounts import silent_while_kommo_is_away
from bridge.cards.desired import wanted_tags
from bridge.cards.why_cards_wait import wait_of
from bridge.models import Card
from common.statements import Select
from followups import selectors as followups
from leads import address_owners, booking_links, may_speak, optout
from leads.interaction_values import Recorded
from leads.models import Event, FurtherAddress, Lead, Pipeline
from leads.rulebook import rulebook

# How the outside reads a card's state; a lead without a card yet is waiting for its account.
SYNC = {
    Card.State.IN_SYNC: "synced",
    # In shadow nothing was sent; `waiting` says so.
    Card.State.SHOWN: "pending",
    Card.State.DUE: "pending",
    Card.State.RETRYING: "retrying",
    Card.State.BLOCKED: "blocked",
    Card.State.DEAD: "dead",
    Card.State.GONE: "gone",
    Card.State.CLOSED: "gone",
}


@dataclass(frozen=True)
class Looks:
    """When Kommo was last asked, as `freshness` judges by."""

    connected_at: datetime | None
    polled_at: datetime | None
    compared_at: datetime | None
    takeovers_looked_at: datetime | None


@dataclass(frozen=True)
class Glance:
    """What an answer needs of a card and its account: neither the tokens nor all that Kommo holds."""

    kommo_lead_id: int | None
    state: str
    account: Looks


LOOKS = ("account__connected_at", "account__polled_at", "account__compared_at", "account__takeovers_looked_at")
GLANCES = Select(
    lambda lead_ids: (
        Lead.objects.filter(pk__in=lead_ids)
        .order_by()
        .values_list(
            "pk",
            *followups.place(OuterRef("pk")),
            "card__kommo_lead_id",
            "card__state",
            *(f"card__{look}" for look in LOOKS),
        )
    )
)


def glances(lead_ids: list[UUID]) -> tuple[dict[UUID, Glance], dict[UUID, dict[str, Any]]]:
    """Return the cards of leads, of those that have one, and where they are in their follow-ups. One query."""
    cards, places = {}, {}
    for lead_id, state, next_at, step, is_held, kommo_id, card_state, *looks in GLANCES.all(lead_ids=lead_ids):
        places[lead_id] = followups.place_as_json(state, next_at, step, is_held)
        if card_state is not None:
            cards[lead_id] = Glance(kommo_id, card_state, Looks(*looks))
    return cards, places


def card_of(lead: Lead) -> Card | None:
    return getattr(lead, "card", None)


def lead_summary(lead: Lead, card: Card | Glance | None) -> dict[str, Any]:
    return {
        "id": str(lead.pk),
        "phone": lead.phone,
        "addresses": lead.addresses,
        "name": lead.name or None,
        "pipeline": lead.pipeline.slug,
        "stage": lead.stage.key if lead.stage else "other",
        "stage_name": lead.stage.name if lead.stage else lead.other_stage_name,
        "kommo_lead_id": card.kommo_lead_id if card else None,
        "sync": SYNC[Card.State(card.state)] if card else "pending",
    }


def interaction_answers(recorded: Sequence[Recorded], now: datetime) -> list[tuple[int, dict[str, Any]]]:
    """Return the status and body each interaction is answered with. Few queries, whatever their number."""
    cards, places = glances([record.lead.pk for record in recorded])
    refusals = may_speak.refusals([record.lead for record in recorded])
    return [
        (
            201 if record.created else 200,
            {
                "lead": lead_summary(record.lead, cards.get(record.lead.pk)),
                "decision": {
                    "stage": record.decision.stage or "other",
                    "changed": record.decision.changed,
                    "reason": record.decision.reason,
                },
                "agent": agent(record.lead, cards.get(record.lead.pk), now, refusals),
                "followup": places[record.lead.pk],
                "ignored": record.ignored,
            },
        )
        for record in recorded
    ]


def agent(
    lead: Lead | None,
    card: Card | Glance | None,
    now: datetime,
    refusals: Mapping[UUID, may_speak.Refusal] | None = None,
) -> dict[str, Any]:
    """Say whether the agent may reply, from our own rows; an unknown person may be answered.

    refusals: what the gate says of leads (leads/may_speak.py), for who has asked it of many at once.
    """
    if lead is None:
        return {"may_reply": True, "reason": None, "since": None}
    if shut := may_speak.refusal(lead) if refusals is None else refusals.get(lead.pk):
        return _refused(shut)
    in_doubt = card and card.kommo_lead_id and lead.pipeline.silent_when_kommo_is_away
    if card and in_doubt and (since := silent_while_kommo_is_away.unknown_since(card.account, now)):
        reason = "Kommo could not be asked for too long; a person may have taken over"
        return {"may_reply": False, "reason": reason, "since": moment(since)}
    return {"may_reply": True, "reason": None, "since": None}


OF_PIPELINE = (
    "id",
    "silent_when_kommo_is_away",
    "silenced_at",
    "silenced_reason",
    "serves_only_with_tag",
    "serves_never_with_tag",
    "serves_only_new_leads",
    "serves_new_since",
    "serves_share",
)
OF_LEAD = (
    "handoff_source",
    "handoff_reason",
    "handoff_since",
    "opted_out_at",
    "created_at",
    "phone_key",
    "first_key",
)
PERMISSIONS = Select(
    lambda key, elsewhere: Lead.objects.filter(
        Q(phone_key=key) | Q(pk__in=FurtherAddress.objects.filter(key=key).values("lead_id")) | Q(pk__in=elsewhere)
    ).values_list(
        *(f"pipeline__{column}" for column in OF_PIPELINE),
        *OF_LEAD,
        "pk",
        "card__kommo_lead_id",
        *(f"card__{look}" for look in LOOKS),
    )
)


def may_reply(key: str, pipeline: Pipeline | None, now: datetime) -> dict[str, Any]:
    """Say whether the agent may reply to a person; `pipeline` is the only one to look at, if any.

    Who has the person, or opted out, did so for all pipelines. One query; more where a pipeline asks for tags, or where
    nobody knows the person.
    """
    elsewhere = [lead_id for _, lead_id in address_owners.known_elsewhere([key])]
    rows = [_permission(row) for row in PERMISSIONS.all(key=key, elsewhere=elsewhere)]
    asked = [(lead, card) for lead, card in rows if not pipeline or lead.pipeline_id == pipeline.pk]
    refusals = may_speak.refusals([lead for lead, _ in asked])
    for lead, card in asked:
        answer = agent(lead, card, now, refusals)
        # Several pipelines may know the person: one reason is enough to stay silent.
        if not answer["may_reply"]:
            return answer
    for lead, _ in rows:
        if shut := may_speak.by_people(lead):
            return _refused(may_speak.of_another_pipeline(shut))
    if not rows and (since := optout.since_of(key)):
        return _refused(may_speak.of_wish(since))
    theirs = None if asked else pipeline or Pipeline.objects.filter(is_default=True).first()
    if theirs and (shut := may_speak.refusal_of_stranger(key, theirs, now=now)):
        return _refused(shut)
    return agent(None, None, now)


def may_reply_to(lead: Lead, pipeline: Pipeline | None, now: datetime) -> dict[str, Any]:
    """Say the same of the person whom a lead stands for."""
    return may_reply(lead.phone_key, pipeline, now) if lead.phone_key else agent(lead, card_of(lead), now)


def _refused(shut: may_speak.Refusal) -> dict[str, Any]:
    return {"may_reply": False, "reason": shut.reason, "since": moment(shut.since)}


def _permission(row: Sequence[Any]) -> tuple[Lead, Glance]:
    """Return of a row what `agent` asks of a lead and its card."""
    pipeline = Pipeline(**dict(zip(OF_PIPELINE, row, strict=False)))
    pk, kommo_lead_id, *looks = row[len(OF_PIPELINE) + len(OF_LEAD) :]
    lead = Lead(pk=pk, pipeline=pipeline, **dict(zip(OF_LEAD, row[len(OF_PIPELINE) :], strict=False)))
    return lead, Glance(kommo_lead_id, "", Looks(*looks))


def lead_in_full(lead: Lead, now: datetime) -> dict[str, Any]:
    card = card_of(lead)
    return lead_summary(lead, card) | {
        "email": lead.email or None,
        "bill_value": number(lead.bill_value),
        "chosen_flow": lead.chosen_flow or None,
        "qualification_score": number(lead.qualification_score),
        "is_decision_maker": lead.is_decision_maker,
        "has_solar_system": lead.has_solar_system,
        "has_active_contract": lead.has_active_contract,
        "objections": [objection.name for objection in lead.objections.all()],
        "custom": lead.custom,
        "tags": wanted_tags(lead, rulebook(lead.pipeline)),
        "conversation_stage": lead.conversation_stage or None,
        "meeting": _meeting(lead),
        "booking_url": booking_links.link(lead.pipeline.booking_url, lead.pk),
        "card": _card(card),
        "waiting": waiting(card, now),
        "agent": agent(lead, card, now),
        "followup": followups.summary(lead),
    }


def event(row: Event) -> dict[str, Any]:
    return {"at": moment(row.at), "kind": row.kind, "actor": row.actor, "reason": row.reason, "data": row.data}


def _meeting(lead: Lead) -> dict[str, Any] | None:
    if not lead.meeting_status:
        return None
    return {
        "id": lead.meeting_id or None,
        "status": lead.meeting_status,
        "starts_at": moment(lead.meeting_starts_at),
        "link": lead.meeting_link or None,
    }


def _card(card: Card | None) -> dict[str, Any] | None:
    if card is None or card.kommo_lead_id is None:
        return None
    return {
        "kommo_lead_id": card.kommo_lead_id,
        "kommo_contact_id": card.kommo_contact_id,
        "observed_at": moment(card.observed_at),
        **card.observed,
    }


def waiting(card: Card | None, now: datetime) -> dict[str, Any] | None:
    if card is None:
        return {"reason": "no Kommo account is connected to this pipeline", "until": None}
    wait = wait_of(card, now=now)
    return {"reason": wait.reason, "until": moment(wait.until)} if wait else None


def number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
