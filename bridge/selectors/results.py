"""What the agent was worth in a stretch of time: counted from rows that are there anyway, each number from an index.

A day is the pipeline's own, from midnight to midnight where it is. Figures grow with what happened in that time, and
not with the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Exists, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, TruncDate
from django.utils.translation import gettext_lazy as _

from common.percentiles import Percentile
from followups.crediting_answers import COUNTS_AS_ANSWER
from followups.models import Attempt
from leads.models import Lead, Meeting, Message, Milestone, Objection, Pipeline, Stage, Stay

USUAL_DAYS = 30
# The single numbers, by the names that the API has for them and what people call them, in the order of the page.
LABELS = {
    "meetings_booked_by_agent": _("Meetings booked by the agent"),
    "meetings_booked": _("Meetings booked"),
    "meetings_held": _("Meetings held"),
    "rescued": _("Leads rescued"),
    "leads": _("New leads"),
    "qualified": _("Qualified"),
    "disqualified": _("Disqualified"),
    "won": _("Won"),
    "messages_by_agent": _("Messages by the agent"),
    "hours_saved": _("Hours saved"),
}
HEADLINE = tuple(LABELS)
# A page shows what there is most of; the API all of it, up to here.
MOST_NAMED = 50
SENT = Attempt.State.SENT
NOT_SAID = (Message.State.QUEUED, Message.State.NOT_DELIVERED, Message.State.REFUSED)


@dataclass(frozen=True)
class Period:
    """Whole days of a pipeline, both named ones among them."""

    first: date
    last: date
    time_zone: str

    @property
    def begins_at(self) -> datetime:
        return datetime.combine(self.first, time.min, ZoneInfo(self.time_zone))

    @property
    def ends_at(self) -> datetime:
        """The first moment that is not in it any more."""
        return datetime.combine(self.last + timedelta(days=1), time.min, ZoneInfo(self.time_zone))

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """As many days, just before it."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1), self.time_zone)

    def of(self, column: str) -> Q:
        return Q(**{f"{column}__gte": self.begins_at, f"{column}__lt": self.ends_at})


def usual(pipeline: Pipeline, *, now: datetime) -> Period:
    """Return the last thirty days, today among them."""
    today = now.astimezone(ZoneInfo(pipeline.time_zone)).date()
    return Period(today - timedelta(days=USUAL_DAYS - 1), today, pipeline.time_zone)


def results(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    """Return the figures of a period, by the names that the API has for them. Twenty queries, however long it is."""
    stages = list(pipeline.stages.order_by("rank", "id"))
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        **headline(pipeline, period),
        "funnel": funnel(stages, _entered(stages, period)),
        "first_reply_seconds": _waits(pipeline, period, Milestone.Kind.FIRST_REPLY),
        "handoff_wait_seconds": _waits(pipeline, period, Milestone.Kind.HANDOFF_WAIT),
        "disqualified_because": _reasons(pipeline, period),
        "objections": _objections(pipeline, period),
        "followups": _followups(pipeline, period),
    }


def headline(pipeline: Pipeline, period: Period) -> dict[str, Any]:
    """Return the single numbers of a period."""
    messages = agents_messages(pipeline, period).count()
    return {
        "leads": new_leads(pipeline, period).count(),
        "qualified": came_to(qualified_stages(pipeline), period).count(),
        "disqualified": came_to(disqualified_stages(pipeline), period).count(),
        "meetings_booked": meetings_booked(pipeline, period).count(),
        "meetings_booked_by_agent": meetings_booked(pipeline, period).filter(is_by_agent=True).count(),
        "meetings_held": meetings_held(pipeline, period).count(),
        "won": came_to(won_stages(pipeline), period).count(),
        "rescued": rescued(pipeline, period).count(),
        "messages_by_agent": messages,
        "hours_saved": hours(messages),
    }


def leads_behind(name: str, pipeline: Pipeline, period: Period) -> QuerySet[Lead]:
    """Return the leads that one of the single numbers counts. Raises KeyError for a number that counts no leads."""
    meetings = {
        "meetings_booked": meetings_booked(pipeline, period),
        "meetings_booked_by_agent": meetings_booked(pipeline, period).filter(is_by_agent=True),
        "meetings_held": meetings_held(pipeline, period),
    }
    behind = {
        "leads": new_leads(pipeline, period),
        "qualified": came_to(qualified_stages(pipeline), period),
        "disqualified": came_to(disqualified_stages(pipeline), period),
        "won": came_to(won_stages(pipeline), period),
        "rescued": rescued(pipeline, period),
    }
    return behind[name] if name in behind else Lead.objects.filter(pk__in=meetings[name].values("lead"))


