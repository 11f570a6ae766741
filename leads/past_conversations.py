"""A conversation's past, told afterwards: what of it counts, and what does not.

It fills in what nobody knows, and only that: a value that a person set, or that was found on a card, is newer than any
past. It moves nobody who stands where people, or another program, put the card. Nothing is said to anybody because of
it; but who asked for no more messages then is not written to now. What was told before, by whatever road, is not told
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from common.reasons import Reason
from leads.decisions import Decision
from leads.interaction_values import Interaction, Recorded
from leads.models import Event, Lead
from leads.rulebook import Rulebook

STANDS = Reason("past_moves_nobody")


def settle(decision: Decision, lead: Lead, interaction: Interaction, book: Rulebook) -> Decision:
    """Return the decision as the past may have it: without a word to staff, and without a move over anybody."""
    quiet = replace(decision, notify_staff=None, suppressed=None)
    if not decision.changed:
        return quiet
    target = book.stages_by_key.get(decision.stage) if decision.stage else None
    is_ours = interaction.may_move and lead.stage is not None and lead.stage_set_by == Lead.Actor.BRIDGE
    if is_ours and target is not None and not target.pauses_agent:
        return quiet
    stage = lead.stage.key if lead.stage else None
    known = decision.concluded_when_moved
    if lead.stage_set_by == Lead.Actor.STAFF:
        # It was concluded before the person moved the card: said again, it is no news.
        known |= frozenset(decision.concluded)
    return replace(quiet, stage=stage, changed=False, reason=STANDS, concluded_when_moved=known)


def already_told(recorded: Iterable[Recorded]) -> set[int]:
    """Return the places of those whose interaction stands on the timeline already, whoever told it. One query."""
    past = [(place, record) for place, record in enumerate(recorded) if record.interaction.history]
    if not past:
        return set()
    rows = Event.objects.filter(lead__in=[record.lead.pk for _, record in past], kind=Event.Kind.INTERACTION)
    times, ids = set(), set()
    for lead_id, at, message in rows.values_list("lead_id", "at", "data__message"):
        fields = message if isinstance(message, dict) else {}
        times.add((lead_id, at, fields.get("text")))
        ids.add((lead_id, fields.get("id")))
    found = set()
    for place, record in past:
        message = record.interaction.message
        at = message.sent_at if message and message.sent_at else record.interaction.occurred_at
        same_time = (record.lead.pk, at, message.text if message else None)
        if same_time in times or (message and message.id and (record.lead.pk, message.id) in ids):
            found.add(place)
    return found
