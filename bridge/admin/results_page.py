"""What the agent was worth, as a page that can be printed: this time beside the time before, and who is behind it."""

from __future__ import annotations

from datetime import date, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bridge.admin import audit_record
from bridge.admin.dashboard import charts
from bridge.models import WeeklyMail
from bridge.reasons import in_words
from bridge.selectors import pictures, results
from bridge.selectors.results import Period
from bridge.weekly_mail import week_due
from common.name_spellings import name_key
from leads.models import Lead, Pipeline

SPANS = (7, 30, 90)
LONGEST_DAYS = 366
# A chart of more days has no room for each.
MOST_DRAWN = 92
ON_A_PAGE = 50
# Of fewer days, weeks say no more than the whole.
WEEKS_FROM_DAYS = 14
# Of fewer messages nobody learns which step is best.
OFTEN_SENT = 10
NO_TIMES = {"p50": None, "p90": None}
MONDAY = date(2024, 1, 1)
HINTS = {
    "meetings_booked_by_agent": gettext_lazy("no person in between"),
    "meetings_booked": gettext_lazy("by the agent and by people"),
    "rescued": gettext_lazy("answered a follow-up and went further"),
}
NAMED = {name: (label, HINTS.get(name, "")) for name, label in results.LABELS.items()}
# Tables whose rows lead to leads.
TABLES = {
    "entered": gettext_lazy("Entered"),
    "because": gettext_lazy("Disqualified"),
    "objected": gettext_lazy("Objections"),
    "answered": gettext_lazy("Answered a follow-up"),
}
WITHOUT_LEADS = ("messages_by_agent", "hours_saved")


def page(request: HttpRequest) -> HttpResponse:
    pipelines, pipeline = _pipelines(request)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("Results"), "pipelines": pipelines}
    if pipeline is not None:
        period = _period(request, pipeline)
        context |= {"pipeline": pipeline, "period": period, "spans": _spans(pipeline, period)}
        context |= _told(pipeline, period)
    context["weekly_mail"] = WeeklyMail.objects.filter(user_id=_reader(request)).first()
    return render(request, "admin/results.html", context)


def _reader(request: HttpRequest) -> int:
    """Return who reads the page: the admin lets nobody in who is nobody."""
    reader = request.user.pk
    assert reader is not None
    return reader


def leads(request: HttpRequest, name: str) -> HttpResponse:
    """Show the leads behind one number."""
    _all, pipeline = _pipelines(request)
    if pipeline is None or name not in {**NAMED, **TABLES} or name in WITHOUT_LEADS:
        raise Http404
    period = _period(request, pipeline)
    rows = _behind(request, name, pipeline, period).select_related("stage").order_by("-created_at", "-pk")
    context = {
        **admin.site.each_context(request),
        "title": NAMED[name][0] if name in NAMED else f"{TABLES[name]}: {_called(name, _of(request), pipeline)}",
        "pipeline": pipeline,
        "period": period,
        "page": Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page")),
        "asked": _asked(pipeline, period) + (f"&{urlencode({'of': _of(request)})}" if name in TABLES else ""),
        "back": f"{reverse('results-page')}?{_asked(pipeline, period)}",
    }
    return render(request, "admin/results_leads.html", context)


@require_POST
def weekly(request: HttpRequest) -> HttpResponse:
    """Keep, or take back, this person's wish for the numbers of each week by e-mail, in the language they read here."""
    _all, pipeline = _pipelines(request)
    if pipeline is None:
        raise Http404
    if request.POST.get("wanted") != "1":
        WeeklyMail.objects.filter(user_id=_reader(request)).delete()
        message = _("No e-mail is sent to you any more.")
    elif not getattr(request.user, "email", ""):
        messages.warning(request, _("Your user has no e-mail address: ask an administrator to write it there."))
        return redirect("results-page")
    else:
        language = get_language() or settings.LANGUAGE_CODE
        # From the next week on: whoever asks on a Wednesday is not sent Monday's.
        begun = {"sent_for": week_due(pipeline, timezone.now())}
        kept = {"pipeline": pipeline, "language": language}
        WeeklyMail.objects.update_or_create(user_id=_reader(request), defaults=kept, create_defaults=kept | begun)
        message = _("You get last week's numbers each Monday at 8 h.")
    audit_record.note(request, message, about=_("results"))
    messages.success(request, message)
    return redirect("results-page")


