"""Asking again where stored leads belong, because the rules have changed: who would move, and moving one of them.

Nothing the lead said is new, so what a person decided stands, and so does everything that automatic moves respect.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from common.reasons import about
from leads import stage_moves
from leads.decisions import Decision, decide
from leads.explanation import facts_of
from leads.models import Lead, Pipeline, Stage
from leads.rulebook import Rulebook, rulebook
from leads.rules import Rules

# Small enough for a slice of a page to end near its time.
PAGE = 200


def movable(pipeline: Pipeline) -> QuerySet[Lead]:
    """Return the leads that new rules may reach: not those a person placed or took over, nor those in final stages."""
    places = pipeline.stages.filter(kind=Stage.Kind.OPEN, protected=False)
    rows = Lead.objects.filter(pipeline=pipeline, stage__in=list(places.values_list("pk", flat=True)))
    return rows.filter(handoff_source="", erased_at=None).exclude(stage_set_by=Lead.Actor.STAFF)


def pages(pipeline: Pipeline, book: Rulebook, *, after: UUID | None) -> Iterator[list[Lead]]:
    """Yield the movable leads behind `after` in the order of their ids, a page at a time, stages attached.

    By key and not by offset: the last page costs what the first does, and a lead that comes meanwhile shifts nobody.
    """
    rows = movable(pipeline).order_by("pk")
    while True:
        page = list((rows.filter(pk__gt=after) if after else rows)[:PAGE])
        if not page:
            return
        for lead in page:
            lead.pipeline = pipeline
            lead.stage = book.stages_by_id.get(lead.stage_id) if lead.stage_id else None
        yield page
        after = page[-1].pk


def destination(decision: Decision, former: Decision | None = None) -> str | None:
    """Return the stage the decision takes the lead to; None when it stays.

    former: what was decided by the rules before. With it a lead also goes back to a lower rank, where nothing but the
    order of the stages forbids it and the former rules did not call for that. Talk that lags behind the card, which
    both rules hold back, takes nobody back.
    """
    if decision.changed:
        return decision.stage
    suppressed, before = decision.suppressed, former and former.suppressed
    if (
        former is None
        or suppressed is None
        or not suppressed.against_order
        or (before and before.stage == suppressed.stage)
    ):
        return None
    return suppressed.stage


def consider(lead: Lead, book: Rulebook, rules: Rules) -> Decision:
    """Return what these rules say of the lead as it is known now; nothing is stored."""
    return decide(facts_of(lead, book), rules)


@transaction.atomic
def move(pk: UUID, *, why: str, former: Rules | None, now: datetime) -> tuple[Lead, Stage] | None:
    """Move one lead to where the rules of this moment put it; return it with its former stage, None when it stays.

    Decided again under the lead's lock: it may have said something since somebody looked. former: see `destination`.
    """
    rows = Lead.objects.select_for_update(of=("self",)).select_related("pipeline", "stage")
    lead = rows.filter(pk=pk).first()
    if lead is None or lead.stage is None or lead.erased_at:
        return None
    book = rulebook(lead.pipeline)
    decision = consider(lead, book, book.rules)
    key = destination(decision, consider(lead, book, former) if former else None)
    if key is None:
        return None
    previous, target = lead.stage, book.stages_by_key[key]
    if target.key == book.rules.meeting_stage:
        lead.stage_before_meeting = previous
    lead.concluded = list(decision.concluded)
    lead.save(update_fields=["stage_before_meeting", "concluded"])
    suppressed = decision.suppressed
    reason = decision.reason if decision.changed or suppressed is None else suppressed.against_order
    stage_moves.enter(lead, target, by=Lead.Actor.BRIDGE, reason=about(why, reason), now=now)
    return lead, previous