def leads_of(name: str, of: str, pipeline: Pipeline, period: Period) -> QuerySet[Lead]:
    """Return the leads behind one row of a table of the results. Raises KeyError for a table that is none.

    `of` is what the row is about: a stage's key, a reason, the key of an objection, or a sequence's slug and a step.
    """
    rows: dict[str, QuerySet[Any]] = {
        "entered": Stay.objects.filter(period.of("entered_at"), stage__pipeline=pipeline, stage__key=of),
        "because": _disqualified(pipeline, period).filter(detail__in=_stored_as(of, pipeline, period)),
        "objected": Objection.objects.filter(period.of("raised_at"), of_pipeline(pipeline, "lead"), key=of),
    }
    if name in rows:
        return Lead.objects.filter(pk__in=rows[name].values("lead"))
    if name != "answered":
        raise KeyError(name)
    slug, _colon, step = of.rpartition(":")
    number = int(step) if step.isascii() and step.isdigit() and len(step) < 5 else 0
    answered = sent(pipeline, period).filter(enrollment__sequence__slug=slug, step=number, answered_at__isnull=False)
    return Lead.objects.filter(pk__in=answered.values("enrollment__lead"))


DAILY = ("leads", "meetings_booked")


def daily(pipeline: Pipeline, period: Period, names: Sequence[str] = DAILY) -> tuple[list[date], dict[str, list[int]]]:
    """Return the days of a period and, for each of them, how many leads came, qualified or booked. A query a name."""
    days = [period.first + timedelta(days=number) for number in range(period.days)]
    counted = {name: _by_day(*_rows_of(name, pipeline, period), period) for name in names}
    return days, {name: [found.get(day, 0) for day in days] for name, found in counted.items()}


def _rows_of(name: str, pipeline: Pipeline, period: Period) -> tuple[QuerySet[Any], str, str]:
    """Return the rows that a number counts, when each happened, and of what each counts once."""
    if name == "leads":
        return new_leads(pipeline, period), "created_at", "pk"
    if name == "meetings_booked":
        return meetings_booked(pipeline, period), "first_told_at", "pk"
    if name == "followups_sent":
        return sent(pipeline, period), "created_at", "pk"
    return Stay.objects.filter(period.of("entered_at"), stage__in=qualified_stages(pipeline)), "entered_at", "lead"


def _by_day(rows: QuerySet[Any], column: str, counted: str, period: Period) -> dict[date, int]:
    by_day = rows.annotate(day=TruncDate(column, tzinfo=ZoneInfo(period.time_zone))).values_list("day").order_by()
    return dict(by_day.annotate(number=Count(counted, distinct=counted != "pk")))


# --- Leads behind a number


def new_leads(pipeline: Pipeline, period: Period) -> QuerySet[Lead]:
    return Lead.objects.filter(period.of("created_at"), of_pipeline(pipeline))


def came_to(stages: Sequence[int], period: Period) -> QuerySet[Lead]:
    """Return the leads that entered any of the stages, each once however often it did."""
    entered = Stay.objects.filter(period.of("entered_at"), stage__in=stages)
    return Lead.objects.filter(pk__in=entered.values("lead"))


def qualified_stages(pipeline: Pipeline) -> list[int]:
    return _stages(pipeline, "qualified_stage", "qualified")


def disqualified_stages(pipeline: Pipeline) -> list[int]:
    return _stages(pipeline, "disqualified_stage", "disqualified")


def won_stages(pipeline: Pipeline) -> list[int]:
    return list(pipeline.stages.filter(kind=Stage.Kind.WON).values_list("pk", flat=True))


def _stages(pipeline: Pipeline, column: str, key: str) -> list[int]:
    """Return where qualification puts leads, and where no rule says so, the stage of the usual name."""
    rule = getattr(pipeline, "qualification", None)
    if rule is not None and getattr(rule, f"{column}_id"):
        return [getattr(rule, f"{column}_id")]
    return list(pipeline.stages.filter(key=key).values_list("pk", flat=True))


