"""What of an account's dealings with Kommo does not work at present, told to staff and tried again with growing waits.

A feature that Kommo refuses rests, and everything else goes on. Work that keeps failing by itself is told once it has
lasted. Both end with the first try that succeeds, or when the account is connected or resumed.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_noop

from bridge.cards import backoff
from bridge.models import Trouble
from common.statements import Select

# A refusal ends when somebody changes something: asked again soon, then every quarter of an hour.
SHORTEST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
# What fails by itself is told after this.
LASTS_AFTER = timedelta(minutes=10)
MOST_TRIES = 1_000_000
# So often in a row what needs a side call is tried again with all that waits beside it; then it waits alone.
PATIENCE = 3

Subject = Trouble.Subject

# Told at once though nothing was refused: what staff should know.
SIGNS = frozenset({Subject.ROBOTS, Subject.HIDDEN, Subject.PLAN})

_RIGHTS = gettext_noop("give our user the right to it in Kommo, or choose a plan that has it; it goes on by itself")
# Subject -> what a person does about it.
REMEDIES = {
    Subject.CONTACTS: _RIGHTS,
    Subject.NOTES: _RIGHTS,
    Subject.TASKS: _RIGHTS,
    Subject.SALESBOT: gettext_noop("see that the plan has Salesbots and that the bot and its field are there"),
    Subject.EVENTS: gettext_noop(
        "make our user an administrator in Kommo: until then a person's reply in a chat pauses nobody"
    ),
    Subject.WEBHOOKS: gettext_noop(
        "make our user an administrator in Kommo, and see that the plan has webhooks; "
        "until then changes are found by polling, within five minutes"
    ),
    Subject.STAGES: gettext_noop(
        "make our user an administrator in Kommo, or make and rename the stages there by hand; "
        "it is tried again by itself"
    ),
    Subject.USERS: gettext_noop("give the integration the right to read users; until then names of staff are missing"),
    Subject.LOSS_REASONS: gettext_noop(
        "switch reasons of lost leads on in Kommo, or leave it: nothing else needs them"
    ),
    Subject.COMPARE: gettext_noop("see what the error names, and that Kommo answers; it is tried again by itself"),
    Subject.INBOX: gettext_noop("see what the error names, and that Kommo answers; it is tried again by itself"),
    Subject.CATALOGUE: gettext_noop("see what the error names, and that Kommo answers; it is tried again by itself"),
    Subject.ROBOTS: gettext_noop(
        "switch Kommo's own AI agent or the bot off in our pipeline, or people get two answers; "
        "this ends a day after it"
    ),
    Subject.CREATES: gettext_noop(
        "see in Kommo's settings how many leads and contacts the plan takes and whether it is paid, and that our user "
        "may create leads: delete what nobody needs, or buy seats or a larger plan; other cards go on meanwhile, and "
        "new ones are tried again by themselves"
    ),
    Subject.PLAN: gettext_noop(
        "delete leads and contacts that nobody needs (lost leads first), or buy seats or a larger plan in Kommo: "
        "when it is full, new leads of the agent get no card"
    ),
    Subject.HIDDEN: gettext_noop(
        "see that our user may still see all leads in Kommo; nothing is changed until they show, or are really deleted"
    ),
}


def begin(account_id: int, subject: str, reason: str, *, now: datetime, refused: bool, patience: int = 1) -> datetime:
    """Note that something did not work; return when it may be tried again: at once before the try number `patience`."""

    def again_at(tries: int) -> datetime:
        return now if tries < patience else now + _wait(tries, refused)

    first = {"refused": refused, "reason": reason[:500], "since": now, "next_at": again_at(1)}
    row, is_new = Trouble.objects.get_or_create(account_id=account_id, subject=subject, defaults=first)
    if is_new:
        return row.next_at
    next_at = again_at(row.tries + 1)
    Trouble.objects.filter(pk=row.pk).update(
        tries=min(row.tries + 1, MOST_TRIES), refused=refused, reason=reason[:500], next_at=next_at
    )
    return next_at


def fails(account_id: int, subject: str, reason: str, *, now: datetime) -> bool:
    """Note that a side call failed in passing; True once it did so too often in a row for anything else to wait."""
    rest_ends = begin(account_id, subject, reason, now=now, refused=False, patience=PATIENCE)
    return rest_ends > now


def over(account_id: int, subject: str, *, tried_at: datetime | None = None) -> bool:
    """Note that it works again, and say whether it did not before; `tried_at`: what was noted since then stands."""
    rows = Trouble.objects.filter(account_id=account_id, subject=subject)
    count, _ = (rows.filter(next_at__lte=tried_at) if tried_at else rows).delete()
    return count > 0


def rests_until(account_id: int, subject: str, *, now: datetime, refused: bool | None = None) -> datetime | None:
    """Return until when something is not to be tried; None when it may be.

    refused: only if Kommo refused it (True), or only if it keeps failing by itself (False).
    """
    found = _resting(refused).first(account_id=account_id, subject=str(subject), now=now)
    return found[0] if found else None


@cache
def _resting(refused: bool | None) -> Select:
    def build(account_id: int, subject: str, now: datetime) -> QuerySet[Any, Any]:
        row = Trouble.objects.filter(account_id=account_id, subject=subject, next_at__gt=now)
        row = row if refused is None else row.filter(refused=refused)
        return row.order_by("id").values_list("next_at")[:1]

    return Select(build)


def resting(*, now: datetime) -> set[tuple[int, str]]:
    """Return (account, subject) of everything that is not to be tried now. One query over a table of a few rows."""
    return set(Trouble.objects.filter(next_at__gt=now).values_list("account_id", "subject"))


def wake(account_id: int, *, now: datetime) -> None:
    """Let everything be tried again at once: somebody has mended something."""
    Trouble.objects.filter(account_id=account_id, next_at__gt=now).update(next_at=now, tries=F("tries") * 0 + 1)


def to_tell(*, now: datetime) -> list[Trouble]:
    """Return what staff have to know: every refusal, and what has failed for a while."""
    troubles = Trouble.objects.filter(Q(refused=True) | Q(since__lt=now - LASTS_AFTER))
    # What follows from a pause is told by the pause.
    return list(troubles.exclude(account__state="paused").select_related("account").order_by("since", "pk"))


def remedy(row: Trouble) -> str:
    """Return what a person does about a trouble, in English: rights mend a refusal, and nothing that fails."""
    subject = Subject(row.subject)
    return REMEDIES[subject if row.refused or REMEDIES[subject] is not _RIGHTS else Subject.INBOX]


def _wait(tries: int, refused: bool) -> timedelta:
    if not refused:
        return backoff.delay(tries, jitter=random.random(), cap=backoff.REST_CAP)
    return backoff.doubled(SHORTEST_REST, tries - 1, cap=LONGEST_REST)
