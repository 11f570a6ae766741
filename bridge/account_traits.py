"""How one account behaves, where Kommo's accounts differ: measured by `kommo_probe`, learnt on the way, else unknown.

`Account.traits` holds what is known: trait -> value. What is not known is read carefully: short texts, no emoji,
filters that may be ignored, writes that may be named a robot's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import transaction

from bridge.kommo.client import KommoClient
from bridge.kommo.custom_field_values import TEXT_LIMIT, TEXTAREA_LIMIT, Form
from bridge.kommo.replies import AccountReply
from bridge.models import Account


class Trait(StrEnum):
    """What may be known of an account, with its values."""

    TEXT_LIMIT = "text_limit"  # characters a `text` takes by the API; 0: no limit was met
    TEXTAREA_LIMIT = "textarea_limit"
    EMOJI = "emoji"  # kept, cut
    EMPTY_BOX = "empty_box"  # no, empty: what a box set to no is kept as
    VALUE_FILTER = "value_filter"  # works, ignored
    TIME_FILTER = "time_filter"  # works, ignored
    BATCHES = "batches"  # whole, parts: what one bad item does to a batch
    UNKNOWN_IDS = "unknown_ids"  # refused, left_out
    UNCHANGED = "unchanged"  # quiet, bumps: what a write that changes nothing does
    WRITES_BY = "writes_by"  # user, robot: whom `updated_by` names
    FIRST_TAG_ONLY = "first_tag_only"  # true: a complex create keeps one tag
    TAG_CASE = "tag_case"  # kept, ignored
    DATES = "dates"  # midnight, as_sent
    ROBOT_USERS = "robot_users"  # ids of users that were seen to write in chats as bots
    BOT_MESSAGES = "bot_messages"  # what bots wrote and nobody has looked at yet (bridge/inbound/other_bots_answer.py)
    REFUSED_SETTINGS = "refused_settings"  # what a webhook may not be subscribed to
    NAMELESS = "nameless"  # ids of users in whose name Kommo lets us write nothing
    PERMISSIONS = "permissions"  # what our user may do (bridge/accounts/permissions.py)
    # how many leads and contacts there are, and may be, and when that was asked (bridge/accounts/room_for_leads.py)
    ROOM = "room"
    PROBED_AT = "probed_at"  # when `kommo_probe` last measured it


def form_of(account: Account | None) -> Form:
    """Return how the account keeps values, as far as it is known."""
    if account is None:
        return Form()
    known = account.traits
    return Form(
        zone=zone_of(account),
        text_limit=_limit(known, Trait.TEXT_LIMIT, TEXT_LIMIT),
        textarea_limit=_limit(known, Trait.TEXTAREA_LIMIT, TEXTAREA_LIMIT),
        keeps_emoji=known.get(Trait.EMOJI) == "kept",
    )


def zone_of(account: Account) -> tzinfo:
    """Return the zone in which the account's dates are days; this installation's while it is not known."""
    return _zone(account.time_zone) or _zone(settings.TIME_ZONE) or UTC


def zone_named(reply: AccountReply, otherwise: str) -> str:
    """Return the name of an account's zone as its settings tell it, else the other one."""
    if _zone(reply.time_zone):
        return reply.time_zone
    hours = reply.utc_offset.partition(":")
    if hours[0][1:].isdigit() and hours[2] == "00":
        # The names of these zones count the other way.
        named = f"Etc/GMT{-int(hours[0]):+d}"
        if _zone(named):
            return named
    return otherwise


def learn(account: Account, reply: AccountReply) -> None:
    """Remember what the account tells of itself: its zone, its money, and whether its filters work."""
    link = account.pipeline_links.select_related("pipeline").order_by("pk").first()
    account.time_zone = zone_named(reply, link.pipeline.time_zone if link else settings.TIME_ZONE)
    account.currency = reply.currency or account.currency
    if reply.filters_work is False:
        account.traits = {**account.traits, Trait.VALUE_FILTER: "ignored", Trait.TIME_FILTER: "ignored"}
    account.save(update_fields=["time_zone", "currency", "traits"])


def look(account: Account, client: KommoClient) -> None:
    """Learn the money of an account that was connected before it was asked for. Raises KommoError."""
    if not account.currency and (currency := client.account().currency):
        account.currency = currency
        account.save(update_fields=["currency"])


def remember(account: Account, trait: Trait, value: Any) -> None:
    """Remember one trait that was met on the way."""
    with transaction.atomic():
        row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        row.traits = account.traits = {**row.traits, trait: value}
        row.save(update_fields=["traits"])


def _limit(known: Mapping[str, Any], trait: Trait, careful: int) -> int:
    if trait not in known:
        return careful
    return int(known[trait]) or TEXTAREA_LIMIT


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
