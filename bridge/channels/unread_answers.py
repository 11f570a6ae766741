"""Has anything been heard of a lead that nobody has read yet? Asked before each part: it may be a person who wrote.

What a way in or Kommo tells is stored at once and read by a worker, mostly within a second; a part that leaves in that
second would be said over a person who has spoken. Raw bodies are looked through for the person's addresses: too much
is found rather than too little, since all that follows is a moment's wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models.functions import Length

from bridge.channels.part_values import Person
from bridge.models import Account, IntakeCall, WebhookEvent
from leads.addresses import Kind

# So long a message waits for what was heard to be read; an inbox that stands still must not silence the agent.
PATIENCE = timedelta(seconds=10)
LOOK_AGAIN = timedelta(seconds=0.2)
# The newest are looked through, but for bodies that no message has.
MOST_CALLS, MOST_BYTES = 50, 64 * 1024
# The end of a number is the same with and without its country and its ninth digit.
DIGITS = 8
BY_NUMBER = frozenset({Kind.PHONE, Kind.WHATSAPP})


def is_heard_of(person: Person, account: Account | None, now: datetime) -> bool:
    """Say whether a stored call that is still to be read names this person. Two queries."""
    names = _names(person)
    return bool(names) and any(name in body for body in _bodies(account, now) for name in names)


def _names(person: Person) -> list[bytes]:
    """Return what a body that is about a person has of them in it."""
    found = {str(kommo_id) for kommo_id in (person.kommo_lead_id, person.kommo_contact_id) if kommo_id}
    for address in person.addresses:
        kind, value = address["kind"], address["value"].partition("@")[0]
        found.add("".join(filter(str.isdigit, value))[-DIGITS:] if kind in BY_NUMBER else value)
    return [name.encode() for name in found if len(name) >= 4]


def _bodies(account: Account | None, now: datetime) -> Iterable[bytes]:
    since = now - PATIENCE
    calls = IntakeCall.objects.filter(state=IntakeCall.State.RECEIVED, due_at__lte=now, received_at__gte=since)
    events = WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED, account=account, received_at__gte=since)
    for rows in (calls, events) if account else (calls,):
        small = rows.annotate(size=Length("body")).filter(size__lte=MOST_BYTES).order_by("-id")
        for body in small.values_list("body", flat=True)[:MOST_CALLS]:
            yield bytes(body)