def meetings_booked(pipeline: Pipeline, period: Period) -> QuerySet[Meeting]:
    """Return the meetings of which the first news, in that time, was that they are booked; one that moved is old."""
    booked = Meeting.objects.filter(period.of("first_told_at"), began_as=Lead.MeetingStatus.SCHEDULED)
    return booked.filter(of_pipeline(pipeline, "lead"))


def meetings_held(pipeline: Pipeline, period: Period) -> QuerySet[Meeting]:
    """Return the meetings that took place in that time, by when they began; without a time, by when that was told."""
    completed = Meeting.objects.filter(of_pipeline(pipeline, "lead"), status=Lead.MeetingStatus.COMPLETED)
    return completed.filter(period.of("starts_at") | (Q(starts_at=None) & period.of("told_at")))


def agents_messages(pipeline: Pipeline, period: Period) -> QuerySet[Message]:
    """Return what the agent said in that time; not what is known not to have arrived."""
    rows = Message.objects.filter(period.of("at"), direction=Message.Direction.OUTBOUND).exclude(state__in=NOT_SAID)
    return rows.filter(of_pipeline(pipeline, "lead"))


def of_pipeline(pipeline: Pipeline, lead: str = "") -> Q:
    """Return what keeps leads of other pipelines out, or rows about them, which name theirs by `lead`.

    Where there is no other, no row has to be looked at for it.
    """
    is_only_one = not Pipeline.objects.exclude(pk=pipeline.pk).exists()
    return Q() if is_only_one else Q(**{f"{lead}__pipeline" if lead else "pipeline": pipeline})


def rescued(pipeline: Pipeline, period: Period) -> QuerySet[Lead]:
    """Return the leads that answered a follow-up in that time, and are further along or booked since.

    Further than ever before: where a lead only comes back to where it stood, nothing is gained. Stages that can be
    reached from anywhere, such as *not interested*, are no way along, and neither is a lost one.
    """
    answered = Attempt.objects.filter(
        period.of("answered_at"),
        state=SENT,
        answered_at__lte=F("ended_at") + COUNTS_AS_ANSWER,
        enrollment__sequence__pipeline=pipeline,
    )
    along = Stay.objects.filter(lead=OuterRef("enrollment__lead"), stage__reachable_from_anywhere=False).exclude(
        stage__kind=Stage.Kind.LOST
    )
    rank = along.filter(entered_at__lt=OuterRef("answered_at")).order_by().values("lead")
    reached = Coalesce(
        Subquery(rank.annotate(best=Max("stage__rank")).values("best")), Value(-1), output_field=IntegerField()
    )
    since = along.filter(entered_at__gte=OuterRef("answered_at"), stage__rank__gt=OuterRef("reached"))
    booked = Meeting.objects.filter(
        lead=OuterRef("enrollment__lead"), first_told_at__gte=OuterRef("answered_at"), began_as__in=Lead.BOOKED
    )
    further = answered.annotate(reached=reached).filter(Exists(since) | Exists(booked))
    return Lead.objects.filter(pk__in=further.values("enrollment__lead"))


# --- Figures


def minutes_per_reply() -> int:
    return int(settings.MINUTES_PER_REPLY)


def hours(messages: int) -> float:
    """Return the hours that writing so many messages would have taken a person."""
    return _rounded(Decimal(messages * minutes_per_reply()) / 60, 1)


def _entered(stages: Sequence[Stage], period: Period) -> dict[int, int]:
    rows = Stay.objects.filter(period.of("entered_at"), stage__in=stages).values_list("stage").order_by()
    return dict(rows.annotate(leads=Count("lead", distinct=True)))


def funnel(stages: Sequence[Stage], entered: dict[int, int]) -> list[dict[str, Any]]:
    """Return how many leads entered each stage, and how many that is of those that entered the one before on the way.

    What can be reached from anywhere, or is with a person, has nothing before it, and nothing comes after it.
    """
    rows: list[dict[str, Any]] = []
    previous = 0
    for stage in stages:
        number = entered.get(stage.pk, 0)
        has_share = is_on_the_way(stage) and previous > 0
        share = min(1.0, _rounded(Decimal(number) / previous, 4)) if has_share else None
        rows.append({"stage": stage.key, "name": stage.name, "entered": number, "share_of_previous": share})
        previous = number if is_on_the_way(stage) else previous
    return rows


