"""What a check of the installation saw, and what a person does about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

TITLES = {
    "database": gettext_noop("database"),
    "queue": gettext_noop("queue"),
    "worker": gettext_noop("worker"),
    "kommo": "Kommo",
    "account": gettext_noop("account"),
    "token": gettext_noop("token"),
    "bindings": gettext_noop("bindings"),
    "backlog": gettext_noop("backlog"),
    "cards": gettext_noop("cards"),
    "webhook": gettext_noop("webhook"),
    "drift": gettext_noop("drift"),
    "follow-ups": gettext_noop("follow-ups"),
    "messages": gettext_noop("messages"),
    "agent": gettext_noop("agent"),
    "static files": gettext_noop("static files"),
    "comparison": gettext_noop("comparison"),
    "feature": gettext_noop("feature"),
    "handoffs": gettext_noop("handoffs"),
    "clock": gettext_noop("clock"),
    "erasures": gettext_noop("erasures"),
    "settings": gettext_noop("settings"),
    "rights": gettext_noop("rights"),
}


# Behind these, in a reason of ours, stands what somebody else said of it: a server in refusing, or Python of a value.
THEIRS = re.compile(
    r"(?:answered \d{3}|refused by Kommo|cannot read Kommo's answer|\b\w*(?:Error|Exception)):\s+(?P<words>.+)",
    re.DOTALL,
)


def their_words(reason: str) -> str:
    """Return what of a reason are somebody else's words, which may quote a person; empty where there are none."""
    found = THEIRS.search(reason)
    return found["words"].strip() if found else ""


@dataclass(frozen=True)
class Finding:
    """What a check saw. `remedy` is what a person does about it; empty when all is well.

    code: names the trouble for a page that tells it better. advice: all is well, and yet somebody may not want it so.
    subject: what it stays the same trouble by, where its words are not enough. quotes: somebody else's words in the
    message, which staff read on our pages, and no alert and no log line has.
    """

    check: str
    message: str
    remedy: str = ""
    code: str = ""
    advice: str = ""
    subject: str = ""
    quotes: str = ""

    @property
    def in_our_words(self) -> str:
        return self.message.replace(self.quotes, "…") if self.quotes else self.message

    @property
    def is_well(self) -> bool:
        return not self.remedy

    @property
    def title(self) -> str:
        """Return the check's name in the active language; `check` itself never changes."""
        return _(TITLES.get(self.check, self.check))


Check = Callable[[datetime], Iterator[Finding]]


def span_in_words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} d"
