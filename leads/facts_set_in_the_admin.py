"""Facts that staff set right here: theirs stands, as if they had changed it in Kommo, until something new is said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from leads import stage_moves
from leads.models import Event, Lead
from leads.which_fact_stands import EMPTY, adopt, plain

# What is typed as it is; the rest is chosen, or is whom the person is known by.
CORRECTABLE = ("name", "email", "bill_value", "qualification_score")


@transaction.atomic
def correct(lead: Lead, facts: Mapping[str, Any], *, user: str, now: datetime) -> list[str]:
    """Set facts of CORRECTABLE, None for nothing, and note who did; return those that were otherwise before.

    The card follows, also one that Kommo had refused: what is sent now is something else.
    """
    lead = stage_moves.locked(lead)
    wanted = {name: EMPTY.get(name) if value is None else value for name, value in facts.items()}
    changed = [name for name, value in wanted.items() if getattr(lead, name) != value]
    if not changed:
        return []
    for name in changed:
        adopt(lead, name, wanted[name], at=now)
    lead.updated_at = now
    lead.save(update_fields=[*changed, "provenance", "updated_at"])
    data = {"changed": {name: plain(wanted[name]) for name in changed}, "user": user}
    lead.events.create(at=now, kind=Event.Kind.STAFF_EDIT, actor=Lead.Actor.STAFF, data=data)
    return changed
