"""How does a way in stand? From when it was last heard, and last turned away. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from bridge.models import Channel, Intake


@dataclass(frozen=True)
class Standing:
    """A tone and a word; `remedy` says what to do about it, where something is to be done."""

    tone: str
    label: Any
    remedy: Any = ""


OFF = Standing("neutral", _("switched off"), _("Nothing is heard by it: calls to its address are turned away."))
REFUSED = Standing(
    "danger",
    _("calls with a wrong signature"),
    _("Somebody calls the address without the right key: enter the same key on both sides."),
)
SILENT = Standing("warning", _("nothing heard yet"), _("Set it up on the other side, then write to yourself there."))
HEARS = Standing("success", _("hears"))


def of(intake: Intake) -> Standing:
    if not intake.is_active:
        return OFF
    if intake.refused_at and (intake.heard_at is None or intake.refused_at > intake.heard_at):
        return REFUSED
    return HEARS if intake.heard_at else SILENT


CHANNEL_OFF = Standing("neutral", _("switched off"), _("Nothing leaves by it."))
RESTS = Standing("danger", _("rests"), _("Its quota is used up, or it refuses us: nothing is tried by it for a while."))
FAILS = Standing("danger", _("fails"), _("What it was given last did not leave: see why, and test it."))
UNUSED = Standing("warning", _("nothing sent yet"), _("Test it, then let the agent say something."))
SENDS = Standing("success", _("sends"))


def of_channel(channel: Channel, now: datetime) -> Standing:
    """Return how a way out stands: by when it last took something, and last did not."""
    if not channel.is_active:
        return CHANNEL_OFF
    if channel.rests_until and channel.rests_until > now:
        return RESTS
    if channel.failed_at and (channel.sent_at is None or channel.failed_at > channel.sent_at):
        return FAILS
    return SENDS if channel.sent_at else UNUSED