def is_on_the_way(stage: Stage) -> bool:
    """Say whether leads pass a stage towards being won: not beside it, with a person or nowhere, nor at another end."""
    return not stage.reachable_from_anywhere and not stage.pauses_agent and stage.kind != Stage.Kind.LOST


def _waits(pipeline: Pipeline, period: Period, kind: Milestone.Kind) -> dict[str, int | None]:
    rows = Milestone.objects.filter(period.of("at"), pipeline=pipeline, kind=kind)
    waits: dict[str, int | None] = rows.aggregate(**{name: Percentile("seconds", share) for name, share in SHARES})
    return waits


SHARES = (("p50", 0.5), ("p90", 0.9))


def _reasons(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    """Return why leads were disqualified, most often first."""
    rows = _disqualified(pipeline, period)
    counts: dict[str, int] = {}
    for detail, count in rows.values_list("detail").annotate(count=Count("lead", distinct=True)):
        if detail in counts:
            # Rows of before have its sentence, and a lead may have both.
            both = rows.filter(detail__in=_stored_as(detail, pipeline, period))
            count = both.aggregate(count=Count("lead", distinct=True))["count"]
        counts[detail] = count
    commonest = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))
    return [{"reason": detail, "count": count} for detail, count in commonest[:MOST_NAMED]]


def _disqualified(pipeline: Pipeline, period: Period) -> QuerySet[Milestone]:
    return Milestone.objects.filter(period.of("at"), pipeline=pipeline, kind=Milestone.Kind.DISQUALIFIED).order_by()


def _stored_as(reason: str, pipeline: Pipeline, period: Period) -> list[str]:
    """Return the reasons of that time which read like this one: by their codes, or as sentences of before."""
    stored = _disqualified(pipeline, period).values_list("detail", flat=True).distinct()
    return [detail for detail in stored if detail == reason]


def _objections(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    rows = Objection.objects.filter(period.of("raised_at"), of_pipeline(pipeline, "lead")).order_by()
    counted = rows.values("key").annotate(name=Max("name"), count=Count("pk")).order_by("-count", "name")
    return [{"name": row["name"], "count": row["count"]} for row in counted[:MOST_NAMED]]


def _followups(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    """Return what became of the messages of each step that were sent in that time."""
    rows = (
        sent(pipeline, period)
        .values("enrollment__sequence", "enrollment__sequence__slug", "step")
        .annotate(
            sent=Count("pk"),
            answered=Count("answered_at"),
            booked=Count("booked_at"),
            opted_out=Count("opted_out_at"),
        )
        .order_by("enrollment__sequence", "step")
    )
    return [
        {
            "sequence": row["enrollment__sequence__slug"],
            "step": row["step"],
            "sent": row["sent"],
            "answered": row["answered"],
            "booked": row["booked"],
            "opted_out": row["opted_out"],
        }
        for row in rows
    ]


def of_sequence(pipeline: Pipeline, slug: str, period: Period) -> dict[int, dict[str, int]]:
    """Return what became of the messages of each step of a sequence: the numbers of the results. One query.

    Besides, how many did not reach the lead: of these nothing else is counted.
    """
    names = ("sent", "not_delivered", "answered", "booked", "opted_out")
    arrived = Q(state=SENT)
    tried = Attempt.objects.filter(period.of("created_at"), state__in=[SENT, Attempt.State.NOT_DELIVERED])
    rows = tried.filter(enrollment__sequence__pipeline=pipeline, enrollment__sequence__slug=slug)
    counted = (
        rows.order_by("step")
        .values_list("step")
        .annotate(
            sent=Count("pk", filter=arrived),
            not_delivered=Count("pk", filter=~arrived),
            answered=Count("answered_at", filter=arrived),
            booked=Count("booked_at", filter=arrived),
            opted_out=Count("opted_out_at", filter=arrived),
        )
    )
    return {step: dict(zip(names, numbers, strict=True)) for step, *numbers in counted}


def sent(pipeline: Pipeline, period: Period) -> QuerySet[Attempt]:
    """Return the messages of follow-ups that went out in that time."""
    return Attempt.objects.filter(period.of("created_at"), state=SENT, enrollment__sequence__pipeline=pipeline)


def _rounded(number: Decimal, places: int) -> float:
    return float(number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
