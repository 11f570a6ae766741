"""Were sellers told of what they take over, and is in Kommo erased what has to be?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bridge.delivery import handoff_notes
from bridge.doctor.finding import Finding
from bridge.models import Forgetting

ERASURE_LATE_AFTER = timedelta(hours=1)


def check_briefings(now: datetime) -> Iterator[Finding]:
    untold = handoff_notes.untold(handoff_notes.given_up())
    if any(untold.values()):
        message = _(
            "sellers were not told what to do, for Kommo refuses the note or the task; handoffs: %(handoffs)d, leads"
            " who wrote or booked: %(calls)d, meetings without a result: %(results)d"
        )
        remedy = _("see why on the lead's timeline, tell the seller, and choose “Tell them again” on the overview")
        yield Finding("handoffs", message % untold, remedy, "briefings")


def check_erasures(now: datetime) -> Iterator[Finding]:
    left = Forgetting.objects.filter(state=Forgetting.State.LEFT).count()
    if left:
        message = ngettext(
            "%(count)d person asked to be forgotten, and something of them is left in Kommo",
            "%(count)d people asked to be forgotten, and something of them is left in Kommo",
            left,
        ) % {"count": left}
        remedy = _("see what on the page “Erasures in Kommo”, erase it there, and say on that page that it is done")
        yield Finding("erasures", message, remedy, "erasures")
    waiting = Forgetting.objects.filter(state=Forgetting.State.DUE, asked_at__lt=now - ERASURE_LATE_AFTER).count()
    if waiting:
        message = ngettext(
            "%(count)d person asked to be forgotten, and waits for it in Kommo",
            "%(count)d people asked to be forgotten, and wait for it in Kommo",
            waiting,
        ) % {"count": waiting}
        remedy = _(
            "see that the account is active and that Kommo answers; while it only observes nothing is erased there"
        )
        yield Finding("erasures", message, remedy, "erasures")
