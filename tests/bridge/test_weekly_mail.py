"""Last week's numbers reach whoever wants them: on Monday morning, once, in their language; one failure is one."""

from __future__ import annotations

from datetime import datetime, timedelta
from smtplib import SMTPException
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, User

from bridge import weekly_mail
from bridge.models import WeeklyMail
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import record

ZONE = ZoneInfo("America/Sao_Paulo")
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=ZONE)


def wanting(name, pipeline, language="en", **more):
    user = User.objects.create_user(name, f"{name}@example.com", is_staff=True, **more)
    user.groups.add(Group.objects.get(name="reader"))
    return WeeklyMail.objects.create(user=user, pipeline=pipeline, language=language)


@pytest.fixture
def wish(pipeline):
    return wanting("ada", pipeline)


def test_the_week_that_is_over_is_told_beside_the_one_before(pipeline, wish, mailoutbox):
    for number, days in enumerate((1, 2, 8, 20, -1)):
        lead = record(pipeline, f"+55819999900{number:02}", name="Maria").lead
        Lead.objects.filter(pk=lead.pk).update(created_at=MONDAY - timedelta(days=days))
    assert weekly_mail.send_due(MONDAY) == 1
    [mail] = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert "New leads: 2 (the week before: 1)" in mail.body
    assert "from 11/16/2026 to 11/22/2026" in mail.subject
    assert "Maria" not in mail.body


@pytest.mark.parametrize(
    ("minutes", "sent"),
    [(-1, 0), (0, 1), (3 * 24 * 60, 1), (6 * 24 * 60 + 15 * 60, 1)],
)
def test_it_is_sent_from_monday_morning_on_for_as_long_as_the_week_lasts(wish, mailoutbox, minutes, sent):
    WeeklyMail.objects.update(sent_for=MONDAY.date() - timedelta(days=7))
    weekly_mail.send_due(MONDAY + timedelta(minutes=minutes))
    assert len(mailoutbox) == sent


def test_it_is_sent_once_a_week_however_often_it_is_asked_for(wish, mailoutbox):
    for hours in (0, 0.5, 24, 100):
        weekly_mail.send_due(MONDAY + timedelta(hours=hours))
    assert len(mailoutbox) == 1
    weekly_mail.send_due(MONDAY + timedelta(days=7))
    assert len(mailoutbox) == 2


def test_of_two_workers_one_sends_it(wish, mailoutbox, monkeypatch):
    """The second reads the wish before the first has claimed it, and claims too late."""
    first = weekly_mail.week_due

    def meanwhile(pipeline, now):
        monkeypatch.setattr(weekly_mail, "week_due", first)
        weekly_mail.send_due(now)
        return first(pipeline, now)

    monkeypatch.setattr(weekly_mail, "week_due", meanwhile)
    assert weekly_mail.send_due(MONDAY) == 0
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("error", [SMTPException("no"), OSError("away"), ValueError("header")])
def test_one_that_fails_keeps_no_other_and_is_not_sent_twice(pipeline, wish, mailoutbox, monkeypatch, error):
    other = wanting("bob", pipeline)
    really = weekly_mail.send_mail

    def fails(subject, text, sender, to):
        if to == ["ada@example.com"]:
            raise error
        return really(subject, text, sender, to)

    monkeypatch.setattr(weekly_mail, "send_mail", fails)
    assert weekly_mail.send_due(MONDAY) == 1
    assert [mail.to for mail in mailoutbox] == [["bob@example.com"]]
    wish.refresh_from_db()
    other.refresh_from_db()
    assert str(error) in wish.failed and not other.failed
    assert weekly_mail.send_due(MONDAY + timedelta(hours=1)) == 0


def test_each_reads_it_in_their_language(pipeline, wish, mailoutbox):
    wanting("bia", pipeline, "pt-br")
    weekly_mail.send_due(MONDAY)
    assert sorted("Leads novos" in mail.body for mail in mailoutbox) == [False, True]


def test_who_may_not_see_leads_any_more_or_is_gone_gets_none(pipeline, wish, mailoutbox):
    wanting("gone", pipeline, is_active=False)
    wish.user.groups.clear()
    assert weekly_mail.send_due(MONDAY) == 0
    assert mailoutbox == []


def test_it_is_asked_for_and_ended_on_the_page_of_results(pipeline):
    client = client_of("reader")
    asked = client.post("/admin/results/weekly/", {"wanted": "1"}, headers={"accept-language": "pt-BR"}, follow=True)
    assert "não tem e-mail" in asked.content.decode()
    User.objects.update(email="vera@example.com")
    client.post("/admin/results/weekly/", {"wanted": "1"}, headers={"accept-language": "pt-BR"})
    [wish] = WeeklyMail.objects.all()
    assert (wish.language, wish.user.email, wish.pipeline) == ("pt-br", "vera@example.com", pipeline)
    assert "End it" in client.get("/admin/results/").content.decode()
    client.post("/admin/results/weekly/", {"wanted": "0"})
    assert not WeeklyMail.objects.exists()
    assert client.get("/admin/results/weekly/").status_code == 405


def test_whoever_asks_in_the_week_is_first_told_of_it_when_it_is_over(pipeline, mailoutbox, time_machine):
    time_machine.move_to(MONDAY + timedelta(days=2), tick=False)
    client = client_of("reader")
    User.objects.update(email="vera@example.com")
    client.post("/admin/results/weekly/", {"wanted": "1"})
    weekly_mail.send()
    assert mailoutbox == []
    time_machine.move_to(MONDAY + timedelta(days=7), tick=False)
    weekly_mail.send()
    assert len(mailoutbox) == 1
