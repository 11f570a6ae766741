"""Staff are told of what stays wrong: once, with the remedy, and when it is over; not of what went by itself."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from smtplib import SMTPException

import pytest
import responses
from django.utils import timezone, translation

from bridge import alerts, doctor
from bridge.doctor.finding import Finding
from bridge.logs import tidy
from bridge.models import Alert, Channel, Trouble, UnreadLead

NOW = timezone.now()
MINUTE = timedelta(minutes=1)
HOOK = "https://chat.example/hook"


@pytest.fixture(autouse=True)
def told_by_mail(settings, db):
    settings.ALERT_EMAILS = ["staff@example.com"]


def looks(monkeypatch, *found: list[Finding], start=NOW) -> None:
    """Look once a minute; `found` is what each look finds."""
    for minute, findings in enumerate(found):
        monkeypatch.setattr(alerts, "examine", lambda now, ask_kommo, findings=findings: findings)
        alerts.look(start + minute * MINUTE)


def late(minutes: int) -> list[Finding]:
    return [Finding("backlog", f"3 cards wait, the oldest for {minutes} min", "see what they wait for")]


def test_a_trouble_that_lasts_is_told_once_with_its_remedy(monkeypatch, mailoutbox):
    looks(monkeypatch, *[late(10 + minute) for minute in range(9)])

    (mail,) = mailoutbox
    assert mail.subject == "[Kommo bridge] 3 cards wait, the oldest for 15 min"
    assert "see what they wait for" in mail.body
    assert mail.to == ["staff@example.com"]


def test_a_trouble_that_went_by_itself_is_nobodys_business(monkeypatch, mailoutbox):
    looks(monkeypatch, *[late(10)] * 4, *[[]] * 6)

    assert mailoutbox == []
    assert not Alert.objects.exists()


def test_staff_hear_when_it_is_over(monkeypatch, mailoutbox):
    looks(monkeypatch, *[late(10)] * 7, *[[]] * 4)

    assert [mail.subject for mail in mailoutbox][1:] == ["[Kommo bridge] over: 3 cards wait, the oldest for 10 min"]
    assert not Alert.objects.exists()


def test_a_trouble_that_comes_and_goes_is_one(monkeypatch, mailoutbox):
    looks(monkeypatch, *[late(10), []] * 10)

    assert len(mailoutbox) == 1


def test_staff_are_reminded_after_a_day(monkeypatch, mailoutbox):
    looks(monkeypatch, *[late(10)] * 7)
    looks(monkeypatch, *[late(1000)] * 2, start=NOW + timedelta(days=1, minutes=6))

    assert len(mailoutbox) == 2


def test_mail_that_failed_is_sent_with_the_next_look(monkeypatch, mailoutbox):
    with monkeypatch.context() as broken:

        def refuse(*args, **kwargs):
            raise SMTPException("no")

        broken.setattr(alerts, "send_mail", refuse)
        looks(broken, *[late(10)] * 7)
    assert Alert.objects.get().telling_failed == "mail: SMTPException"

    looks(monkeypatch, late(17), start=NOW + 7 * MINUTE)

    assert len(mailoutbox) == 1
    assert Alert.objects.get().telling_failed == ""


def test_two_clocks_that_look_at_once_count_as_one_look(monkeypatch):
    looks(monkeypatch, late(10))
    looks(monkeypatch, late(10), start=NOW + timedelta(seconds=5))

    assert Alert.objects.get().times_seen == 1


@responses.activate
def test_a_webhook_is_told_signed_with_text_for_a_chat(monkeypatch, settings):
    settings.ALERT_EMAILS, settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = [], HOOK, "whsec_c2VjcmV0"
    responses.post(HOOK, status=200)

    looks(monkeypatch, *[late(10)] * 7)

    (call,) = responses.calls
    body = json.loads(call.request.body)
    assert body["type"] == "alert.raised"
    assert "What to do: see what they wait for" in body["text"]
    assert call.request.headers["webhook-signature"].startswith("v1,")


def test_what_doctor_finds_in_our_rows_is_what_is_looked_at(monkeypatch):
    """No account, no worker: the real examination, without a call leaving."""
    alerts.look(NOW)

    assert {alert.subject for alert in Alert.objects.all()} >= {
        "worker: no worker is at work",
        "account: no Kommo account",
    }


@pytest.mark.parametrize("broken", [ValueError("header"), RuntimeError("no idea"), OSError("away")])
@responses.activate
def test_one_trouble_that_cannot_be_told_keeps_no_other_from_it(monkeypatch, settings, mailoutbox, broken):
    settings.ALERT_WEBHOOK_URL = HOOK
    responses.post(HOOK, status=200)
    real = alerts.send_mail

    def send(title, *args, **kwargs):
        if "cursed" in title:
            raise broken
        return real(title, *args, **kwargs)

    monkeypatch.setattr(alerts, "send_mail", send)
    looks(monkeypatch, *[[Finding("a", "cursed", "do"), *late(10)]] * 8)

    assert [mail.subject for mail in mailoutbox] == ["[Kommo bridge] 3 cards wait, the oldest for 10 min"]
    messages = [json.loads(call.request.body)["data"]["message"] for call in responses.calls]
    assert {"cursed", "3 cards wait, the oldest for 10 min"} <= set(messages)


@pytest.mark.parametrize(
    "break_", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x00", "\u202e"]
)
def test_what_somebody_else_wrote_is_no_header_of_a_mail(monkeypatch, mailoutbox, break_):
    message = f"Kommo answered “x{break_}Bcc: thief@example.com”"
    looks(monkeypatch, *[[Finding("kommo", message, "do")]] * 8)

    (mail,) = mailoutbox
    assert mail.subject.isprintable()
    assert mail.recipients() == ["staff@example.com"]
    assert "Bcc" not in mail.message()


@pytest.mark.parametrize(
    "called",
    [
        "<!channel>",
        "<!here|x>",
        "<!subteam^S1>",
        "<@U123>",
        "@channel",
        "@here",
        "@all",
        "“@everyone”",
        "@\u200bhere @all",
    ],
)
@responses.activate
def test_what_somebody_else_wrote_calls_nobody_in_a_chat_and_hides_no_link(monkeypatch, settings, called):
    settings.ALERT_EMAILS, settings.ALERT_WEBHOOK_URL = [], HOOK
    responses.post(HOOK, status=200)
    message = f"Kommo answered “{called}\n<https://thief.example|Log in>\u202e &lt;!channel>”"

    looks(monkeypatch, *[[Finding("kommo", message, f"look at {called}")]] * 8)

    body = json.loads(responses.calls[0].request.body)
    text = body["text"]
    assert not set("<>") & set(text) and text.replace(alerts.NO_BREAK, "").isprintable()
    assert "&amp;lt;!channel" in text
    assert not re.search(r"(?<!\w)@\w", text)
    # Programs get what was said, but for signs that turn a text around.
    assert body["data"]["message"] == tidy(message)


def test_what_somebody_else_wrote_makes_no_line_of_a_mail(monkeypatch, mailoutbox):
    looks(monkeypatch, *[[Finding("kommo", "Kommo answered “x\n\nWhat to do: call +1 900\u202e”", "do")]] * 8)

    [body] = [mail.body for mail in mailoutbox]
    assert len(body.splitlines()) == 1 and "\u202e" not in body


# As Kommo, a messenger's server and Python say it, each with a word of a lead's.
QUOTING = [
    "create notes: refused by Kommo: 0.params.text: “Zulmira quer gente” is too long",
    "update contacts: Kommo answered 400: {'name': 'Zulmira'}",
    "read leads: cannot read Kommo's answer: no number in “price”: 'Zulmira'",
    "ValueError: 'Zulmira' is no day",
    "Evolution answered 400: bad request: “Oi, Zulmira”",
]


def troubles_of(account, reason):
    """Let everything that staff are told of be told with a reason."""
    moments = {"reason": reason, "since": NOW - timedelta(days=1), "next_at": NOW}
    Trouble.objects.create(account=account, subject=Trouble.Subject.NOTES, refused=True, **moments)
    Channel.objects.create(kind="evolution", slug="zap", failed_at=NOW, failure=reason)
    since = NOW - timedelta(days=1)
    UnreadLead.objects.create(account=account, kommo_lead_id=7, error=reason, tries=99, since=since, next_at=NOW)


@pytest.mark.parametrize("reason", QUOTING)
@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_an_alert_and_its_log_line_say_what_fails_and_not_whom_it_is_about(
    account, settings, mailoutbox, caplog, reason, language
):
    """Staff read the words on our pages; chats, mailboxes and logs keep them for ever."""
    settings.ALERT_AFTER_LOOKS, settings.ALERT_GRACE = 1, timedelta(0)
    troubles_of(account, reason)

    with translation.override(language), responses.RequestsMock() as chat:
        settings.ALERT_WEBHOOK_URL = HOOK
        chat.post(HOOK)
        found = [finding for finding in doctor.examine(NOW, ask_kommo=False) if "Zulmira" in finding.message]
        alerts.note(found, NOW)
        alerts.tell_due(NOW)
        sent = [str(call.request.body) for call in chat.calls]

    assert {finding.code or finding.check for finding in found} == {"feature", "channel-fails", "not-taken-in"}
    texts = [*sent, *(f"{mail.subject} {mail.body}" for mail in mailoutbox), caplog.text, str(Alert.objects.values())]
    assert len(mailoutbox) == len(sent) == 3
    assert [text for text in texts if "Zulmira" in text] == []


def test_an_alert_holds_no_secret_address_of_ours_and_no_phone(account):
    problem = (
        "subscribe: destination: https://b.example/webhooks/kommo/s3cr3t-of-ours/ is not public; ask +55 81 99999-0000"
    )
    alerts.note([Finding("webhook", problem, "look")], NOW)
    row = Alert.objects.get()
    assert "s3cr3t" not in row.message + row.subject and "99999" not in row.message + row.subject
