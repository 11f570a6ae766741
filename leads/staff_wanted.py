"""When is a person asked to look at a lead because of what it wrote? A rule says so, or it may want no more."""

from __future__ import annotations

from leads import farewells
from leads.falling_silent import is_farewell
from leads.interaction_values import Direction, Recorded


def wants_staff(record: Recorded) -> str | None:
    """Return why somebody should look at the lead after this interaction, or None."""
    message, lead = record.interaction.message, record.lead
    if message is None or message.direction is not Direction.INBOUND or not farewells.may_ask_to_stop(message.text):
        return record.decision.notify_staff
    # Whom a person has, a person reads; and nobody is asked about what was long ago.
    is_settled = lead.in_handoff or lead.opted_out_at or record.interaction.history or is_farewell(message, lead)
    return record.decision.notify_staff if is_settled else farewells.MAY_ASK_TO_STOP
