"""Which cards wait too long, were refused or deleted, cannot be read, or were moved by an automation?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, ngettext_lazy

from bridge.accounts import room_for_leads
from bridge.doctor.finding import Finding, span_in_words
from bridge.doctor.kommo_accounts import CONNECT
from bridge.inbound import unreadable_cards, unreadable_leads
from bridge.models import Account, Card, Drift
from common.reasons.columns import either
from leads.models import Lead

CARD_WAITS_LONG_AFTER = timedelta(minutes=10)
# By then everything was compared with Kommo as a whole, several times over.
COMPARED_WITHIN = timedelta(days=2)
# Leads that cannot be read, by Kommo's id: so many are named.
ODD_SHOWN = 5
# State of a card -> what is said of those in it, and the remedy.
STUCK = {
    Card.State.BLOCKED: (
        ngettext_lazy("%(count)d card is blocked", "%(count)d cards are blocked", "count"),
        gettext_noop("complete the configuration they name; they go on by themselves"),
    ),
    Card.State.DEAD: (
        ngettext_lazy("%(count)d card was refused", "%(count)d cards were refused", "count"),
        gettext_noop("fix the cause on the card's page and choose “Send to Kommo again”"),
    ),
    Card.State.GONE: (
        ngettext_lazy("%(count)d card was deleted in Kommo", "%(count)d cards were deleted in Kommo", "count"),
        gettext_noop("on the cards' page, create them anew or close them"),
    ),
}


def check_cards(now: datetime) -> Iterator[Finding]:
    # Those that wait for room in the account are told with it.
    waiting = Card.objects.filter(state__in=Card.PENDING).exclude(waiting_reason__in=either(room_for_leads.NO_ROOM))
    pending = waiting.aggregate(count=Count("id"), since=Min("pending_since"))
    age = now - pending["since"] if pending["since"] else timedelta(0)
    message = ngettext(
        "%(count)d card waits, for %(age)s", "%(count)d cards wait, the oldest for %(age)s", pending["count"]
    ) % {"count": pending["count"], "age": span_in_words(age)}
    message = message if pending["count"] else _("no card waits")
    late = age > CARD_WAITS_LONG_AFTER
    remedy = _("see what they wait for on the cards' page") if late else ""
    yield Finding("backlog", message, remedy, "backlog", subject="backlog: cards wait")
    counts = dict(Card.objects.filter(state__in=STUCK).values_list("state").annotate(Count("id")))
    for state, (sentence, remedy) in STUCK.items():
        if number := counts.get(state):
            yield Finding("cards", sentence % {"count": number}, _(remedy), "cards", subject=f"cards: {state}")
    yield from _unreadable()
    without = _leads_without_card(now)
    if without:
        yield Finding(
            "cards",
            ngettext("%(count)d lead without a card", "%(count)d leads without a card", without) % {"count": without},
            _(CONNECT),
            subject="cards: leads without one",
        )


def _leads_without_card(now: datetime) -> int:
    """Return how many leads of connected pipelines have no card: of the newest, or of all before a first comparison.

    A whole comparison has given one to whoever is older; this is asked by each overview, and to be sure of those too
    every lead there is would be read.
    """
    without = Lead.objects.filter(pipeline__account_link__isnull=False, card=None, erased_at=None)
    if not Account.objects.filter(compared_at=None, pipeline_links__isnull=False).exists():
        without = without.filter(created_at__gte=now - COMPARED_WITHIN)
    return without.count()


def _unreadable() -> Iterator[Finding]:
    odd = unreadable_cards.unreadable()
    count = odd.count()
    if count:
        ids = ", ".join(
            str(kommo_lead_id)
            for kommo_lead_id in odd.order_by("pk").values_list("kommo_lead_id", flat=True)[:ODD_SHOWN]
            if kommo_lead_id
        )
        message = _("%(count)d leads in Kommo could not be read, and are as they were here: %(leads)s")
        remedy = _("see the last error on the card's page and fix in Kommo what it names; it is read again by itself")
        yield Finding("cards", message % {"count": count, "leads": ids or "–"}, remedy, "unreadable")
    strangers = unreadable_leads.to_tell()
    if count := strangers.count():
        first = strangers[0]
        message = _("%(count)d leads in Kommo could not be taken in: %(leads)s; the first for: %(error)s")
        ids = ", ".join(str(card.kommo_lead_id) for card in strangers[:ODD_SHOWN])
        remedy = _("fix in Kommo what the error names; they are read again by themselves, at least every hour")
        sentence = message % {"count": count, "leads": ids, "error": first.error}
        yield Finding("cards", sentence, remedy, "not-taken-in", quotes=first.error)


def check_drifts(now: datetime) -> Iterator[Finding]:
    waiting = Drift.objects.filter(resolution=Drift.Resolution.OPEN).count()
    if waiting:
        message = ngettext(
            "%(count)d card was moved in Kommo by an automation against our rules",
            "%(count)d cards were moved in Kommo by an automation against our rules",
            waiting,
        ) % {"count": waiting}
        remedy = _("decide on the drifts' page whose stage stands, or switch the automation off")
        yield Finding("drift", message, remedy, "drift", subject="drift: moved by an automation")
