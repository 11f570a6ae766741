"""Telling the workers that an account has due cards. Losing a nudge loses nothing: the worker's clock looks as well."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from bridge.cards import outbox

log = structlog.get_logger(__name__)

TASK = "bridge.tasks.deliver"


def send(account_id: int) -> None:
    """Ask for a drain of the account, unless one is under way or asked for already."""
    try:
        if outbox.claim_nudge(account_id, now=timezone.now()):
            async_task(TASK, account_id, save=False)
    except Exception as error:
        # The interaction is committed; whoever sent it must not be told otherwise because the queue, or the Redis
        # that may hold it, is away.
        log.warning("nudge_failed", account=account_id, error=type(error).__name__)


@dataclass(frozen=True)
class _Nudge:
    account_id: int

    def __call__(self) -> None:
        send(self.account_id)


def send_on_commit(account_id: int) -> None:
    """Ask for a drain once the running transaction is committed: once, however many leads it saved."""
    wanted = _Nudge(account_id)
    # Read from the connection and not kept beside it: a savepoint that is rolled back takes its callbacks with it.
    asked = any(call[1] == wanted for call in transaction.get_connection().run_on_commit)
    if not asked:
        transaction.on_commit(wanted)
