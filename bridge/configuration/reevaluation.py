"""Letting new rules reach the leads that are there already, because staff asked for it: behind live traffic.

A page of leads at a time, each moved in a transaction of its own and decided again under its lock. The cursor is
stored after every page: a worker that dies goes on there, and a lead that was moved already stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from bridge.cards import nudge, outbox
from bridge.configuration import compiling, drafts
from bridge.models import Card, Reevaluation, RulesRevision
from common.reasons import Reason
from leads import reconsideration
from leads.models import Pipeline
from leads.rulebook import rulebook
from leads.rules import Rules


def ask(pipeline: Pipeline, *, by: Any, former: RulesRevision | None, now: datetime) -> Reevaluation:
    """Begin to ask every movable lead again; what is still under way for the pipeline ends here."""
    open_ones = Reevaluation.objects.filter(pipeline=pipeline, ended_at=None)
    open_ones.update(ended_at=now, stopped_by=str(by)[:200])
    total = reconsideration.movable(pipeline).count()
    return Reevaluation.objects.create(
        pipeline=pipeline, asked_by=str(by)[:200], asked_at=now, former=former, total=total
    )


def stop(row: Reevaluation, *, by: Any, now: datetime) -> bool:
    """End it where it is: who was moved stays moved, everybody else is left alone."""
    return bool(Reevaluation.objects.filter(pk=row.pk, ended_at=None).update(ended_at=now, stopped_by=str(by)[:200]))


def has_work() -> bool:
    return Reevaluation.objects.filter(ended_at=None).exists()


def run(*, may_go_on: Callable[[], bool], progress: Callable[[], None] = lambda: None) -> int:
    """Go on with what is asked for, the oldest first, while it may; return how many leads were moved."""
    moved = 0
    for row in Reevaluation.objects.filter(ended_at=None).select_related("pipeline", "former").order_by("id"):
        moved += _run(row, may_go_on, progress)
        if not may_go_on():
            break
    return moved


def _run(row: Reevaluation, may_go_on: Callable[[], bool], progress: Callable[[], None]) -> int:
    former = compiling.rules(drafts.read(row.former.document)) if row.former else None
    account_id = outbox.account_id_of(row.pipeline)
    moved = 0
    for page in reconsideration.pages(row.pipeline, rulebook(row.pipeline), after=row.cursor):
        book = rulebook(Pipeline.objects.get(pk=row.pipeline_id))
        here = 0
        for lead in page:
            decision = reconsideration.consider(lead, book, book.rules)
            before = reconsideration.consider(lead, book, former) if former else None
            if reconsideration.destination(decision, before):
                here += _move(lead.pk, row, former)
                progress()
        moved += here
        asked = Reevaluation.objects.filter(pk=row.pk, ended_at=None)
        if not asked.update(cursor=page[-1].pk, looked=F("looked") + len(page), moved=F("moved") + here):
            return moved
        if account_id is not None and here:
            nudge.send(account_id)
        if not may_go_on():
            return moved
    Reevaluation.objects.filter(pk=row.pk, ended_at=None).update(ended_at=timezone.now())
    return moved


def _move(pk: Any, row: Reevaluation, former: Rules | None) -> bool:
    # Asked before: what a person said just now keeps its place before all bulk work.
    was_waiting = Card.objects.filter(lead=pk, state__in=Card.PENDING).exists()
    why = Reason("rules_applied_by", a=row.asked_by)
    if reconsideration.move(pk, why=why, former=former, now=timezone.now()) is None:
        return False
    if not was_waiting:
        outbox.let_live_go_first(Card.objects.filter(lead=pk))
    return True
