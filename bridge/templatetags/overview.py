"""Times and spans as a person says them, short enough for a tile."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext as _

from bridge import money_shown as amounts
from bridge.reasons import in_words
from leads.models import Lead, Pipeline

register = template.Library()

# Django's own stand at the beginning of a sentence, and miss an accent in Portuguese.
WEEKDAYS = (
    pgettext_lazy("weekday", "Mon"),
    pgettext_lazy("weekday", "Tue"),
    pgettext_lazy("weekday", "Wed"),
    pgettext_lazy("weekday", "Thu"),
    pgettext_lazy("weekday", "Fri"),
    pgettext_lazy("weekday", "Sat"),
    pgettext_lazy("weekday", "Sun"),
)
UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


@register.filter
def span(value: timedelta | None) -> str:
    """Return a span in its largest unit, with the next one while that says something: “38 s”, “2 h 5 min”, “4 d”."""
    if value is None:
        return "–"
    value = max(value, timedelta(0))
    for (unit, name), (smaller, its_name) in zip(UNITS, (*UNITS[1:], (timedelta(seconds=1), "s")), strict=True):
        if value >= unit:
            number, rest = divmod(value, unit)
            # “31 d 4 h” says no more than “31 d”.
            more = f" {rest // smaller} {its_name}" if number < 10 and rest >= smaller and name != "min" else ""
            return f"{number} {name}{more}"
    return f"{int(value.total_seconds())} s"


@register.filter
def age(at: datetime | None) -> str:
    """Return how long ago a time was."""
    return span(timezone.now() - at) if at else "–"


@register.filter
def milliseconds(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value} ms" if value < 1000 else f"{number_format(value / 1000, 1)} s"


@register.filter
def moment(at: datetime | None) -> str:
    """Return a time to the second in the zone that is active, for a title or a row of a log."""
    return (
        date_format(timezone.localtime(at), "SHORT_DATE_FORMAT") + f" {timezone.localtime(at):%H:%M:%S}" if at else "–"
    )


@register.filter
def soon(at: datetime | None) -> str:
    """Return a time as one says it: “10:24” today, “tomorrow 10:24”, within six days “Mon 14:00”, else its whole date.

    The same backwards for what is over: “yesterday 18:20”.
    """
    if at is None:
        return "–"
    there, today = timezone.localtime(at), timezone.localtime()
    days, clock = (there.date() - today.date()).days, f"{there:%H:%M}"
    if days == 0:
        return clock
    if abs(days) == 1:
        return (_("tomorrow %(time)s") if days == 1 else _("yesterday %(time)s")) % {"time": clock}
    if 0 < days < 7:
        return f"{WEEKDAYS[there.weekday()]} {clock}"
    return f"{date_format(there, 'SHORT_DATE_FORMAT')} {clock}"


@register.filter
def ago(at: datetime | None) -> str:
    """Return when something was, as one says it: “5 min ago” on the same day, “yesterday 18:20”, else its date."""
    if at is None:
        return "–"
    passed, there = timezone.now() - at, timezone.localtime(at)
    if passed < timedelta(minutes=1):
        return _("just now")
    if there.date() == timezone.localtime().date() or passed < timedelta(hours=6):
        return _("%(age)s ago") % {"age": span(passed)}
    return soon(at)


@register.filter
def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


@register.filter
def between(start: datetime, end: datetime) -> str:
    return span(end - start)


@register.filter
def day(at: datetime) -> str:
    """Return the day of a time in the zone that is active, with its weekday: “Sunday, 29 November 2026”."""
    if get_language() == "en":
        return date_format(timezone.localtime(at), "l, j F Y")
    # Portuguese and Spanish write months with a small letter, and Django's own of Portuguese with a capital one.
    written = date_format(timezone.localtime(at), "l, j \\d\\e F \\d\\e Y")
    return written[:1].upper() + written[1:].lower()


@register.filter
def actor(value: str) -> str:
    """Return who did it, as a person calls them."""
    return str(dict(Lead.Actor.choices).get(value, value))


@register.filter
def reason(text: str) -> str:
    """Return a stored reason in the active language."""
    return in_words(text)


@register.filter
def money(amount: Decimal | None, pipeline: Pipeline) -> str:
    """Return an amount in the money of a pipeline, without cents; a dash for none."""
    return "–" if amount is None else amounts.written(amount, pipeline, with_cents=False)


@register.filter
def whatsapp(phone: str | None) -> str:
    """Return the address that opens a conversation with a phone in WhatsApp; empty without one."""
    return f"https://wa.me/{phone.removeprefix('+')}" if phone else ""
