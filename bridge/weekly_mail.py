"""Last week's results by e-mail, for whoever wants them: once each, on Monday morning, in their own language."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.core.mail import send_mail
from django.db.models import Q
from django.utils import timezone, translation
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from bridge.models import WeeklyMail
from bridge.selectors import results
from bridge.selectors.results import Period
from leads.models import Pipeline

log = structlog.get_logger(__name__)

# On the pipeline's clock; whoever was not reached then is as long as the week lasts.
SENT_FROM = time(8)


def send() -> None:
    """Send what is due now: the task of the queue."""
    send_due(timezone.now())


def send_due(now: datetime) -> int:
    """Send every mail whose week is over and that nobody has claimed; return how many were handed over.

    The week is claimed before the mail leaves, so that of two workers one sends it and a crash sends none twice. What
    fails for one person keeps nobody else's from leaving.
    """
    sent = 0
    for wish in WeeklyMail.objects.filter(user__is_active=True).select_related("user", "pipeline"):
        week = week_due(wish.pipeline, now)
        if week is None or wish.sent_for == week or not wish.user.has_perm("leads.view_lead"):
            continue
        unclaimed = WeeklyMail.objects.filter(Q(sent_for=None) | Q(sent_for__lt=week), pk=wish.pk)
        if unclaimed.update(sent_for=week, failed=""):
            sent += _send(wish, week)
    return sent


def week_due(pipeline: Pipeline, now: datetime) -> date | None:
    """Return the Monday that begins the week now running, once its first morning has come; None before that."""
    local = now.astimezone(ZoneInfo(pipeline.time_zone))
    monday = local.date() - timedelta(days=local.weekday())
    return monday if local >= datetime.combine(monday, SENT_FROM, local.tzinfo) else None


def _send(wish: WeeklyMail, week: date) -> bool:
    try:
        with translation.override(wish.language):
            subject, text = written(wish.pipeline, week)
            send_mail(subject, text, None, [wish.user.email])
    except Exception as error:
        # Whatever a mail server raises: the next person's is sent all the same.
        log.exception("weekly_mail_failed", user=wish.user_id)
        WeeklyMail.objects.filter(pk=wish.pk).update(failed=f"{type(error).__name__}: {error}"[:300])
        return False
    return True


def written(pipeline: Pipeline, week: date) -> tuple[str, str]:
    """Return subject and text about the seven days before a Monday, in the active language; no word of any lead."""
    period = Period(week - timedelta(days=7), week - timedelta(days=1), pipeline.time_zone)
    now, before = results.headline(pipeline, period), results.headline(pipeline, period.before)
    days = {
        name: date_format(day, "SHORT_DATE_FORMAT") for name, day in (("first", period.first), ("last", period.last))
    }
    subject = _("%(pipeline)s: results from %(first)s to %(last)s") % {"pipeline": pipeline.name, **days}
    lines = [
        _("%(label)s: %(now)s (the week before: %(before)s)")
        % {"label": results.LABELS[name], "now": _number(name, now[name]), "before": _number(name, before[name])}
        for name in results.HEADLINE
    ]
    ending = _("You get this because you asked for it on the page of results, where you can also end it.")
    return " ".join(subject.split()), "\n".join([subject, "", *lines, "", ending])


def _number(name: str, value: float) -> str:
    return number_format(value, 1 if name == "hours_saved" else 0, force_grouping=True)
