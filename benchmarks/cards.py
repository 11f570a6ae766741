"""Leads and cards to measure with, and a drain at hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from benchmarks.harness import UNLIMITED, Bench, Broken
from bridge.accounts.connection import client_for, open_account
from bridge.cards import account_lease, outbox
from bridge.configuration.account_from_environment import ensure_account
from bridge.configuration.connecting import Connection
from bridge.delivery.draining import LONGEST_DRAIN, Drain
from bridge.kommo.parallel_calls import Abreast
from bridge.models import Account, Card
from leads.models import Lead, Pipeline
from leads.phone import parse
from leads.rulebook import rulebook

KOMMO_CEILING = 7  # requests per second
# The most an account's row takes; with the sandbox's ceiling lifted, calls are as fast as they come.
NO_CEILING = 50
LONGEST_DELIVERY = timedelta(minutes=15)


def connect(bench: Bench) -> Account:
    """Start a sandbox and connect the shipped pipeline to it; the ceiling is lifted on both sides."""
    bench.start_sandbox()
    bench.options(requests_per_second=UNLIMITED)
    account = ensure_account()
    assert account is not None
    adjust(bench, account, requests_per_second=NO_CEILING)
    Connection(account, client_for(account), create_missing=True, now=timezone.now()).connect(None)
    # Nobody is in Kommo yet.
    Account.objects.filter(pk=account.pk).update(compared_at=timezone.now())
    account.refresh_from_db()
    return account


def adjust(bench: Bench, account: Account, *, requests_per_second: int, batch_size: int = 50) -> None:
    """Set what the account keeps to, and the sandbox's ceiling with it."""
    ceiling = UNLIMITED if requests_per_second == NO_CEILING else requests_per_second
    bench.options(requests_per_second=ceiling)
    account.requests_per_second, account.batch_size, account.batch_limit = requests_per_second, batch_size, 250
    account.save(update_fields=["requests_per_second", "batch_size", "batch_limit"])


def phone(number: int) -> str:
    return f"+55819{90_000_000 + number}"


def add_leads(account: Account, count: int, *, after: int = 0) -> None:
    """Add so many leads at once, other people than the first so many; their cards are due to be created."""
    pipeline, now = Pipeline.objects.get(slug="solar"), timezone.now()
    stage = rulebook(pipeline).first_stage
    numbers = [parse(phone(number), region="BR") for number in range(after, after + count)]
    Lead.objects.bulk_create(
        (
            Lead(
                pipeline=pipeline,
                phone=number.e164,
                phone_key=number.key,
                name=f"Pessoa {index}",
                bill_value=Decimal(100),
                stage=stage,
                stage_set_at=now,
                created_at=now,
                updated_at=now,
            )
            for index, number in enumerate(numbers)
        ),
        batch_size=500,
    )
    outbox.adopt_orphans(account, now=now)


def change_all(bill_value: int) -> int:
    """Give every lead another bill; return how many cards are due to be updated."""
    Lead.objects.update(bill_value=Decimal(bill_value))
    return outbox.requeue(Card.objects.all(), now=timezone.now(), lane=Card.Lane.LIVE)


def change_newest(count: int, bill_value: int, *, lane: Card.Lane = Card.Lane.LIVE) -> int:
    """Give the newest leads another bill; return how many cards are due to be updated."""
    newest = list(Card.objects.order_by("-pk").values_list("pk", flat=True)[:count])
    Lead.objects.filter(card__in=newest).update(bill_value=Decimal(bill_value))
    return outbox.requeue(Card.objects.filter(pk__in=newest), now=timezone.now(), lane=lane)


def deliver(account: Account) -> None:
    """Deliver everything that is due, as a worker's task does. Raises Broken when something is left."""
    give_up_at = timezone.now() + LONGEST_DELIVERY
    while pending() and timezone.now() < give_up_at:
        drain(account)
    if left := Card.objects.exclude(state=Card.State.IN_SYNC).count():
        raise Broken(f"{left} cards are not in sync")


def drain(account: Account) -> None:
    """Deliver what is due, once. Raises Broken when Kommo did not answer as it should."""
    now = timezone.now()
    lease = account_lease.lease(account.pk, now=now)
    if lease is None:
        raise Broken("the account rests: Kommo did not answer as it should")
    try:
        fresh, client = open_account(account.pk)
        calls = Abreast(client, at_once=settings.KOMMO_CALLS_AT_ONCE)
        Drain(fresh, lease, client, calls).run(until=now + LONGEST_DRAIN)
    finally:
        lease.release()


def pending() -> bool:
    return Card.objects.filter(state__in=Card.PENDING).exists()


def waiting() -> int:
    return Card.objects.filter(state__in=Card.PENDING).count()
