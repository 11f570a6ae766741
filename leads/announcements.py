"""What `leads` tells the rooms above it, inside the transaction in which it happened.

Receivers store what follows from the news; whatever leaves the process waits for the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.dispatch import Signal

if TYPE_CHECKING:
    from leads.models import Lead


@dataclass(frozen=True)
class Saved:
    """A lead that was just stored. `changed`: its columns, and "objections"; None when anything may have changed."""

    lead: Lead
    created: bool
    changed: frozenset[str] | None

    def touches(self, names: frozenset[str]) -> bool:
        return self.created or self.changed is None or not names.isdisjoint(self.changed)


# saved: list[Saved], now. Whoever cares for saved leads listens here and not to post_save, which interactions do not
# send: they store many leads in one statement.
leads_saved = Signal()

# recorded: list[leads.interactions.Recorded], each of another lead; now
interactions_recorded = Signal()

# lead, previous: Stage | None, by: Lead.Actor, reason: str, now. Sent after the lead was saved.
stage_changed = Signal()

# lead, paused: bool, tells_staff: bool (somebody is to speak in the agent's place), reason: str, now, found: bool (a
# person had the lead already when we came to know of it)
handoff_changed = Signal()

# pipeline, silenced: bool, now. The agent was silenced for every lead of a pipeline, or may speak again.
agent_switched = Signal()

# lead, before, after: the tags on their card, which somebody else than we has changed; now.
tags_changed = Signal()

# lead, reason: str, now. Somebody should look at this lead: what they said leads to nothing by itself.
staff_wanted = Signal()

# lead, now. The time of the meeting it showed is over; the next one, if there is one, has taken its place.
meeting_passed = Signal()

# lead_ids. Receivers return the set of those that have, or may have, a card in Kommo, and lock what tells them so.
cards_wanted = Signal()

# lead_ids. Receivers return the set of (id of a lead, place in Kommo) where a number that stands there is the person's,
# with a row for each lead that has a card.
own_places_wanted = Signal()

# lead, other, now. The other lead is about to be this one; receivers move what may not simply change its lead, and
# return Kommo's id of a card that is left behind, or None.
leads_joining = Signal()

# lead, now
opted_out = Signal()

# lead, elsewhere: bool, now. The person asked to be forgotten; receivers remove what they hold of them, and with
# `elsewhere` what they have written to other systems. May be sent again.
personal_data_erased = Signal()

# messages: list[leads.models.Message], ours, of which a channel or a messenger has told something new; now
messages_told_of = Signal()
