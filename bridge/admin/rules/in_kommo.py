"""What a draft asks of Kommo, said before it is published and agreed to there; and which of two names is to hold."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from bridge.accounts import stages_renamed_in_kommo
from bridge.admin.rules import choices
from bridge.configuration import drafts
from leads.models import Pipeline

DO, LEAVE = "do", "leave"


def changes(draft: drafts.Prepared) -> list[dict[str, str]]:
    """Return what publishing would do in Kommo, in the order of the stages."""
    done = []
    behind = ""
    for stage in draft.wanted.stages:
        if wish := draft.in_kommo.get(stage.key):
            done.append({"do": wish.do, "name": stage.name, "seen": wish.seen, "behind": behind})
        if stage.kind == "open":
            behind = stage.name
    return done


def newly_unbound(draft: drafts.Prepared, kommo: choices.Kommo) -> list[str]:
    """Return the stages whose leads would get no card, by what this draft does; before an account is there, none."""
    was_bound = {stage.key: stage.kommo_status_id for stage in draft.live.stages}
    stages = [stage for stage in draft.wanted.stages if kommo.statuses and not stage.kommo_status_id]
    return [stage.name for stage in stages if stage.key not in draft.in_kommo and was_bound.get(stage.key, True)]


def is_answered(request: HttpRequest, row: Pipeline) -> bool:
    """Say whether whoever publishes has agreed to what becomes of the stages in Kommo; the page asks, and so do we."""
    draft = drafts.prepared(row)
    kommo = choices.kommo(row, draft.live.kommo_pipeline_id)
    has_said = not draft.in_kommo or request.POST.get("in_kommo") in (DO, LEAVE)
    return has_said and (not newly_unbound(draft, kommo) or "unbound" in request.POST)


def is_wanted(request: HttpRequest) -> bool:
    return request.POST.get("in_kommo") == DO


def keep_name(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Leave a stage called one way here and another in Kommo: it is told no more. Answers with nothing."""
    stage = get_object_or_404(row.stages, key=request.POST.get("stage", ""))
    kommo = choices.kommo(row, row.kommo_pipeline_id)
    if request.method == "POST" and (name := kommo.status_names.get(stage.kommo_status_id or 0)):
        stages_renamed_in_kommo.is_known(stage, name)
    return HttpResponse()
