"""Do webhooks wait unread, and could some not be processed?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Min
from django.utils.translation import gettext as _

from bridge.doctor.finding import Finding, span_in_words
from bridge.models import WebhookEvent

INBOX_LATE_AFTER = timedelta(minutes=5)


def check_inbox(now: datetime) -> Iterator[Finding]:
    waiting = WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED)
    oldest = waiting.aggregate(at=Min("received_at"))["at"]
    if oldest and now - oldest > INBOX_LATE_AFTER:
        remedy = _("see that the worker runs; the webhooks' page shows the error of each")
        message = _("unread webhooks, the oldest of %(age)s ago") % {"age": span_in_words(now - oldest)}
        yield Finding("webhook", message, remedy, "webhooks-unread")
    failed = WebhookEvent.objects.filter(state=WebhookEvent.State.FAILED).count()
    if failed:
        message = _("%(count)d could not be processed") % {"count": failed}
        yield Finding("webhook", message, _("choose “Process again” on the webhooks' page"), "webhooks-failed")
