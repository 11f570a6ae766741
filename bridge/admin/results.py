"""What the agent was worth, as a page that can be printed: this time beside the time before, and who is behind it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.dashboard import charts
from bridge.selectors import results
from bridge.selectors.results import Period
from leads.models import Pipeline

SPANS = (7, 30, 90)
LONGEST_DAYS = 366
# A chart of more days has no room for each.
MOST_DRAWN = 92
ON_A_PAGE = 50
NAMED = {
    "meetings_booked_by_agent": (gettext_lazy("Meetings booked by the agent"), gettext_lazy("no person in between")),
    "meetings_booked": (gettext_lazy("Meetings booked"), gettext_lazy("by the agent and by people")),
    "meetings_held": (gettext_lazy("Meetings held"), ""),
    "rescued": (gettext_lazy("Leads rescued"), gettext_lazy("answered a follow-up and went further")),
    "leads": (gettext_lazy("New leads"), ""),
    "qualified": (gettext_lazy("Qualified"), ""),
    "disqualified": (gettext_lazy("Disqualified"), ""),
    "won": (gettext_lazy("Won"), ""),
    "messages_by_agent": (gettext_lazy("Messages by the agent"), ""),
    "hours_saved": (gettext_lazy("Hours saved"), ""),
}
WITHOUT_LEADS = ("messages_by_agent", "hours_saved")


def page(request: HttpRequest) -> HttpResponse:
    pipelines, pipeline = _pipelines(request)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("Results"), "pipelines": pipelines}
    if pipeline is not None:
        period = _period(request, pipeline)
        context |= {"pipeline": pipeline, "period": period, "spans": _spans(pipeline, period)}
        context |= _told(pipeline, period)
    return render(request, "admin/results.html", context)


def leads(request: HttpRequest, name: str) -> HttpResponse:
    """Show the leads behind one number."""
    _all, pipeline = _pipelines(request)
    if pipeline is None or name not in NAMED or name in WITHOUT_LEADS:
        raise Http404
    period = _period(request, pipeline)
    rows = results.leads_behind(name, pipeline, period).select_related("stage").order_by("-created_at", "-pk")
    context = {
        **admin.site.each_context(request),
        "title": NAMED[name][0],
        "pipeline": pipeline,
        "period": period,
        "page": Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page")),
        "asked": _asked(pipeline, period),
        "back": f"{reverse('results-page')}?{_asked(pipeline, period)}",
    }
    return render(request, "admin/results_leads.html", context)


def _pipelines(request: HttpRequest) -> tuple[list[Pipeline], Pipeline | None]:
    if not request.user.has_perm("leads.view_lead"):
        raise PermissionDenied
    pipelines = list(Pipeline.objects.order_by("-is_default", "name"))
    asked = request.GET.get("pipeline", "")
    return pipelines, next((one for one in pipelines if one.slug == asked), pipelines[0] if pipelines else None)


def _period(request: HttpRequest, pipeline: Pipeline) -> Period:
    """Return the days that are asked for; what is no day, or no stretch of days, asks for the usual ones."""
    usual = results.usual(pipeline, now=timezone.now())
    try:
        first, last = (date.fromisoformat(request.GET.get(name, "")) for name in ("from", "to"))
    except ValueError:
        return usual
    is_sensible = date(2000, 1, 1) <= first <= last <= usual.last and (last - first).days < LONGEST_DAYS
    return Period(first, last, usual.time_zone) if is_sensible else usual


def _spans(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    today = results.usual(pipeline, now=timezone.now()).last
    spans = [Period(today - timedelta(days=days - 1), today, period.time_zone) for days in SPANS]
    return [
        {
            "days": one.days,
            "asked": _asked(pipeline, one),
            "is_shown": (one.first, one.last) == (period.first, period.last),
        }
        for one in spans
    ]


def _asked(pipeline: Pipeline, period: Period) -> str:
    return urlencode({"pipeline": pipeline.slug, "from": period.first.isoformat(), "to": period.last.isoformat()})


def _told(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    now, before = results.results(pipeline, period), results.headline(pipeline, period.before)
    asked = _asked(pipeline, period)
    most = max((row["entered"] for row in now["funnel"]), default=0) or 1
    reasons, objections = now["disqualified_because"], now["objections"]
    return {
        "figures": [_figure(name, now[name], before[name], asked) for name in NAMED],
        "minutes": results.minutes_per_reply(),
        "funnel": [{**row, "percent": round(100 * row["entered"] / most)} for row in now["funnel"]],
        "waits": [
            {
                "label": _("First reply"),
                "hint": _("from the lead's first message"),
                **_spans_of(now["first_reply_seconds"]),
            },
            {
                "label": _("A person answers"),
                "hint": _("after the agent handed over"),
                **_spans_of(now["handoff_wait_seconds"]),
            },
        ],
        "reasons": _shares(reasons, "reason"),
        "objections": _shares(objections, "name"),
        "followups": now["followups"],
        "chart": _chart(pipeline, period) if period.days <= MOST_DRAWN else None,
        "nothing_yet": not any(now[name] for name in NAMED),
    }


def _figure(name: str, now: float, before: float, asked: str) -> dict[str, Any]:
    label, hint = NAMED[name]
    link = "" if name in WITHOUT_LEADS or not now else f"{reverse('results-leads', args=[name])}?{asked}"
    return {
        "name": name,
        "label": label,
        "hint": hint,
        "value": number_format(now, 1 if name == "hours_saved" else 0, force_grouping=True),
        "before": number_format(before, 1 if name == "hours_saved" else 0, force_grouping=True),
        "link": link,
    }


def _spans_of(seconds: dict[str, int | None]) -> dict[str, timedelta | None]:
    return {name: None if value is None else timedelta(seconds=value) for name, value in seconds.items()}


def _shares(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    total = sum(row["count"] for row in rows) or 1
    return [
        {"name": row[name], "count": row["count"], "percent": round(100 * row["count"] / total)} for row in rows[:10]
    ]


def _chart(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    days, counted = results.daily(pipeline, period)
    drawn = charts.lines([(str(NAMED[name][0]), values) for name, values in counted.items()])
    first, last = (date_format(day, "SHORT_DATE_FORMAT") for day in (days[0], days[-1]))
    return {**drawn, "width": charts.WIDTH, "height": charts.HEIGHT, "from": first, "to": last}