def _behind(request: HttpRequest, name: str, pipeline: Pipeline, period: Period) -> QuerySet[Lead]:
    if name in NAMED:
        return results.leads_behind(name, pipeline, period)
    return results.leads_of(name, _of(request), pipeline, period)


def _of(request: HttpRequest) -> str:
    return request.GET.get("of", "").replace("\0", "")[:500]


def _called(name: str, of: str, pipeline: Pipeline) -> str:
    """Return what a row of a table is called to people."""
    if name == "entered":
        return pipeline.stages.filter(key=of).values_list("name", flat=True).first() or of
    if name == "because":
        return in_words(of) if of else _("personal data erased")
    if name == "answered":
        slug, _colon, step = of.rpartition(":")
        return f"{_sequences(pipeline).get(slug, slug)}, {_('step %(step)s') % {'step': step}}"
    return of


def _pipelines(request: HttpRequest) -> tuple[list[Pipeline], Pipeline | None]:
    if not request.user.has_perm("leads.view_lead"):
        raise PermissionDenied
    pipelines = list(Pipeline.objects.order_by("-is_default", "name"))
    asked = request.GET.get("pipeline", "")
    return pipelines, next(
        (pipeline for pipeline in pipelines if pipeline.slug == asked), pipelines[0] if pipelines else None
    )


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
    starts = {
        _("this month"): today.replace(day=1),
        **{_("%(days)s days") % {"days": days}: today - timedelta(days=days - 1) for days in SPANS},
    }
    return [
        {
            "label": label,
            "asked": _asked(pipeline, Period(first, today, period.time_zone)),
            "is_shown": (first, today) == (period.first, period.last),
        }
        for label, first in starts.items()
    ]


def _asked(pipeline: Pipeline, period: Period) -> str:
    return urlencode({"pipeline": pipeline.slug, "from": period.first.isoformat(), "to": period.last.isoformat()})


