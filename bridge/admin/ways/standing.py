"""How does a way in stand? From when it was last heard, and last turned away. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from bridge.models import Intake


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
