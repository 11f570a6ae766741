"""The edges of an agent that lives in Kommo's chats: it heard Kommo's webhook and answered by a field and a Salesbot.

Form bodies, doubles, waiting for the next bubble, the gate, cutting long answers and proving that they arrived are the
bridge's now. What stays is `turn`, which the agent has already: texts in, an answer and what it learned out. Serve
`listen(...).wsgi` with any WSGI server. Needs kommo-bridge-client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kommo_bridge_client import Bridge, ConversationReporter, Event, Events, MayNotReplyError


@dataclass
class Outcome:
    """What one turn of the agent came to; `person`: why somebody has to take over."""

    answer: str = ""
    stage: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    person: str = ""


def address_of(lead: dict[str, Any]) -> str | None:
    """Return where a lead without a phone is known: in Kommo's chats they may have none."""
    return None if lead["phone"] else "{kind}:{value}".format(**lead["addresses"][0])


def listen(bridge: Bridge, secret: str, turn: Callable[[str, str], Outcome]) -> Events:
    events = Events(secret)

    @events.on("message.received", slow=True)
    def received(event: Event) -> None:
        lead = event.lead
        outcome = turn(lead["id"], "\n".join(message["text"] for message in event.data["messages"]))
        reporter = ConversationReporter(bridge, lead["phone"], address=address_of(lead))
        if outcome.stage or outcome.facts:
            reporter.learned(stage=outcome.stage, **outcome.facts)
        if outcome.answer:
            try:
                # The event's own key: told twice, said once.
                bridge.send(lead["id"], outcome.answer, key=event.id)
            except MayNotReplyError:
                return
        if outcome.person:
            bridge.hand_over(lead["id"], outcome.person)

    return events
