"""Which of a pipeline's flows does a word of the agent mean? Pure.

A word that no flow is called by is kept on the lead and for staff to see, and shown on no card: it has no option there
and makes no tag. It never takes the place of a flow that is known.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.name_spellings import name_key
from leads.models import Lead
from leads.which_fact_stands import Change

# Key of a name -> the flow as staff have written it.
Flows = Mapping[str, str]


def settled(lead: Lead, flow: str, flows: Flows, changes: Change) -> str | None:
    """Return the flow that is meant, in staff's spelling; None where a known one stands. What it is not is told."""
    if not flows or (name := flows.get(name_key(flow))):
        return name if flows else flow
    changes.unmapped_flow = flow
    if name_key(lead.chosen_flow) in flows:
        changes.ignored["chosen_flow"] = f"“{flow}” is not mapped yet, and “{lead.chosen_flow}” is known"
        return None
    changes.ignored["chosen_flow"] = f"“{flow}” is not mapped yet: no card shows it"
    return flow


def is_unmapped(lead: Lead, flows: Flows) -> bool:
    """Say whether the lead's flow is a word of the agent that no flow is called by; what staff chose always counts."""
    if not flows or not lead.chosen_flow or name_key(lead.chosen_flow) in flows:
        return False
    return bool(lead.provenance.get("chosen_flow", {}).get("by") == Lead.Actor.AGENT)
