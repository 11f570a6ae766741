"""Are follow-ups late, and do they reach anybody?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext as _

from bridge.doctor.finding import Finding
from bridge.reasons import in_words
from followups import channels
from followups.followups_of_a_day import LATE_AFTER
from followups.models import Attempt, Enrollment, Sequence


def _why_mute() -> str:
    """Return why follow-ups of some pipeline that has any reach nobody; empty when all do."""
    active = Sequence.objects.filter(is_active=True, steps__isnull=False)
    why = (channels.why_mute(pk) for pk in sorted(set(active.values_list("pipeline_id", flat=True))))
    return next(filter(None, why), "")


def check_followups(now: datetime) -> Iterator[Finding]:
    due = Enrollment.objects.filter(state=Enrollment.State.WAITING, held=False, next_at__lt=now - LATE_AFTER)
    late = due.count()
    if late:
        message = _("%(count)d are late") % {"count": late}
        remedy = _("see that the worker runs and that the agent answers")
        yield Finding("follow-ups", message, remedy, "follow-ups-late")
    elif why := _why_mute():
        unsent = Attempt.objects.filter(state=Attempt.State.NOT_SENT, created_at__gt=now - timedelta(days=1)).count()
        words = {"reason": in_words(why), "count": unsent}
        sentence = (
            _("not sent, %(reason)s") if not unsent else _("not sent, %(reason)s: %(count)d messages of the last day")
        )
        if settings.FOLLOWUP_CHANNEL:
            advice = _("fix FOLLOWUP_CHANNEL: until then no message reaches anybody, and nobody is given up on")
        else:
            advice = _(
                "set AGENT_WEBHOOK_URL and AGENT_WEBHOOK_SECRET: until then no message reaches anybody, and nobody is "
                "given up on"
            )
        yield Finding("follow-ups", sentence % words, code="unsent", advice=advice)
    else:
        yield Finding("follow-ups", _("none is late"))
