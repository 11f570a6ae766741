"""What an event of the timeline tells beside its reason, in words: names for keys, values as a person writes them.

What the reason says already is left out. What only support looks for (ids, status codes) is kept apart, out of the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge import reasons
from bridge.configuration import sentences
from bridge.models import Delivery
from bridge.money_shown import written
from bridge.selectors import both_sides
from leads.models import Lead

Facts = Iterator[tuple[str, str]]

SAID_BY_THE_REASON = ("rule", "sequence", "step", "outcome")
# Of who did it, which is told beside the deed.
BY_WHOM = ("kommo_user_id", "user")
SUPPORT = {
    "status_code": "HTTP",
    "request_id": "X-Request-Id",
    "correlation_id": "X-Correlation-Id",
    "attempt_id": "webhook-id",
}
NAMES = {
    "would_be": gettext_lazy("would be in"),
    "ignored": gettext_lazy("not taken up"),
    "operation": gettext_lazy("operation"),
    "source": gettext_lazy("because"),
    "since": gettext_lazy("since"),
    "subject": gettext_lazy("what"),
    "ours": gettext_lazy("here"),
    "theirs": gettext_lazy("in Kommo"),
    "address": gettext_lazy("address"),
    "addresses": gettext_lazy("addresses"),
    "lead": gettext_lazy("the other lead"),
    "channel": gettext_lazy("first seen in"),
    # Of a meeting.
    "id": gettext_lazy("meeting id"),
    "status": gettext_lazy("meeting"),
    "starts_at": gettext_lazy("meeting starts at"),
    "link": gettext_lazy("meeting link"),
    # What is compared of a card.
    "name": gettext_lazy("name"),
    "price": gettext_lazy("sale value"),
    "stage": gettext_lazy("stage"),
    "tags": gettext_lazy("tags"),
    "responsible": gettext_lazy("responsible"),
    "loss_reason": gettext_lazy("loss reason"),
}
# What the agent is told, by the names its calls have (bridge/api/event_shapes.py).
AGENT_EVENTS = {
    "agent.paused": gettext_lazy("a person has the lead"),
    "agent.resumed": gettext_lazy("the agent has the lead again"),
    "lead.stage_changed": gettext_lazy("the stage has changed"),
    "message.received": gettext_lazy("the lead has written"),
    "message.delivered": gettext_lazy("a message has reached the chat"),
    "message.not_delivered": gettext_lazy("a message has not reached the lead"),
}
CHOICES = {
    "source": Lead.HandoffSource,
    "operation": Delivery.Operation,
    "status": Lead.MeetingStatus,
}
NUMBERS = ("bill_value", "qualification_score")


def facts(data: Mapping[str, Any], lead: Lead, stage_names: Mapping[str, str]) -> Facts:
    """Yield what an event of a lead tells a person. stage_names: by their keys."""
    if data.get("from_name") or data.get("to_name"):
        before = data.get("from_name") or data.get("from") or "–"
        yield _("moved"), f"{before} → {data.get('to_name') or data.get('to')}"
    changed = data.get("changed")
    if isinstance(changed, dict):
        yield from _changed(changed, lead)
    hidden = {"from", "to", "from_name", "to_name", "changed", *SAID_BY_THE_REASON, *BY_WHOM, *SUPPORT}
    for name, value in data.items():
        if name in hidden or value in (None, "", [], {}):
            continue
        if isinstance(value, dict) and value.keys() == {"from", "to"}:
            yield _name(name), f"{_plain(value['from'])} → {_plain(value['to'])}"
        elif name == "would_be":
            yield _name(name), stage_names.get(value, value)
        elif name == "older_than_known":
            # Of an earlier version.
            yield _name("ignored"), ", ".join(map(sentences.attribute, value))
        elif name == "ignored":
            for ignored in value:
                yield f"{_name(name)}, {sentences.attribute(_attribute(ignored))}:", reasons.in_words(ignored["reason"])
        elif name == "subject":
            yield _name(name), _name(value)
        else:
            yield _name(name), _value(name, value, lead)


def for_support(data: Mapping[str, Any]) -> Facts:
    for key, name in SUPPORT.items():
        if data.get(key):
            yield name, str(data[key])


def _attribute(ignored: Mapping[str, str]) -> str:
    place = ignored["field"].partition(".")[2]
    return {"objections_raised": "objections"}.get(place, place)


def _changed(changed: Mapping[str, Any], lead: Lead) -> Facts:
    """Yield the facts an interaction brought, attribute by attribute; a meeting part by part."""
    for name, value in changed.items():
        if name == "meeting" and isinstance(value, dict):
            yield from (
                (_name(part), _value(part, part_value, lead)) for part, part_value in value.items() if part_value
            )
        else:
            yield sentences.attribute(name), _value(name, value, lead)


def _name(key: str) -> str:
    kind, _space, rest = key.partition(" ")
    return f"{NAMES.get(kind, kind)} {rest}".strip()


def _value(name: str, value: Any, lead: Lead) -> str:
    if name in CHOICES:
        return str(dict(CHOICES[name].choices).get(value, value))
    if name in NUMBERS:
        # An older row may say 4.5E+3 for 4500.
        try:
            number = Decimal(value)
            return written(number, lead.pipeline) if name == "bill_value" else both_sides.text(number)
        except (InvalidOperation, TypeError):
            return _plain(value)
    if name in ("since", "starts_at", "meeting_starts_at"):
        at = parse_datetime(str(value))
        return both_sides.text(at) if at and is_aware(at) else _plain(value)
    return _plain(value)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else both_sides.text(value) or "–"
