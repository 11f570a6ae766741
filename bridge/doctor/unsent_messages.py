"""Do messages leave by the ways out, and does the agent take what it is told?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import F, Min, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bridge.doctor.finding import Finding, span_in_words, their_words
from bridge.models import AgentEvent, Channel, Outgoing
from bridge.reasons import in_words
from leads.models import Pipeline

# An agent that restarts is back sooner; one that refuses would be known only days later, when an event is given up.
UNHEARD_AFTER = timedelta(minutes=5)
# A way out that failed last is looked at so long; a message waits so long at the most while all is well.
FAILING_FOR, MESSAGES_LATE_AFTER = timedelta(days=1), timedelta(minutes=5)


def check_messages(now: datetime) -> Iterator[Finding]:
    """Look at what is said by ways out; an installation without any is told nothing of them."""
    slugs = set(Channel.objects.values_list("slug", flat=True))
    for pipeline in Pipeline.objects.exclude(channel="").exclude(channel__in=slugs).order_by("slug"):
        message = _("“%(pipeline)s” names the way out “%(name)s”, which there is not")
        remedy = _("make it with manage.py channel, or name another in the pipeline's rules")
        yield Finding("messages", message % {"pipeline": pipeline.name, "name": pipeline.channel}, remedy, "no-channel")
    failing = Channel.objects.filter(is_active=True, failed_at__gt=now - FAILING_FOR)
    for channel in failing.filter(Q(sent_at=None) | Q(sent_at__lt=F("failed_at"))).order_by("slug"):
        message = _("the way out “%(name)s” fails: %(reason)s") % {
            "name": channel.slug,
            "reason": in_words(channel.failure),
        }
        quotes = their_words(channel.failure)
        yield Finding(
            "messages", message, _("test it on its page"), "channel-fails", subject=channel.slug, quotes=quotes
        )
    late = Outgoing.objects.filter(state=Outgoing.State.DUE, created_at__lt=now - MESSAGES_LATE_AFTER)
    if oldest := late.aggregate(at=Min("created_at"))["at"]:
        message = _("messages wait to be sent, the oldest for %(age)s") % {"age": span_in_words(now - oldest)}
        yield Finding("messages", message, _("see that the worker runs; each way out shows why"), "messages-late")


def check_agent(now: datetime) -> Iterator[Finding]:
    dead = AgentEvent.objects.filter(state=AgentEvent.State.DEAD).count()
    if dead:
        remedy = _("see why the agent refused them, and send them again on their page")
        yield Finding(
            "agent",
            ngettext("%(count)d event was given up", "%(count)d events were given up", dead) % {"count": dead},
            remedy,
            "agent-events",
            subject="agent: events given up",
        )
    unheard = AgentEvent.objects.filter(state=AgentEvent.State.DUE, attempts__gt=0, created_at__lt=now - UNHEARD_AFTER)
    oldest = unheard.order_by("created_at").first()
    if oldest:
        answer = oldest.error or (f"HTTP {oldest.status_code}" if oldest.status_code else _("no answer"))
        remedy = _("see that the agent runs at AGENT_WEBHOOK_URL, and read its log")
        if oldest.status_code in (401, 403):
            remedy = _("compare AGENT_WEBHOOK_SECRET on both sides, and both clocks: a signature holds for minutes")
        count = unheard.count()
        message = ngettext(
            "%(count)d event is not taken, for %(age)s: %(answer)s",
            "%(count)d events are not taken, the oldest for %(age)s: %(answer)s",
            count,
        )
        age = span_in_words(now - oldest.created_at)
        sentence = message % {"count": count, "age": age, "answer": answer}
        yield Finding("agent", sentence, remedy, "agent-unheard", subject="agent: events not taken")
