"""Telling staff what is wrong: not at the first failure, once, and again when it is over.

Once a minute the worker looks as `doctor` does, at our own rows alone. A trouble that `ALERT_AFTER_LOOKS` looks have
found, over at least `ALERT_GRACE`, is told by e-mail and webhook; one that went by itself before that is nobody's
business. A worker that is dead tells nothing: deploy/prometheus has the alarms from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F

from bridge.delivery import calls_for_a_person
from bridge.doctor import examine
from bridge.doctor.finding import Finding
from bridge.logs import tidy
from bridge.models import Alert
from followups import signed_calls

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(minutes=1)
# Two clocks that look at almost the same moment count as one look.
SAME_LOOK = timedelta(seconds=50)
# Unseen for so long, it is over: a trouble that comes and goes is one trouble.
OVER_AFTER = timedelta(minutes=3)
REMIND_EVERY = timedelta(days=1)
ANSWER_THEM = "answer the lead, or move the card: either ends this"
NUMBER = re.compile(r"\d+")
# By these Slack and Mattermost call everybody, or show a link under other words. The first of them comes first.
SPELLED_FOR_CHATS = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
# Where a name would begin that is called by it: @channel, @here.
MENTION = re.compile(r"(?<!\w)@(?=\w)")
NO_BREAK = "\u2060"


def look(now: datetime) -> None:
    """Take one look, and tell staff what it is time to tell."""
    if Alert.objects.filter(last_seen_at__gt=now - SAME_LOOK).exists():
        return
    troubles = [finding for finding in examine(now, ask_kommo=False) if not finding.is_well]
    note([*troubles, *calls(now)], now)
    tell_due(now)


def calls(now: datetime) -> Iterator[Finding]:
    """Yield the leads who call for a person and whom nobody has answered, where their pipeline wants it told.

    Each is a trouble of its own: the second lead must not be silent because the first is known. No name and no phone:
    alerts go to chats.
    """
    rows = calls_for_a_person.open_calls(now=now).filter(card__lead__pipeline__alert_on_calls=True)
    for row in rows.select_related("card"):
        which = f"lead {row.card.kommo_lead_id} in Kommo" if row.card.kommo_lead_id else f"lead {row.card.lead_id}"
        yield Finding("calls", f"{row.call}: {which}", ANSWER_THEM, subject=f"call: {row.pk}")


def note(troubles: Iterable[Finding], now: datetime) -> None:
    """Keep a row for each trouble, and count the looks that have found it."""
    for finding in troubles:
        subject = subject_of(finding)
        latest = {
            "message": _outside(finding)[:500],
            "remedy": finding.remedy[:500],
            "last_seen_at": now,
        }
        known = Alert.objects.filter(subject=subject)
        if not known.update(times_seen=F("times_seen") + 1, **latest):
            Alert.objects.bulk_create([Alert(subject=subject, first_seen_at=now, **latest)], ignore_conflicts=True)


def subject_of(finding: Finding) -> str:
    """Return what stays the same from look to look: the message without its numbers, if nothing else is named."""
    if finding.subject:
        return finding.subject
    return f"{finding.check}: {NUMBER.sub('#', _outside(finding))}"[:200]


def _outside(finding: Finding) -> str:
    """Return what was found as it may leave the house: to chats, mailboxes and logs, which name nobody."""
    return tidy(finding.in_our_words)


def tell_due(now: datetime) -> None:
    """Tell staff of every trouble that has lasted, and of every one they know of that is over."""
    lasting = Alert.objects.filter(
        last_seen_at=now,
        times_seen__gte=settings.ALERT_AFTER_LOOKS,
        first_seen_at__lte=now - settings.ALERT_GRACE,
    )
    for alert in lasting:
        if alert.told_at is None or alert.told_at <= now - REMIND_EVERY:
            _tell(alert, now, is_over=False)
    for alert in Alert.objects.filter(last_seen_at__lte=now - OVER_AFTER):
        if alert.told_at is None or _tell(alert, now, is_over=True):
            alert.delete()


def _failure_of(road: str, tell: Callable[[], str]) -> str:
    """Return why a road failed, whatever it raised: the next road, and the next alert, are told all the same."""
    try:
        return tell()
    except Exception as error:
        log.exception("alert_road_failed", road=road)
        return f"{road}: {type(error).__name__}"


def _tell(alert: Alert, now: datetime, *, is_over: bool) -> bool:
    """Tell by every road that is set up; note what failed, so that the next look tries again."""
    roads = {"mail": lambda: _mail(alert, is_over), "webhook": lambda: _post(alert, now, is_over)}
    failures = [failure for road, tell in roads.items() if (failure := _failure_of(road, tell))]
    log.log(
        20 if is_over else 40,
        "trouble_over" if is_over else "trouble",
        subject=alert.subject, message=alert.message, remedy=alert.remedy, since=alert.first_seen_at.isoformat(),
    )  # fmt: skip
    if failures:
        log.error("alert_not_sent", subject=alert.subject, failures=failures)
        Alert.objects.filter(pk=alert.pk).update(telling_failed="; ".join(failures)[:300])
        return False
    Alert.objects.filter(pk=alert.pk).update(told_at=now, telling_failed="")
    return True


def _text(alert: Alert, is_over: bool) -> str:
    message, remedy = _flat(alert.message), _flat(alert.remedy)
    if is_over:
        return f"Over: {message}"
    return f"{message} (since {alert.first_seen_at:%Y-%m-%d %H:%M} UTC). What to do: {remedy}"


def _flat(text: str) -> str:
    """Return a text as one line of what can be seen: what Kommo or a lead wrote stands in it, line breaks and all."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def _for_a_chat(text: str) -> str:
    """Return a text that chats show as it is: nobody is called by it, and no link hides behind other words."""
    for sign, spelled in SPELLED_FOR_CHATS:
        text = text.replace(sign, spelled)
    return MENTION.sub(f"@{NO_BREAK}", text)


def _mail(alert: Alert, is_over: bool) -> str:
    """Return why the mail could not be handed over; empty when it was, or nobody is to get one."""
    if not settings.ALERT_EMAILS:
        return ""
    # A line break in it would begin a header of its own.
    title = _flat(f"[Kommo bridge] {'over: ' if is_over else ''}{alert.message}")[:150]
    send_mail(title, _text(alert, is_over), None, settings.ALERT_EMAILS)
    return ""


def _post(alert: Alert, now: datetime, is_over: bool) -> str:
    if not settings.ALERT_WEBHOOK_URL:
        return ""
    body = {
        "type": "alert.over" if is_over else "alert.raised",
        "timestamp": now.isoformat(),
        # What Slack, Mattermost and their like show.
        "text": _for_a_chat(_text(alert, is_over)),
        "data": {
            "subject": alert.subject,
            "message": alert.message,
            "remedy": alert.remedy,
            "since": alert.first_seen_at.isoformat(),
        },
    }
    event_id = f"alert-{alert.pk}-{'over' if is_over else alert.times_seen}"
    answer = signed_calls.post(settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET, event_id, body, now=now)
    return "" if answer.is_success else f"webhook: {answer.error or answer.status}"
