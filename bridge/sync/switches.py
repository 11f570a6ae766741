"""May an account be written to? Its switches, and what each does to the cards that wait.

*Paused*: no call leaves. *Shadow*: what would be sent is computed and shown. Whoever flips a switch says why.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db.models import Q

from bridge.models import Account, AccountPipeline, Card
from bridge.sync.outbox import requeue

log = structlog.get_logger(__name__)

IN_SHADOW = "shadow: nothing is said to anybody"


def pause(account: Account, *, reason: str, now: datetime, until: datetime | None = None) -> None:
    """Stop all calls of an account until a person resumes it, or until a given time, and say why."""
    for row in Account.objects.filter(pk=account.pk).exclude(state=Account.State.PAUSED):
        # Compare-and-set: of several processes that find the door closed, one tells.
        stopped = Account.objects.filter(pk=row.pk, state=row.state).update(
            state=Account.State.PAUSED,
            state_before_pause=row.state,
            state_reason=reason[:500],
            paused_at=now,
            paused_until=until,
        )
        if stopped:
            log.error("account_paused", account=row.pk, reason=reason, until=until and until.isoformat())


def resume(account: Account, *, now: datetime) -> None:
    """Let deliveries of a paused account go on; everything that waited is due at once."""
    for row in Account.objects.filter(pk=account.pk, state=Account.State.PAUSED):
        row.state, row.state_reason = row.state_before_pause, ""
        row.paused_at = row.paused_until = row.retry_at = None
        row.failures = 0
        row.save(update_fields=["state", "state_reason", "paused_at", "paused_until", "retry_at", "failures"])
    log.info("account_resumed", account=account.pk, at=now.isoformat())


def enter_shadow(account: Account) -> None:
    """Compute and show what would be sent, and write nothing from now on."""
    Account.objects.filter(pk=account.pk, state=Account.State.ACTIVE).update(state=Account.State.SHADOW)


def leave_shadow(account: Account, *, now: datetime) -> None:
    """Send from now on; what was only shown is computed afresh and sent."""
    if Account.objects.filter(pk=account.pk, state=Account.State.SHADOW).update(state=Account.State.ACTIVE):
        requeue(Card.objects.filter(account=account).exclude(shadow_plan=""), now=now)


def silent(pipeline_ids: frozenset[int]) -> dict[int, str]:
    """Return those of these pipelines whose account is in shadow, or was when it was paused, with the reason."""
    links = AccountPipeline.objects.filter(pipeline_id__in=pipeline_ids)
    in_shadow = links.filter(
        Q(account__state=Account.State.SHADOW)
        | Q(account__state=Account.State.PAUSED, account__state_before_pause=Account.State.SHADOW)
    )
    return dict.fromkeys(in_shadow.values_list("pipeline_id", flat=True), IN_SHADOW)
