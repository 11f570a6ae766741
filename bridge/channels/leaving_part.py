"""A part of a message that is leaving, with all its sending takes."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from bridge.channels.part_values import Part, Person
from bridge.channels.queueing_messages import Route
from bridge.models import Outgoing
from leads.models import MessagePart

P = MessagePart.State


@dataclass(frozen=True)
class Task:
    """A part that is leaving, with all its sending takes."""

    outgoing: Outgoing
    part: MessagePart
    route: Route
    person: Person
    outgoing_part: Part
    # Nothing leaves: it is looked for the proof that what left before has arrived.
    is_look: bool = False


def in_full(rows: QuerySet[Outgoing]) -> QuerySet[Outgoing]:
    return rows.select_related("message", "channel", "lead__pipeline", "lead__stage", "lead__card__account")