def _told(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    now, before = results.results(pipeline, period), results.headline(pipeline, period.before)
    asked = _asked(pipeline, period)
    reasons, objections = now["disqualified_because"], now["objections"]
    return {
        "figures": [_figure(name, now[name], before[name], asked) for name in NAMED],
        "minutes": results.minutes_per_reply(),
        "funnel": _funnel(pipeline, period, now["funnel"], asked),
        "waits": _waits(pipeline, period, now),
        "replies_by_week": pictures.first_replies_by_week(pipeline, period) if period.days >= WEEKS_FROM_DAYS else [],
        "reasons": _doors("because", _shares(reasons, "reason"), "name", asked),
        "objections": _doors("objected", _shares(objections, "name"), "key", asked),
        "followups": _steps(now["followups"], _sequences(pipeline) if now["followups"] else {}, asked),
        "chart": _chart(pipeline, period) if period.days <= MOST_DRAWN else None,
        **_pictures(pipeline, period),
        "nothing_yet": not any(now[name] for name in NAMED),
    }


def _waits(pipeline: Pipeline, period: Period, now: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how long people waited: for the first answer, whenever they wrote, and for a person of ours."""
    replies = pictures.first_replies(pipeline, period)
    first, last = pictures.OFFICE
    office = _("Monday to Friday, %(from)s to %(to)s h") % {"from": first, "to": last}
    return [
        {
            "label": _("First reply"),
            "hint": _("from the lead's first message"),
            **_spans_of(now["first_reply_seconds"]),
        },
        {"label": _("First reply"), "hint": office, **replies.get(True, NO_TIMES)},
        {"label": _("First reply"), "hint": _("nights, weekends"), **replies.get(False, NO_TIMES)},
        {
            "label": _("A person answers"),
            "hint": _("after the agent handed over"),
            **_spans_of(now["handoff_wait_seconds"]),
        },
    ]


def _funnel(pipeline: Pipeline, period: Period, rows: list[dict[str, Any]], asked: str) -> list[dict[str, Any]]:
    most = max((row["entered"] for row in rows), default=0) or 1
    keys = dict(pipeline.stages.values_list("key", "pk"))
    times = pictures.stage_times(pipeline, period)
    drawn = [
        {**row, "percent": round(100 * row["entered"] / most), **times.get(keys[row["stage"]], NO_TIMES)}
        for row in rows
    ]
    return _doors("entered", drawn, "stage", asked)


def _doors(name: str, rows: list[dict[str, Any]], of: str, asked: str) -> list[dict[str, Any]]:
    """Return rows with the address of the leads behind each."""
    page = reverse("results-leads", args=[name])
    return [{**row, "link": f"{page}?{asked}&{urlencode({'of': row[of]})}"} for row in rows]


def _sequences(pipeline: Pipeline) -> dict[str, str]:
    """Return what the sequences are called to people, by what the API calls them."""
    return dict(pipeline.sequences.values_list("slug", "name"))


def _steps(rows: list[dict[str, Any]], names: dict[str, str], asked: str) -> list[dict[str, Any]]:
    """Return the steps with the share that answered each, the best of those often sent marked."""
    shares = [row["answered"] / row["sent"] for row in rows]
    best = max((share for share, row in zip(shares, rows, strict=True) if row["sent"] >= OFTEN_SENT), default=None)
    named = [
        {
            **row,
            "name": names.get(row["sequence"], row["sequence"]),
            "of": f"{row['sequence']}:{row['step']}",
            "share": share,
            "is_best": share == best and len(rows) > 1,
        }
        for row, share in zip(rows, shares, strict=True)
    ]
    return _doors("answered", named, "of", asked)


def _pictures(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    today = results.usual(pipeline, now=timezone.now()).last
    weeks = pictures.cohorts(pipeline, today=today)
    table = pictures.arrivals(pipeline, period)
    busiest = max(map(max, table))
    stakes = pictures.at_stake(pipeline)
    return {
        "cohorts": [
            week | {name: _share(week, name) for name in ("qualified", "meetings_booked", "won")} for week in weeks
        ],
        "arrivals": [
            {
                "day": date_format(MONDAY + timedelta(days=number), "D"),
                "hours": [_shade(hour, busiest) for hour in hours],
            }
            for number, hours in enumerate(table)
        ],
        "arrivals_count": sum(map(sum, table)),
        "arrivals_outside": sum(map(sum, table)) - sum(sum(hours[slice(*pictures.OFFICE)]) for hours in table[:5]),
        "office": {"from": pictures.OFFICE[0], "to": pictures.OFFICE[1]},
        "hours": range(pictures.HOURS),
        "by_person": pictures.waits_by_person(pipeline, period),
        "due_within": pipeline.handoff_task_within,
        "stakes": stakes,
        "at_stake": sum(row["value"] for row in stakes),
    }


def _share(week: dict[str, Any], name: str) -> dict[str, Any]:
    share = week[name] / week["leads"] if week["leads"] else None
    return {"count": week[name], "share": share, "shade": round(5 * share) if share else 0}


def _shade(count: int, most: int) -> dict[str, int]:
    """Return a count with how dark it is drawn, from 0 for nothing to 5 for the most."""
    return {"count": count, "shade": ceil(5 * count / most) if count else 0}


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
        {
            "name": row[name],
            "key": name_key(row[name]),
            "count": row["count"],
            "percent": round(100 * row["count"] / total),
        }
        for row in rows[:10]
    ]


def _chart(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    days, counted = results.daily(pipeline, period)
    drawn = charts.lines([(str(NAMED[name][0]), values) for name, values in counted.items()])
    first, last = (date_format(day, "SHORT_DATE_FORMAT") for day in (days[0], days[-1]))
    return {**drawn, "width": charts.WIDTH, "height": charts.HEIGHT, "from": first, "to": last}
