"""What is wrong with this installation, and what to do about each thing?

Every check is a function that yields findings, in the file of its subject here; a finding without a remedy is good
news. One check that cannot be made must not hide the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError
from django.utils import translation
from django.utils.translation import gettext as _

from bridge import database_faults
from bridge.doctor.database_and_disk import check_database
from bridge.doctor.finding import Check, Finding
from bridge.doctor.handoffs_and_erasures import check_briefings, check_erasures
from bridge.doctor.installation import check_settings, check_static_files
from bridge.doctor.kommo_accounts import ask_kommo_itself, check_accounts, check_polls, check_troubles
from bridge.doctor.late_followups import check_followups
from bridge.doctor.unbound_rules import check_bindings
from bridge.doctor.unread_webhooks import check_inbox
from bridge.doctor.unsent_messages import check_agent, check_messages
from bridge.doctor.waiting_cards import check_cards, check_drifts
from bridge.doctor.workers_and_queue import check_clocks, check_queue, check_workers

GLANCE_KEPT_SECONDS = 10


def examine(now: datetime, *, ask_kommo: bool = True, language: str = "en") -> list[Finding]:
    """Return every finding. Without `ask_kommo` only our own rows are read: no call leaves.

    language: a page passes its reader's. Commands and alerts keep to English, which logs are searched for and by whose
    words an alert is known from look to look.
    """
    with translation.override(language):
        return _examine(now, ask_kommo=ask_kommo)


def glance(now: datetime, *, language: str) -> list[Finding]:
    """Return what `examine` finds among our own rows, at most a few seconds old: for a page that looks all the time."""
    key = f"doctor:{language}"
    kept: list[dict[str, str]] | None = cache.get(key)
    if kept is not None:
        return [Finding(**each) for each in kept]
    found = examine(now, ask_kommo=False, language=language)
    # As plain values: in Redis the cache holds JSON.
    cache.set(key, [asdict(each) for each in found], GLANCE_KEPT_SECONDS)
    return found


def _examine(now: datetime, *, ask_kommo: bool) -> list[Finding]:
    found = list(_dared(check_database, now))
    if not found[0].is_well:
        # Everything else reads the database.
        return found
    looks: list[Check] = [
        check_queue,
        check_workers,
        check_accounts,
        check_troubles,
        check_polls,
        check_bindings,
        check_cards,
        check_briefings,
        check_erasures,
        check_inbox,
        check_drifts,
        check_followups,
        check_messages,
        check_agent,
        check_static_files,
        check_clocks,
        check_settings,
    ]
    if ask_kommo:
        looks.insert(3, ask_kommo_itself)
    for check in looks:
        found += _dared(check, now)
    return found


def _dared(check: Check, now: datetime) -> Iterator[Finding]:
    try:
        yield from check(now)
    except (DatabaseError, InterfaceError) as error:
        message = _("does not answer: %(reason)s") % {"reason": database_faults.first_line(error)}
        yield Finding("database", message, _(database_faults.remedy(error)))
