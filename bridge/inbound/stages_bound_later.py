"""A stage of Kommo that was bound to one of ours only after cards were found standing in it: their leads get it then.

Adopting sees to it that a lead stands where its card does whenever a card changes. What changes nothing on the card is
seen to here, together with leads that nobody has paused (bridge/inbound/forgotten_pauses.py). Asks our own rows alone.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from bridge.inbound.forgotten_pauses import pause_forgotten
from bridge.models import Card
from common.reasons import Reason
from leads import stage_moves
from leads.models import Lead, Stage

# In one go; whoever comes next goes on.
AT_ONCE = 500


def settle(leads: QuerySet[Lead], *, now: datetime) -> int:
    """Let leads stand where their cards are known to, and a person have those in human care; return how many did."""
    return _become_known(leads, now) + pause_forgotten(leads, now)


def of_account(account_id: int) -> QuerySet[Lead]:
    return Lead.objects.filter(card__account=account_id)


def of_stage(stage: Stage) -> QuerySet[Lead]:
    return Lead.objects.filter(pipeline=stage.pipeline_id)


def _become_known(leads: QuerySet[Lead], now: datetime) -> int:
    """Give their stage to leads whose card stands in a place that none of ours was bound to."""
    count = 0
    strangers = leads.filter(stage=None, erased_at=None).exclude(card__state__in=(Card.State.GONE, Card.State.CLOSED))
    for stage in _bound_stages(strangers):
        here = strangers.filter(
            pipeline=stage.pipeline_id,
            card__observed__pipeline_id=stage.pipeline.kommo_pipeline_id,
            card__observed__status_id=stage.kommo_status_id,
        )
        for pk in list(here.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
            count += _enter(pk, stage, now)
    return count


def _bound_stages(strangers: QuerySet[Lead]) -> QuerySet[Stage]:
    pipelines = strangers.order_by().values("pipeline")
    bound = Stage.objects.filter(pipeline__in=pipelines, kommo_status_id__isnull=False)
    return bound.exclude(pipeline__kommo_pipeline_id=None).select_related("pipeline")


@transaction.atomic
def _enter(lead_id: UUID, stage: Stage, now: datetime) -> bool:
    lead = Lead.objects.select_for_update(no_key=True).get(pk=lead_id)
    observed = Card.objects.values_list("observed", flat=True).get(lead=lead)
    # A webhook may have come in between.
    if lead.erased_at or (observed.get("pipeline_id"), observed.get("status_id")) != (
        stage.pipeline.kommo_pipeline_id,
        stage.kommo_status_id,
    ):
        return False
    return stage_moves.become_known(lead, stage, reason=Reason("stage_in_kommo_is_ours_now", a=stage.name), now=now)
