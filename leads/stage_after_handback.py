"""In which stage does a lead go on that is given back to the agent?"""

from __future__ import annotations

from leads import stage_history
from leads.models import Lead, Stage
from leads.rulebook import rulebook


def place_after(lead: Lead) -> Stage | None:
    """Return where a lead goes that stands with people and is given back; None when it can stay where it is.

    Where it stood before; after a stage that a reply leads out of, where the reply leads: it was talked to.
    """
    stage = lead.stage
    if stage is None or not stage.pauses_agent or stage.kind != Stage.Kind.OPEN:
        return None
    before = stage_history.came_from(lead)
    if before is not None:
        return before.on_reply if before.on_reply and not before.on_reply.pauses_agent else before
    book = rulebook(lead.pipeline)
    usual = book.stages_by_key.get(book.rules.qualification.undecided_stage or "")
    return next(
        (candidate for candidate in (usual, *book.stages_by_key.values()) if candidate and _agent_speaks_in(candidate)),
        None,
    )


def _agent_speaks_in(stage: Stage) -> bool:
    return stage.kind == Stage.Kind.OPEN and not stage.pauses_agent and not stage.protected
