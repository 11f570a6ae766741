"""Leaving shadow: what was only shown is written now, but no card moves for what was concluded long ago.

While an account is in shadow its cards are moved by people, by an older integration, or by nobody; our own conclusions
are only shown. The day they are written, a conclusion of three weeks ago is no news to anybody: a lead that nobody has
talked to since stays where everybody sees it, and moves with the next word of its conversation.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from bridge.cards import nudge
from bridge.cards.outbox import requeue
from bridge.models import Account, Briefing, Card
from common.reasons import Reason
from leads import stage_moves
from leads.models import Lead, Stage

# A conclusion older than this belongs to a conversation that has ended.
STALE_AFTER = timedelta(hours=24)
AT_ONCE = 500


def leave(account: Account, *, now: datetime) -> bool:
    """Write from now on, and speak; False when the account was not in shadow. A paused account will when it goes on.

    Conclusions that have gone stale are given up before the first write may leave, so whoever dies here is followed by
    somebody who finds the account in shadow still.
    """
    account.refresh_from_db()
    if not account.is_silent:
        return False
    forget_stale_conclusions(account, now=now)
    rows = Account.objects.filter(pk=account.pk)
    with transaction.atomic():
        left = rows.filter(state=Account.State.SHADOW).update(
            state=Account.State.ACTIVE, shadow_since=None, state_reason=""
        )
        paused = rows.filter(state=Account.State.PAUSED, state_before_pause=Account.State.SHADOW)
        left += paused.update(state_before_pause=Account.State.ACTIVE, shadow_since=None)
        if left:
            requeue(Card.objects.filter(Q(state=Card.State.SHOWN) | ~Q(shadow_plan=""), account=account), now=now)
            Card.objects.filter(account=account).exclude(shadow_plan="").update(shadow_plan="")
            # A seller who took the lead over weeks ago is not told of it today.
            briefings = Briefing.objects.filter(card__account=account, since__lt=now - STALE_AFTER)
            briefings.filter(due_at__isnull=False).update(due_at=None)
            nudge.send_on_commit(account.pk)
    return bool(left)


def forget_stale_conclusions(account: Account, *, now: datetime) -> int:
    """Let leads stand where their cards do, where ours was concluded too long ago; return how many."""
    forgotten, beyond = 0, 0
    stale = Card.objects.filter(
        account=account,
        state__in=(Card.State.SHOWN, *Card.PENDING),
        kommo_lead_id__isnull=False,
        lead__stage_set_at__lt=now - STALE_AFTER,
    )
    rows = stale.select_related("lead__pipeline", "lead__stage").order_by("pk")
    while part := list(rows.filter(pk__gt=beyond)[:AT_ONCE]):
        beyond = part[-1].pk
        by_status = _stages_of({card.lead.pipeline_id for card in part})
        forgotten += sum(_forget(card, by_status, now) for card in part)
    return forgotten


def _stages_of(pipelines: set[int]) -> dict[tuple[int | None, int | None], Stage]:
    found = Stage.objects.filter(pipeline__in=pipelines, kommo_status_id__isnull=False).select_related("pipeline")
    return {(stage.pipeline.kommo_pipeline_id, stage.kommo_status_id): stage for stage in found}


@transaction.atomic
def _forget(card: Card, by_status: dict[tuple[int | None, int | None], Stage], now: datetime) -> bool:
    place = (card.observed.get("pipeline_id"), card.observed.get("status_id"))
    there = by_status.get(place)
    if there is None or there.pk == card.lead.stage_id or there.pipeline_id != card.lead.pipeline_id:
        return False
    lead = (
        Lead.objects.select_for_update(of=("self",), no_key=True)
        .select_related("stage", "pipeline")
        .get(pk=card.lead_id)
    )
    if lead.stage_set_at != card.lead.stage_set_at:
        # Concluded anew at this very moment.
        return False
    concluded = lead.stage.name if lead.stage else lead.other_stage_name
    reason = Reason("left_shadow_too_late", a=concluded, b=there.name)
    stage_moves.enter(lead, there, by=Lead.Actor.BRIDGE, reason=reason, now=now)
    return True
