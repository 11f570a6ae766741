"""Another robot in our conversations is told to staff, once for each pipeline, and pauses nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import alerts, doctor
from bridge.accounts import connection
from bridge.inbound import events_feed, other_bots_answer
from bridge.models import Account, Alert, Trouble
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.bridge.inbound.test_chat_replies import OURS, hear, hook
from tests.conftest import drain, lead_of, record

BOT = {"type": "bot"}
TOLD = "Kommo's own AI agent or another bot answers people in “Funil de Vendas”"


@pytest.fixture
def lead(account, pipeline):
    """A lead whose agent reports what it says."""
    record(pipeline, name="Maria", message=Message(Direction.OUTBOUND, "w0", text="Olá, sou a assistente"))
    drain(account)
    return lead_of()


def look(account, **later):
    account.refresh_from_db()
    events_feed.look(account, connection.client_for(account), now=timezone.now() + timedelta(**later))
    return list(Trouble.objects.filter(subject="robots").values_list("reason", flat=True))


def robot(kommo, lead, kind="robot_replied", **more):
    kommo.post(f"leads/{lead.card.kommo_lead_id}/robot", {"kind": kind, **more})


def test_a_message_of_a_foreign_bot_is_told_and_pauses_nobody(account, lead):
    assert not hear(account, hook(lead, author=BOT, text="Posso ajudar em algo?")).in_handoff
    assert look(account) == [], "the agent may yet report it as its own"
    assert look(account, minutes=5) == [TOLD]
    [finding] = [
        each_finding
        for each_finding in doctor.examine(timezone.now(), ask_kommo=False)
        if "robot" in each_finding.message
    ]
    assert "refused" not in finding.message and "two answers" in finding.remedy
    assert not Lead.objects.get().in_handoff


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_agents_own_words_shown_by_its_channel_are_no_foreign_bots(account, lead, pipeline, when):
    def report():
        record(pipeline, message=Message(Direction.OUTBOUND, "w1", text="Qual é o valor da sua conta?"))

    if when == "before":
        report()
    hear(account, hook(lead, author=BOT, text="Qual é  o valor da sua conta? "))
    if when == "after":
        report()
    assert look(account, minutes=5) == []


def test_what_our_own_user_sends_by_the_api_is_no_foreign_bots(account, lead):
    hear(account, hook(lead, author={"type": "bot", "user_id": OURS}, text="Posso ajudar?"))
    assert look(account, minutes=5) == []


def test_a_picture_tells_nobodys_words(account, lead):
    hear(account, hook(lead, author=BOT, text=""))
    assert look(account, minutes=5) == []


def test_where_the_agent_reports_nothing_nobody_can_tell_whose_words_they_are(account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    hear(account, hook(lead_of(), author=BOT, text="Posso ajudar?"))
    assert look(account, minutes=5) == []


def test_of_a_bots_words_nothing_is_kept(account, lead):
    hear(account, hook(lead, author=BOT, text="Maria, seu CPF é 1"))
    assert "Maria" not in str(Account.objects.get().traits)
    look(account, minutes=5)
    assert Account.objects.get().traits["bot_messages"] == []


@pytest.mark.parametrize("kind", other_bots_answer.EVENTS)
def test_each_event_of_kommos_robots_betrays_one(account, lead, kommo, kind):
    robot(kommo, lead, kind)
    assert look(account) == [TOLD]


def test_whatever_else_it_does_it_is_told_once(account, lead, kommo, settings):
    settings.ALERT_AFTER_LOOKS, settings.ALERT_GRACE = 1, timedelta(0)
    for kind in (*other_bots_answer.EVENTS, *other_bots_answer.EVENTS):
        robot(kommo, lead, kind)
        hear(account, hook(lead, author=BOT, text=f"Posso ajudar? {kind}"))
        look(account, minutes=5)
        alerts.look(timezone.now())
    assert Alert.objects.filter(message__contains="another robot").count() == 1


def test_it_ends_when_the_robot_has_been_silent_for_a_day(account, lead, kommo):
    robot(kommo, lead)
    assert look(account) == [TOLD]
    assert look(account, hours=12) == [TOLD]
    assert look(account, days=3) == []


def test_a_robot_in_a_pipeline_that_is_not_ours_is_none_of_ours(account, lead, kommo):
    other = kommo.post("leads", {"name": "Outra"})["id"]
    kommo.post(f"leads/{other}/robot", {"kind": "ai_result"})
    assert look(account) == []
