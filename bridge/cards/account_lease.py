"""Who may empty an account's outbox? One worker at a time, for as long as it holds the account's lease.

A lease ends by itself when its holder dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from bridge import process_identity
from bridge.models import Account
from common.statements import Update

# Longer than the longest call (5 s to connect and 20 s to read), so that nobody takes over during one.
LEASE = timedelta(seconds=27)


@dataclass
class Lease:
    """The right to send for one account until `until`; lost when `renew` says so."""

    account_id: int
    holder: str

    def renew(self, now: datetime) -> bool:
        return bool(RENEW.run(account_id=self.account_id, holder=self.holder, until=now + LEASE))

    def release(self) -> None:
        RELEASE.run(account_id=self.account_id, holder=self.holder)


def lease(account_id: int, *, now: datetime) -> Lease | None:
    """Take the account for draining; None while another worker holds it, or it is paused or resting."""
    holder = process_identity.signature()
    # Compare-and-set: of all workers that try, exactly one changes the row.
    taken = TAKE.run(account_id=account_id, now=now, holder=holder, until=now + LEASE)
    return Lease(account_id, holder) if taken else None


def _may_be_taken(account_id: int, now: datetime) -> models.QuerySet[Account]:
    return (
        Account.objects.filter(pk=account_id)
        .exclude(state=Account.State.PAUSED)
        .filter(Q(lease_until=None) | Q(lease_until__lt=now))
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
    )


TAKE = Update(
    lambda account_id, now, holder, until: (
        _may_be_taken(account_id, now),
        {"lease_holder": holder, "lease_until": until, "nudged_at": None},
    ),
    returning=("id",),
)
RENEW = Update(
    lambda account_id, holder, until: (
        Account.objects.filter(pk=account_id, lease_holder=holder),
        {"lease_until": until},
    ),
    returning=("id",),
)
RELEASE = Update(
    lambda account_id, holder: (
        Account.objects.filter(pk=account_id, lease_holder=holder),
        {"lease_holder": "", "lease_until": None},
    ),
    returning=("id",),
)
