"""What the tools that only read answer: where a lead stands and why, what it waits for, how all of them do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core import signing
from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from bridge.api import representation
from bridge.api.key_throttle import one_at_a_time
from bridge.api.representation import moment
from bridge.api.results_views import period_of
from bridge.configuration import compiling, drafts, exporting, whatif
from bridge.configuration.whatif import Outlook
from bridge.mcp.tool_arguments import Asked, AskedWronglyError
from bridge.mcp.which_lead import lead_of, leads_of, person_of, pipeline_of
from bridge.selectors import finding_leads, results
from followups.models import Enrollment
from leads import explanation, funnel
from leads.models import Event, Lead, Pipeline

# What takes reading every stay of weeks hardly moves within a minute.
FUNNEL_SECONDS = 60
# A call is answered in about a second, however many leads there are.
LOOK_FOR = timedelta(milliseconds=700)
SALT = "preview-threshold"


def find_lead(asked: Asked) -> dict[str, Any]:
    limit = asked.get("limit", 10)
    found = list(finding_leads.find(leads_of(asked.key), asked.get("text")).order_by("-created_at", "-id")[: limit + 1])
    return {"leads": [_summary(lead) for lead in found[:limit]], "more": len(found) > limit}


def why_here(asked: Asked) -> dict[str, Any]:
    lead = lead_of(asked)
    names = {stage.key: stage.name for stage in lead.pipeline.stages.all()}
    return {
        "lead": _summary(lead),
        "reason": lead.decision_reason,
        "set_by": lead.stage_set_by,
        "since": moment(lead.stage_set_at),
        "stages": [
            {
                "stage": alternative.stage,
                "name": names.get(alternative.stage, alternative.stage),
                "standing": alternative.standing.value,
                "reasons": list(alternative.reasons),
            }
            for alternative in explanation.why_not(lead)
        ],
    }


def why_waiting(asked: Asked) -> dict[str, Any]:
    lead, now = lead_of(asked), timezone.now()
    card = representation.card_of(lead)
    waiting = (
        lead.enrollments.filter(state=Enrollment.State.WAITING).select_related("sequence").order_by("next_at", "pk")
    )
    return {
        "lead": _summary(lead),
        "card": representation.waiting(card, now),
        "agent": representation.agent(lead, card, now),
        "followups": [
            {
                "sequence": enrollment.sequence.slug,
                "step": enrollment.step,
                "next_at": None if enrollment.held else moment(enrollment.next_at),
                "held": enrollment.held,
                "reason": enrollment.next_reason,
            }
            for enrollment in waiting
        ],
    }


def timeline(asked: Asked) -> dict[str, Any]:
    lead, limit = lead_of(asked), asked.get("limit", 30)
    rows = Event.objects.filter(lead=lead).order_by("-at", "-id")
    if "before" in asked.texts("before"):
        at, pk = _place(asked.get("before"))
        rows = rows.filter(at__lte=at).filter(Q(at__lt=at) | Q(id__lt=pk))
    found = list(rows[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    return {
        "lead": _summary(lead),
        "events": [representation.event(row) for row in found[:limit]],
        "next": f"{last.at.isoformat()}/{last.pk}" if last else None,
    }


def _place(text: str) -> tuple[datetime, int]:
    at, _, number = text.partition("/")
    try:
        found = parse_datetime(at)
        if found is None or timezone.is_naive(found) or not number.isascii() or not 0 <= int(number) < 2**63:
            raise ValueError
        # The first and the last hours of the calendar have no UTC.
        return found.astimezone(UTC), int(number)
    except (ValueError, OverflowError) as error:
        raise AskedWronglyError("before is `next` of the answer before, as it is.") from error


def may_reply(asked: Asked) -> dict[str, Any]:
    now, wanted = timezone.now(), asked.get("lead").strip()
    try:
        # Of several pipelines that know somebody, one reason is enough to stay silent.
        return representation.may_reply_to(lead_of(asked), asked.key.pipeline, now)
    except AskedWronglyError:
        # Somebody new may be answered.
        return representation.may_reply(person_of(asked, wanted), asked.key.pipeline, now)


def funnel_now(asked: Asked) -> dict[str, Any]:
    pipeline = pipeline_of(asked)
    key = f"mcp-funnel:{pipeline.pk}"
    if kept := cache.get(key):
        return dict(kept)
    found = _funnel(pipeline)
    cache.set(key, found, FUNNEL_SECONDS)
    return found


def _funnel(pipeline: Pipeline) -> dict[str, Any]:
    places = funnel.places(pipeline, funnel.lately(pipeline, now=timezone.now()))
    return {
        "pipeline": pipeline.slug,
        "days": funnel.LATELY.days,
        "stages": [
            {
                "stage": place.stage.key,
                "name": place.stage.name,
                "standing": place.standing,
                "entered": place.entered,
                "share_of_all": place.conversion,
                "usual_stay_seconds": round(place.usual_stay.total_seconds()) if place.usual_stay else None,
            }
            for place in places
        ],
    }


def results_of(asked: Asked) -> dict[str, Any]:
    pipeline = pipeline_of(asked)
    return {"pipeline": pipeline.slug} | results.results(pipeline, period_of(asked.texts("from", "to"), pipeline))


def preview_threshold(asked: Asked) -> dict[str, Any]:
    pipeline, score = pipeline_of(asked), Decimal(str(asked.get("min_score"))).quantize(Decimal("0.01"))
    live = exporting.read_pipeline(pipeline)
    if live.qualification is None:
        raise AskedWronglyError("This pipeline qualifies nobody: it has no threshold.")
    wanted = replace(live, qualification=replace(live.qualification, min_score=score))
    former, would = compiling.rules(live), compiling.rules(wanted)
    about = drafts.digest(repr((pipeline.pk, former, would)))
    outlook = _resumed(asked.get("so_far", ""), about) or whatif.begin(pipeline)
    if former != would:
        with one_at_a_time(asked.key, "preview"):
            until = timezone.now() + LOOK_FOR
            whatif.go_on(outlook, pipeline, former=former, wanted=would, may_go_on=lambda: timezone.now() < until)
    else:
        outlook.is_complete = True
    # Names stay here: the answer says how many, and the admin's page says who.
    outlook.examples = {}
    cost = whatif.cost(pipeline, outlook.moving)
    return {
        "pipeline": pipeline.slug,
        "min_score_now": None if live.qualification.min_score is None else float(live.qualification.min_score),
        "min_score": float(score),
        "leads": outlook.total,
        "looked_at": outlook.looked,
        "is_complete": outlook.is_complete,
        "so_far": None if outlook.is_complete else _packed(about, outlook),
        "moves": _moves(outlook.moves),
        "held_by_the_order_of_stages": _moves(outlook.held),
        "already_called_for_today": outlook.waiting,
        "calls_to_kommo": cost.calls,
        "note": "Nothing was changed. New rules move nobody by themselves: staff decide that when they publish.",
    }


def _moves(counted: dict[str, int]) -> list[dict[str, Any]]:
    pairs = [(key.split(">"), number) for key, number in sorted(counted.items(), key=lambda pair: -pair[1])]
    return [{"from": places[0] or "other", "to": places[1], "leads": number} for places, number in pairs]


def _packed(about: str, outlook: Outlook) -> str:
    return signing.dumps({"about": about, "outlook": outlook.plain()}, salt=SALT, compress=True)


def _resumed(text: str, about: str) -> Outlook | None:
    """Return how far the looking has come; None where it was about other rules, and begins anew."""
    if not text:
        return None
    try:
        known = signing.loads(text, salt=SALT)
    except signing.BadSignature as error:
        raise AskedWronglyError("so_far is what the answer before said, as it is.") from error
    return Outlook(**known["outlook"]) if known["about"] == about else None


def _summary(lead: Lead) -> dict[str, Any]:
    return representation.lead_summary(lead, representation.card_of(lead))
