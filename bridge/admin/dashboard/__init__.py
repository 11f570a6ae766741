"""The overview: is all well, who waits for a person, how does today go, who is met, and where do the leads stand?"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bridge.admin.dashboard import attention, charts
from bridge.delivery import calls_for_a_person
from bridge.doctor import glance
from bridge.models import Account
from bridge.selectors import health_figures, morning, results
from followups.followups_of_a_day import today
from leads import funnel
from leads.farewells import MAY_ASK_TO_STOP
from leads.models import Event, Lead, Pipeline

CALLS_SHOWN, CALLS_READ = 6, 50
MINUTES_SHOWN = 60
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
    chosen = next((candidate for candidate in pipelines if candidate.slug == request.GET.get("pipeline")), None)
    pipeline = chosen or next(iter(pipelines), None)
    zone = pipeline.time_zone if pipeline else settings.TIME_ZONE
    accounts = list(Account.objects.order_by("pk"))
    beat = health_figures.pulse(accounts, now=now)
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
    found |= {"people": morning.people(now=now)} | _calls(now)
    return found | (_of_pipeline(pipeline, now) if pipeline else {})


def standing(concerns: list[attention.Concern]) -> dict[str, Any]:
    """Return what needs a person, and how things stand in one word: for the overview and the page of health alike."""
    needed = [concern for concern in concerns if concern.needs_somebody]
    tone = (
        "danger"
        if any(concern.severity == attention.DANGER for concern in needed)
        else "warning"
        if needed
        else "success"
    )
    return {"concerns": concerns, "needed": len(needed), "tone": tone}


def _calls(now: datetime) -> dict[str, Any]:
    """Return who spoke where no rule leads on and who may have asked for no more messages, and what they wrote last."""
    rows = calls_for_a_person.open_calls(now=now).select_related("card__lead__stage")
    reports = Event.objects.filter(lead=OuterRef("card__lead"), kind=Event.Kind.INTERACTION, actor=Lead.Actor.LEAD)
    rows = rows.annotate(wrote=Subquery(reports.order_by("-at", "-id").values("data__message__text")[:1]))
    may_ask = Q(call=MAY_ASK_TO_STOP)
    counts = rows.aggregate(goodbyes=Count("pk", filter=may_ask), calls=Count("pk", filter=~may_ask))
    newest = list(rows[:CALLS_READ])
    return {
        "calls": [card_call for card_call in newest if card_call.call != MAY_ASK_TO_STOP][:CALLS_SHOWN],
        "call_count": counts["calls"],
        "goodbyes": [card_call for card_call in newest if card_call.call == MAY_ASK_TO_STOP][:CALLS_SHOWN],
        "goodbye_count": counts["goodbyes"],
    }


def _of_pipeline(pipeline: Pipeline, now: datetime) -> dict[str, Any]:
    today, tomorrow = morning.meetings(pipeline, now=now)
    seen, fortnight, month = _weeks(pipeline, now)
    ahead = [
        meeting
        for meeting in (*today.shown, *tomorrow.shown)
        if meeting.is_booked and meeting.starts_at and meeting.starts_at >= now
    ]
    met = {"meetings_today": today, "meetings_tomorrow": tomorrow, "meeting_next": next(iter(ahead), None)}
    figures = {"figures": _figures(pipeline, fortnight, now), "month": _month(pipeline, month)}
    return met | figures | _funnel(pipeline, seen)


def _month(pipeline: Pipeline, month: dict[str, Any]) -> dict[str, Any]:
    """Return what this month was worth, with where each number leads."""
    asked = urlencode({"pipeline": pipeline.slug, "from": month["from"], "to": month["to"]})
    return {
        **month,
        "won_value": Decimal(month["won_value"]),
        "url": f"{reverse('results-page')}?{asked}",
        "won_url": f"{reverse('results-leads', args=['won'])}?{asked}",
    }


def _figures(pipeline: Pipeline, fortnight: dict[str, list[int]], now: datetime) -> list[dict[str, Any]]:
    """Return today's numbers beside yesterday's, each with its line of two weeks and where it leads."""
    labels = {
        "leads": _("New leads"),
        "qualified": _("Qualified"),
        "meetings_booked": _("Meetings booked"),
        "followups_sent": _("Follow-ups sent"),
    }
    return [
        {
            "name": name,
            "label": labels[name],
            "today": days[-1],
            "yesterday": days[-2],
            "width": charts.WIDTH,
            "height": charts.HEIGHT,
            "line": charts.lines([(labels[name], days)])["lines"][0],
            "url": _behind(name, pipeline, now) if days[-1] else "",
        }
        for name, days in fortnight.items()
    ]


def _behind(name: str, pipeline: Pipeline, now: datetime) -> str:
    """Return where the rows stand that a number of today counts."""
    if name == "followups_sent":
        return reverse("admin:followups_attempt_changelist")
    today = f"{now.astimezone(ZoneInfo(pipeline.time_zone)):%Y-%m-%d}"
    asked = urlencode({"pipeline": pipeline.slug, "from": today, "to": today})
    return f"{reverse('results-leads', args=[name])}?{asked}"


def _funnel(pipeline: Pipeline, seen: funnel.Lately) -> dict[str, Any]:
    """Return the stages on the way, with how many of each went on to the next, and apart those beside it."""
    places = funnel.places(pipeline, seen)
    shares = results.funnel([place.stage for place in places], seen.entered)
    most = max((place.entered for place in places), default=0) or 1
    rows = [
        {"place": place, "percent": round(100 * place.entered / most), "share": share["share_of_previous"]}
        for place, share in zip(places, shares, strict=True)
    ]
    on_the_way = [row for row in rows if results.is_on_the_way(row["place"].stage)]
    aside = [row for row in rows if row not in on_the_way]
    return {
        "funnel": on_the_way,
        "aside": aside,
        "at_stake": sum(place.value for place in places if place.stage.is_alive),
        "lately": funnel.LATELY.days,
    }


Weeks = tuple[funnel.Lately, dict[str, list[int]], dict[str, Any]]


def _weeks(pipeline: Pipeline, now: datetime) -> Weeks:
    """Return what takes reading every stay of weeks, kept for a minute: it hardly moves within one."""
    key = f"overview-weeks:{pipeline.pk}"
    if kept := cache.get(key):
        return _unpacked(kept)
    seen, fortnight = funnel.lately(pipeline, now=now), morning.fortnight(pipeline, now=now)
    month = morning.month(pipeline, now=now)
    cache.set(key, _packed(seen, fortnight, month), KEPT_SECONDS)
    return seen, fortnight, month


def _packed(seen: funnel.Lately, fortnight: dict[str, list[int]], month: dict[str, Any]) -> dict[str, Any]:
    """Return the figures as JSON has them, which is all that a cache keeps: its keys are texts."""
    return {
        "entered": list(seen.entered.items()),
        "usual_stay": [(pk, stay.total_seconds()) for pk, stay in seen.usual_stay.items()],
        "moved": seen.moved,
        "fortnight": fortnight,
        "month": month,
    }


def _unpacked(kept: dict[str, Any]) -> Weeks:
    stays = {pk: timedelta(seconds=seconds) for pk, seconds in kept["usual_stay"]}
    return funnel.Lately(dict(kept["entered"]), stays, kept["moved"]), kept["fortnight"], kept["month"]


def _deliveries(zone: str, now: datetime) -> dict[str, Any]:
    minutes = health_figures.deliveries_per_minute(minutes=MINUTES_SHOWN, now=now)
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
