"""May an account be written to? Its switches, and what each does to the cards that wait.

*Paused*: no call leaves. *Shadow*: what would be sent is computed and shown, and nothing is said to anybody. Whoever
flips a switch says why.

What Kommo closed, Kommo opens: an account that it refused is asked again, gently (`knock`), and goes on by itself when
it answers. One that a person paused stays paused until a person resumes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db.models import F, Q

from bridge.accounts import room_for_leads, troubles
from bridge.cards.backoff import doubled
from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.models import Account, AccountPipeline
from common.reasons import Reason

log = structlog.get_logger(__name__)

IN_SHADOW = Reason("shadow_says_nothing")
# Of a closed door: asked again after one minute, two, four, eight, and then every fifteen.
KNOCK_FIRST, KNOCK_CAP = timedelta(minutes=1), timedelta(minutes=15)


def pause(
    account: Account,
    *,
    reason: str,
    now: datetime,
    by: Account.PausedBy = Account.PausedBy.KOMMO,
    until: datetime | None = None,
) -> bool:
    """Stop all calls of an account and say why; False when nothing had to be done.

    Where Kommo refused us it is asked again at `until`, by default after a wait that grows with every refusal in a row.
    A person's pause has no end of its own, and takes the place of one by Kommo's doing.
    """
    by_person = by == Account.PausedBy.PERSON
    stopped = False
    rows = Account.objects.filter(pk=account.pk)
    for row in rows.exclude(state=Account.State.PAUSED):
        # Compare-and-set: of several processes that find the door closed, one tells.
        stopped = bool(
            rows.filter(state=row.state).update(
                state=Account.State.PAUSED,
                state_before_pause=row.state,
                state_reason=reason[:500],
                paused_by=by,
                paused_at=now,
                paused_until=None if by_person else until or now + _patience(row.refusals),
                refusals=F("refusals") + 1,
            )
        )
    if by_person and not stopped:
        others = rows.filter(state=Account.State.PAUSED).exclude(paused_by=by)
        stopped = bool(others.update(state_reason=reason[:500], paused_by=by, paused_at=now, paused_until=None))
    if stopped:
        log.error("account_paused", account=account.pk, reason=reason, by=str(by))
    return stopped


def resume(account: Account, *, now: datetime) -> bool:
    """Let calls of a paused account go on, because a person says so; everything that waited is due at once."""
    return _open(Q(pk=account.pk), now=now, refusals=0)


def reopen(account: Account, *, now: datetime) -> bool:
    """Let calls go on where Kommo had refused us and takes us again; a person's pause stays. False: nothing to do.

    What was refused to some calls alone is tried again at once, too.
    """
    troubles.wake(account.pk, now=now)
    room_for_leads.try_again(account.pk, now=now)
    return _open(Q(pk=account.pk, paused_by=Account.PausedBy.KOMMO), now=now, refusals=0)


def knock(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Ask Kommo by one harmless read whether the door is open again; True when calls go on.

    How often it was refused is not forgotten before a call that mattered has succeeded: a door that opens for a read
    alone is tried ever more seldom.
    """
    try:
        client.account()
    except KommoError as error:
        closed = Account.objects.filter(pk=account.pk, state=Account.State.PAUSED, paused_by=Account.PausedBy.KOMMO)
        for row in closed:
            wait = max(_patience(row.refusals), error.retry_after or timedelta(0))
            closed.update(refusals=F("refusals") + 1, paused_until=now + wait, state_reason=str(error)[:500])
        log.info("door_still_closed", account=account.pk, error=error.in_log)
        return False
    return _open(Q(pk=account.pk, paused_by=Account.PausedBy.KOMMO), now=now)


def answered(account: Account) -> None:
    """Note that Kommo did what we asked: the next refusal is the first of its row."""
    Account.objects.filter(pk=account.pk, refusals__gt=0).update(refusals=0)


def at_closed_doors(*, now: datetime) -> list[int]:
    """Return the accounts that Kommo refused and that may ask again now."""
    closed = Account.objects.filter(state=Account.State.PAUSED, paused_by=Account.PausedBy.KOMMO)
    return list(closed.filter(paused_until__lte=now).values_list("pk", flat=True))


def _open(which: Q, *, now: datetime, **more: object) -> bool:
    opened = Account.objects.filter(which, state=Account.State.PAUSED).update(
        state=F("state_before_pause"),
        state_reason="",
        paused_by="",
        paused_at=None,
        paused_until=None,
        retry_at=None,
        failures=0,
        **more,
    )
    for pk in Account.objects.filter(which).values_list("pk", flat=True) if opened else ():
        troubles.wake(pk, now=now)
        room_for_leads.try_again(pk, now=now)
        log.info("account_resumed", account=pk, at=now.isoformat())
    return bool(opened)


def _patience(refusals: int) -> timedelta:
    return doubled(KNOCK_FIRST, refusals, cap=KNOCK_CAP)


def enter_shadow(account: Account, *, now: datetime, reason: str = "") -> bool:
    """Compute and show from now on, write nothing and say nothing to anybody; a paused account will when it goes on."""
    rows = Account.objects.filter(pk=account.pk)
    entered = rows.filter(state=Account.State.ACTIVE).update(
        state=Account.State.SHADOW, shadow_since=now, state_reason=reason[:500]
    )
    paused = rows.filter(state=Account.State.PAUSED, state_before_pause=Account.State.ACTIVE)
    return bool(entered or paused.update(state_before_pause=Account.State.SHADOW, shadow_since=now))


def silent(pipeline_ids: frozenset[int]) -> dict[int, str]:
    """Return those of these pipelines whose account is in shadow, or was when it was paused, with the reason."""
    links = AccountPipeline.objects.filter(pipeline_id__in=pipeline_ids)
    in_shadow = links.filter(
        Q(account__state=Account.State.SHADOW)
        | Q(account__state=Account.State.PAUSED, account__state_before_pause=Account.State.SHADOW)
    )
    return dict.fromkeys(in_shadow.values_list("pipeline_id", flat=True), IN_SHADOW)
