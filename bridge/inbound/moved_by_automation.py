"""A card that another program in Kommo moved, though our rules call for another stage: adopted, and shown to staff.

Nobody fights: the card stays where the automation put it, or two programs would push it to and fro at every message.
But what it did stays open on the drifts' page until a person decides for one of the two.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bridge.inbound import drifts
from bridge.models import Card
from common.reasons import Reason, about, several
from leads.decisions import decide
from leads.explanation import facts_of
from leads.models import Event, Lead, Stage
from leads.rulebook import Rulebook

# What the decision says when no rule calls for anything.
NO_RULE = frozenset({"none", "new lead", "conversation stage"})


def tell_if_against_the_rules(
    card: Card, lead: Lead, book: Rulebook, stage: Stage | None, *, name: str, agreed: object, now: datetime
) -> bool:
    """Note that an automation moved the card against a rule; False when no rule calls for another stage.

    Asked before the lead follows the card: `lead` stands where the rules last had it.
    """
    facts = replace(facts_of(lead, book), moved_by=None, handoff=False)
    decision = decide(facts, book.rules)
    wanted = book.stages_by_key.get(decision.stage or "")
    if wanted is None or decision.rule in NO_RULE or (stage is not None and stage.pk == wanted.pk):
        return False
    reason = several(
        [Reason("automation_moved_card", a=name), about(Reason("rules_call_for", a=wanted.name), decision.reason)]
    )
    drifts.leave_open(
        card,
        "stage",
        ours=[lead.pipeline.kommo_pipeline_id, wanted.kommo_status_id],
        theirs=[card.observed["pipeline_id"], card.observed["status_id"]],
        agreed=agreed,
        found_by="automation",
        now=now,
    )
    lead.events.create(at=now, kind=Event.Kind.STAFF_TOLD, actor=Lead.Actor.BRIDGE, reason=reason[:500])
    return True
