"""Leads of Kommo's that could not be adopted: what goes wrong with one costs no other, and staff are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

from bridge.errors import KommoError
from bridge.kommo.replies import LeadReply
from bridge.kommo.reply_values import ReplyShapeError
from bridge.models import Card
from bridge.models.card import UNREADABLE

log = structlog.get_logger(__name__)


def note_unreadable(card_id: int, error: str) -> None:
    """Keep with a card what of its lead could not be adopted, until the next reading is."""
    Card.objects.filter(pk=card_id).update(last_error=f"{UNREADABLE}: {error}"[:1000])


def unreadable() -> QuerySet[Card]:
    """Return the cards of which something in Kommo could not be adopted."""
    return Card.objects.filter(last_error__startswith=UNREADABLE)


@dataclass
class Failure:
    """What went wrong with one lead, if anything did."""

    error: str = ""


@contextmanager
def each_by_itself(found_by: str, kommo_id: int) -> Iterator[Failure]:
    """Keep what goes wrong with one lead from all others. A database that is away is everybody's, and is raised."""
    failure = Failure()
    try:
        yield failure
    except (OperationalError, InterfaceError, KommoError):
        raise
    except Exception as error:
        log.exception("lead_not_adopted", kommo_id=kommo_id, found_by=found_by)
        failure.error = f"{type(error).__name__}: {error}"[:900]


def refuse_unreadable(reply: LeadReply) -> None:
    if reply.unreadable:
        raise ReplyShapeError(reply.unreadable)
