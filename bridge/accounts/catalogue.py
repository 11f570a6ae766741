"""Keeping our copy of what the account has: pipelines, statuses, custom fields, users, loss reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models, transaction

from bridge.accounts import stages_renamed_in_kommo
from bridge.accounts.refusals import aside
from bridge.cards.outbox import requeue
from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ColleagueReply, NamedReply
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card, Catalogue
from common.name_spellings import name_key
from common.statements import Select
from leads.models import Pipeline

log = structlog.get_logger(__name__)

# Five calls each time.
LOOK_AGAIN_AFTER = timedelta(hours=1)
LOOK_AGAIN_FOR_BLOCKED_AFTER = timedelta(minutes=5)
WHAT_CARDS_WAIT_FOR = ("pipelines", "lead_fields", "contact_fields")


def stored(account: Account) -> Catalogue | None:
    row: Catalogue | None = STORED.first(account_id=account.pk)
    if row:
        row.account = account
    return row


STORED = Select(lambda account_id: Catalogue.objects.filter(account_id=account_id))


def refresh(account: Account, client: KommoClient, *, now: datetime) -> Catalogue:
    """Read the account's catalogue and store it. Raises KommoError when pipelines or fields cannot be read.

    Users and loss reasons take rights of their own, and little depends on them: where they are refused, those known
    before stand.
    """
    before = stored(account)
    found: dict[str, Any] = {
        **{part: _read(client, part) for part in WHAT_CARDS_WAIT_FOR},
        "users": _named(account, client, Purpose.USERS, client.users, before.users if before else [], now),
        "loss_reasons": _named(
            account, client, Purpose.LOSS_REASONS, client.loss_reasons, before.loss_reasons if before else [], now
        ),
        "fetched_at": now,
    }
    return _store(account, before, found)


def refresh_part(account: Account, client: KommoClient, part: str, *, now: datetime) -> Catalogue:
    """Read again what we have just changed ourselves, one of WHAT_CARDS_WAIT_FOR; all of it where nothing is known."""
    before = stored(account)
    if before is None:
        return refresh(account, client, now=now)
    return _store(account, before, {part: _read(client, part)})


def _read(client: KommoClient, part: str) -> list[dict[str, Any]]:
    if part == "pipelines":
        return [asdict(pipeline) for pipeline in client.pipelines()]
    return [asdict(field) for field in client.custom_fields("leads" if part == "lead_fields" else "contacts")]


def _store(account: Account, before: Catalogue | None, found: dict[str, Any]) -> Catalogue:
    with transaction.atomic():
        if before and "lead_fields" in found:
            _follow_renamed_phone_fields(account, before.lead_fields, found["lead_fields"])
        row, _ = Catalogue.objects.update_or_create(account=account, defaults=found)
        if "pipelines" in found:
            stages_renamed_in_kommo.remember(account, found["pipelines"])
    # As it will be read: tuples are lists there.
    row.refresh_from_db()
    row.account = account
    return row


def _follow_renamed_phone_fields(account: Account, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Let pipelines name their field with the phone as staff call it by now: people are known by it, so it must stay.

    Together with the catalogue that brings the new name, or the old one would be forgotten by a process that dies.
    """
    names = {field["id"]: field["name"] for field in after}
    known = {name_key(name) for name in names.values()}
    ids = {name_key(field["name"]): field["id"] for field in before}
    for pipeline in Pipeline.objects.filter(account_link__account=account).exclude(phone_field=""):
        was = name_key(pipeline.phone_field)
        if was not in known and (new := names.get(ids.get(was, 0))):
            log.info("phone_field_renamed", pipeline=pipeline.slug, field=new)
            pipeline.phone_field = new
            pipeline.save(update_fields=["phone_field"])
            pipeline.rules_changed()


def _named(
    account: Account,
    client: KommoClient,
    purpose: Purpose,
    ask: Callable[[], list[ColleagueReply] | list[NamedReply]],
    before: list[dict[str, Any]],
    now: datetime,
) -> list[dict[str, Any]]:
    try:
        found = aside(account, client, purpose, ask, now=now)
    except KommoError as error:
        log.info("catalogue_part_not_read", account=account.pk, part=purpose.value, error=error.in_log)
        found = None
    return before if found is None else [asdict(answer) for answer in found]


def look_again(account: Account, client: KommoClient, *, now: datetime) -> int:
    """Read the catalogue again; return how many cards that waited for a configuration are due, if it has changed.

    Staff put an option or a stage back, or make the one that was missing: nobody tells us. Raises KommoError.
    """
    before = stored(account)
    after = refresh(account, client, now=now)
    blocked = Card.objects.filter(account=account, state=Card.State.BLOCKED)
    if before and all(getattr(before, name) == getattr(after, name) for name in WHAT_CARDS_WAIT_FOR):
        if before.fetched_at.date() == after.fetched_at.date():
            return 0
        # Limits and plans are nowhere to be seen: what was refused is tried again once a day.
        blocked = blocked.exclude(refused_parts={})
    return requeue(blocked, now=now)


def out_of_date(*, now: datetime) -> models.QuerySet[Account]:
    """Return the connected accounts whose catalogue is old, sooner where cards wait for something it lacks."""
    blocked = Card.objects.filter(account=models.OuterRef("pk"), state=Card.State.BLOCKED)
    old = models.Q(catalogue__fetched_at__lt=now - LOOK_AGAIN_AFTER)
    missed = models.Q(catalogue__fetched_at__lt=now - LOOK_AGAIN_FOR_BLOCKED_AFTER) & models.Exists(blocked)
    return Account.objects.filter(connected_at__isnull=False).exclude(state=Account.State.PAUSED).filter(old | missed)
