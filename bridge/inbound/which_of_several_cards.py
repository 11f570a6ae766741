"""Of several leads in Kommo that are one person's, which is their card?

Whoever bought once and asks again, or is in two sellers' hands, has more than one. One where people have the lead is
theirs before one that is open, and that before a closed one, in whatever order they are read: so a person in human care
is in human care, and a conversation leads on the deal that is open. As long as nobody has spoken with the person here,
nothing but the card is known of them, and another card may take its place; after that it stays theirs. The other lead
is a deal of the sales staff's own then, and its person is with them as long as it stands in human care.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from bridge.cards.plan import CLOSED_STATUS_IDS
from bridge.inbound import adoption
from bridge.kommo.replies import LeadReply
from bridge.models import Card, Catalogue
from common.reasons import Reason
from leads import address_owners, handoff, which_fact_stands
from leads.models import Lead, Pipeline, Stage
from leads.rulebook import rulebook

CLOSED, OPEN, WITH_PEOPLE = range(3)


def takes_its_place(card: Card, lead: Lead, reply: LeadReply, catalogue: Catalogue | None, *, now: datetime) -> bool:
    """Let a lead of Kommo be a person's card instead of the one they have, where it goes before it; say if it is.

    Called with lead and card locked, in a transaction. The other stays in Kommo as it is, and its numbers the person's.
    """
    observed = card.observed
    stands = _precedence(lead.pipeline, observed.get("pipeline_id"), observed.get("status_id"))
    if _precedence(lead.pipeline, reply.pipeline_id, reply.status_id) <= stands or not _is_only_its_card(card, lead):
        return False
    # What was found on the other card is no word of this person's about this deal.
    columns = which_fact_stands.forget_found(lead)
    Lead.objects.filter(pk=lead.pk).update(**{column: getattr(lead, column) for column in columns}, updated_at=now)
    Card.objects.filter(pk=card.pk).update(said_tags=[], ownership={}, observed={}, agreed={})
    reason = f"lead {reply.id} is this person’s card from now on: lead {card.kommo_lead_id} is closed, or nobody has it"
    return adoption.link(card.pk, reply, catalogue, read_at=now, now=now, found_by="link", reason=reason)


def heed_care(lead: Lead, reply: LeadReply, *, now: datetime) -> bool:
    """Let the agent be silent exactly while a person has another lead of theirs; say whether that changed.

    Whoever gave the lead back did so for what stood then: what has not changed since silences nobody anew.
    """
    stage = _stage_of(lead.pipeline, reply.pipeline_id, reply.status_id)
    if stage is None or not stage.pauses_agent:
        return care_is_over(lead, reply.id, now=now)
    changed_at = datetime.fromtimestamp(reply.updated_at, UTC) if reply.updated_at else now
    if lead.resumed_at is not None and lead.resumed_at >= changed_at:
        return False
    reason = Reason("person_has_other_lead", number=reply.id, a=stage.name)
    source = Lead.HandoffSource.OTHER_CARD
    # Whoever has it knows: nobody is called.
    return handoff.pause(lead, source=source, by=Lead.Actor.STAFF, reason=reason, now=now, found=True)


def care_is_over(lead: Lead, kommo_lead_id: int, *, now: datetime) -> bool:
    """Give a lead back to the agent that is silent because a person had this lead of Kommo, which nobody has now."""
    is_for_it = lead.handoff_source == Lead.HandoffSource.OTHER_CARD and lead.handoff_reason.startswith(
        f"{_care(kommo_lead_id)} "
    )
    reason = Reason("other_lead_in_nobodys_care", number=kommo_lead_id)
    return is_for_it and handoff.resume(lead, by=Lead.Actor.STAFF, reason=reason, now=now)


def are_gone(kommo_lead_ids: Iterable[int], *, now: datetime) -> None:
    """Give leads back for whom a person had one of these leads of Kommo, which are deleted or elsewhere. One query."""
    ids = list(kommo_lead_ids)
    rows = Lead.objects.filter(handoff_source=Lead.HandoffSource.OTHER_CARD).exclude(handoff_since=None)
    for lead in rows.select_related("pipeline", "stage") if ids else ():
        for kommo_lead_id in ids:
            care_is_over(lead, kommo_lead_id, now=now)


def _care(kommo_lead_id: int) -> str:
    return f"a person has lead {kommo_lead_id} of theirs"


def _stage_of(pipeline: Pipeline, pipeline_id: int | None, status_id: int | None) -> Stage | None:
    known = rulebook(pipeline).stages_by_status_id if pipeline_id == pipeline.kommo_pipeline_id else {}
    return known.get(status_id or 0)


def _precedence(pipeline: Pipeline, pipeline_id: int | None, status_id: int | None) -> int:
    if pipeline_id != pipeline.kommo_pipeline_id:
        return CLOSED
    stage = _stage_of(pipeline, pipeline_id, status_id)
    if stage and stage.pauses_agent:
        return WITH_PEOPLE
    return CLOSED if status_id in CLOSED_STATUS_IDS else OPEN


def _is_only_its_card(card: Card, lead: Lead) -> bool:
    """Say whether nothing but the card is known of the person: found, in agreement, and nobody has spoken."""
    if card.state != Card.State.IN_SYNC or lead.erased_at or lead.last_outbound_at:
        return False
    return lead.handoff_source in ("", Lead.HandoffSource.STAGE) and not address_owners.has_talked(lead)
