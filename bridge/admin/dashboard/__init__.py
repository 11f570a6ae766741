"""The overview: what needs a person now, is the bridge healthy, where do the leads stand, what goes out today?"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bridge.admin.dashboard import attention, charts
from bridge.doctor import glance
from bridge.models import Account
from bridge.selectors import pulse
from bridge.sync import briefings
from followups.today import today
from leads import funnel, handoff
from leads.models import Event, Lead, Pipeline

HANDOFFS_SHOWN = 6
MINUTES_SHOWN = 60
DAYS_SHOWN = 14
KEPT_SECONDS = 60


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the overview shows; a constant number of queries, whatever the tables hold."""
    found = {"title": _("Overview"), "may_look": may_look(request)}
    return context | found | (overview(request, now=timezone.now()) if found["may_look"] else {})


def may_look(request: HttpRequest) -> bool:
    """Say whether this person has a role: what waits for a person, and why, speaks of leads."""
    return bool(request.user.has_perm("leads.view_lead"))


def live(request: HttpRequest) -> HttpResponse:
    """Answer the part of the overview that changes, for the page to put in place of the one it shows."""
    if not may_look(request):
        raise PermissionDenied
    return render(request, "admin/overview/live.html", overview(request, now=timezone.now()))


def overview(request: HttpRequest, *, now: datetime) -> dict[str, Any]:
    pipelines = list(Pipeline.objects.order_by("-is_default", "slug"))
    chosen = next((one for one in pipelines if one.slug == request.GET.get("pipeline")), None)
    pipeline = chosen or next(iter(pipelines), None)
    zone = pipeline.time_zone if pipeline else settings.TIME_ZONE
    accounts = list(Account.objects.order_by("pk"))
    beat = pulse.pulse(accounts, now=now)
    followups = today(zone, now=now)
    findings = glance(now, language=get_language() or "en")
    concerns = attention.everything(accounts, beat, followups, findings, now=now)
    found = {
        "now": timezone.localtime(now, ZoneInfo(zone)),
        "zone": zone,
        "pipelines": pipelines,
        "pipeline": pipeline,
        "accounts": accounts,
        "pulse": beat,
        "backlog_done_at": now + beat.backlog.takes if beat.backlog.takes else None,
        "worker_is_silent": beat.worker_is_silent(now),
        "calls_percent": min(100, round(100 * beat.calls / beat.ceiling)) if beat.ceiling else 0,
        "followups": followups,
        **standing(concerns),
        "deliveries": _deliveries(zone, now),
    }
    return found | _handoffs() | _calls(now) | (_funnel(pipeline, now) if pipeline else {})


def standing(concerns: list[attention.Concern]) -> dict[str, Any]:
    """Return what needs a person, and how things stand in one word: for the overview and the page of health alike."""
    needed = [concern for concern in concerns if concern.needs_somebody]
    tone = "danger" if any(one.severity == attention.DANGER for one in needed) else "warning" if needed else "success"
    return {"concerns": concerns, "needed": len(needed), "tone": tone}


def _handoffs() -> dict[str, Any]:
    waiting = handoff.with_people()
    rows = waiting.select_related("stage", "card__account").order_by("handoff_since")
    return {"handoffs": list(rows[:HANDOFFS_SHOWN]), "handoff_count": waiting.count()}


def _calls(now: datetime) -> dict[str, Any]:
    """Return who spoke where no rule leads on, and what they wrote last."""
    rows = briefings.open_calls(now=now).select_related("card__lead__stage")
    said = Event.objects.filter(lead=OuterRef("card__lead"), kind=Event.Kind.INTERACTION, actor=Lead.Actor.LEAD)
    rows = rows.annotate(wrote=Subquery(said.order_by("-at", "-id").values("data__message__text")[:1]))
    return {"calls": list(rows[:HANDOFFS_SHOWN]), "call_count": rows.count()}


def _funnel(pipeline: Pipeline, now: datetime) -> dict[str, Any]:
    seen, days, entries = _weeks(pipeline, now)
    places = funnel.places(pipeline, seen)
    most = max((place.standing for place in places), default=0) or 1
    nothing = [0] * DAYS_SHOWN
    # Where a lead starts, where it has proved itself, and what all the talk is for.
    keys = ("new", "qualified", "meeting_scheduled")
    shown = [place.stage for place in places if place.stage.key in keys] or [place.stage for place in places[:3]]
    chart = charts.lines([(stage.name, entries.get(stage.pk, nothing)) for stage in shown])
    chart |= {
        "from": date_format(days[0], "SHORT_DATE_FORMAT"),
        "to": _("today"),
        "label": _("Leads that entered a stage, each of the last %(days)d days") % {"days": DAYS_SHOWN},
    }
    rows = [{"place": place, "percent": round(100 * place.standing / most)} for place in places]
    return {"funnel": rows, "entries": chart, "lately": funnel.LATELY.days}


def _weeks(pipeline: Pipeline, now: datetime) -> tuple[funnel.Lately, list[date], dict[int, list[int]]]:
    """Return what takes reading every stay of weeks, kept for a minute: it hardly moves within one."""
    key = f"funnel:{pipeline.pk}"
    if kept := cache.get(key):
        return _unpacked(kept)
    seen = funnel.lately(pipeline, now=now)
    days, entries = funnel.daily_entries(pipeline, days=DAYS_SHOWN, now=now)
    cache.set(key, _packed(seen, days, entries), KEPT_SECONDS)
    return seen, days, entries


def _packed(seen: funnel.Lately, days: list[date], entries: dict[int, list[int]]) -> dict[str, Any]:
    """Return the figures as JSON has them, which is all that a cache keeps: its keys are texts."""
    return {
        "entered": list(seen.entered.items()),
        "usual_stay": [(pk, stay.total_seconds()) for pk, stay in seen.usual_stay.items()],
        "moved": seen.moved,
        "days": [day.isoformat() for day in days],
        "entries": list(entries.items()),
    }


def _unpacked(kept: dict[str, Any]) -> tuple[funnel.Lately, list[date], dict[int, list[int]]]:
    stays = {pk: timedelta(seconds=seconds) for pk, seconds in kept["usual_stay"]}
    seen = funnel.Lately(dict(kept["entered"]), stays, kept["moved"])
    return seen, [date.fromisoformat(day) for day in kept["days"]], dict(kept["entries"])


def _deliveries(zone: str, now: datetime) -> dict[str, Any]:
    minutes = pulse.deliveries_per_minute(minutes=MINUTES_SHOWN, now=now)
    values = []
    for minute in minutes:
        at = timezone.localtime(minute["at"], ZoneInfo(zone))
        words = {**minute, "time": f"{at:%H:%M}"}
        label = _("%(time)s: %(delivered)d sent, %(aside)d overtaken, %(other)d failed") % words
        values.append(((minute["delivered"], minute["aside"], minute["other"]), label))
    chart = charts.bars(values)
    first = timezone.localtime(minutes[0]["at"], ZoneInfo(zone))
    totals = {name: sum(minute[name] for minute in minutes) for name in ("delivered", "aside", "other")}
    label = _("Deliveries of the last 60 minutes: %(delivered)d sent, %(aside)d overtaken, %(other)d failed")
    return chart | totals | {"from": f"{first:%H:%M}", "to": _("now"), "label": label % totals}
