"""What the agent reports of a conversation, and what one report came to. Values alone; `interactions` takes them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from leads import addresses
from leads.addresses import Address, Kind
from leads.decisions import Decision
from leads.models import Lead, Stage
from leads.phone import Phone
from leads.which_fact_stands import Change


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    STAFF = "staff"
    # Neither the agent nor a person of ours: Kommo's own AI agent, somebody's Salesbot. Only heard, never reported.
    BOT = "bot"


REPORTED = (Direction.INBOUND, Direction.OUTBOUND, Direction.STAFF)


@dataclass(frozen=True)
class Message:
    """One message of the conversation. `direction` says who wrote it: the lead, the agent, a person or another bot.

    What an intake knows besides: another id of it, who of ours wrote it, its kind (leads.models.Message.Kind) and
    attachments.
    """

    direction: Direction
    id: str = ""
    sent_at: datetime | None = None
    text: str = ""
    other_id: str = ""
    author: str = ""
    kind: str = "text"
    attachments: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Meeting:
    """A meeting as the agent's calendar has it; `status` is one of Lead.MeetingStatus.

    A part that is empty was not spoken of and stays as it was, unless `cleared` names it. `replaces`: which id it had
    before it was moved.
    """

    status: str
    id: str = ""
    starts_at: datetime | None = None
    link: str = ""
    cleared: frozenset[str] = frozenset()
    replaces: str = ""


@dataclass(frozen=True)
class Interaction:
    """What the agent reports. A key that is absent says nothing; a None clears.

    facts: attribute -> value, for the attributes the agent named (leads.models.ATTRIBUTES).
    custom: further facts by their own names; None clears all of them.
    context: any of "conversation_stage" (text or None), "objections" (list of texts or None), "meeting" (Meeting or
    None).
    known_as: by which a repetition is told, beside the message's id.
    """

    phone: Phone | None
    occurred_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] | None = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    message: Message | None = None
    # The card that the reporter's own tables know for this person, by Kommo's id.
    kommo_lead_id: int | None = None
    known_as: frozenset[str] = frozenset()
    # What could not be made anything of, by its place in the report, and why; the rest counts.
    unread: Mapping[str, str] = field(default_factory=dict)
    # Where else the person is reached, the one this was written from first; with `phone`, or in its place.
    addresses: tuple[Address, ...] = ()
    # Told afterwards (leads/past_conversations.py), and whether it may move a lead that nobody has placed.
    history: bool = False
    may_move: bool = True
    # The way in that heard it (its slug), where nobody reported it; and who did what it tells, if not the message says.
    via: str = ""
    actor: str = ""
    # When it was heard there, by our clock; the pause before the agent is told begins then.
    heard_at: datetime | None = None
    # Facts as a messenger shows them, such as the name of a profile: they count where nothing is known.
    hints: Mapping[str, Any] = field(default_factory=dict)
    # Its message was told before, by whatever road: it counts no more.
    is_told_before: bool = False
    # It was sent by us, and has its row: it counts, and is not stored once more.
    is_stored: bool = False

    @cached_property
    def all_addresses(self) -> tuple[Address, ...]:
        """Return each address once: those with a number before all others, for it is what cards and people know."""
        phone = (addresses.of_phone(self.phone),) if self.phone else ()
        named: dict[str, Address] = {}
        for address in sorted((*phone, *self.addresses), key=lambda address: address.phone is None):
            named.setdefault(address.key, address)
        return tuple(named.values())

    @property
    def jid(self) -> str:
        """The WhatsApp id it names, in WhatsApp's own spelling; empty for none."""
        named = (address.value for address in self.addresses if address.kind is Kind.WHATSAPP)
        return next(named, self.phone.jid if self.phone else "")

    @property
    def keys(self) -> tuple[str, ...]:
        """Return by what the person is found; at least one."""
        return tuple(address.key for address in self.all_addresses)

    @property
    def written_from(self) -> Address:
        return self.addresses[0] if self.addresses else self.all_addresses[0]

    @property
    def told_at(self) -> datetime:
        """When it was said, or concluded, at the earliest."""
        sent_at = self.message.sent_at if self.message else None
        return min(self.occurred_at, sent_at) if sent_at else self.occurred_at


@dataclass(frozen=True)
class Recorded:
    """What one interaction came to. `changes` says what of it was new."""

    lead: Lead
    created: bool
    decision: Decision
    interaction: Interaction
    previous: Stage | None
    changes: Change

    @property
    def ignored(self) -> list[dict[str, str]]:
        """What of the report was not taken up, by the names the report has for it, and why."""
        unread = [{"field": name, "reason": reason} for name, reason in self.interaction.unread.items()]
        return unread + [
            {"field": reported_as(attribute), "reason": reason} for attribute, reason in self.changes.ignored.items()
        ]


def reported_as(attribute: str) -> str:
    """Return where an attribute stands in a report."""
    if attribute in ("conversation_stage", "meeting"):
        return f"context.{attribute}"
    return "context.objections_raised" if attribute == "objections" else f"lead.{attribute}"
