"""A lead's page shows what was said as a messenger shows it: who, when, by which way, what, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge.admin.leads import conversation
from bridge.models import Channel, Outgoing
from leads import erasure
from leads.interaction_values import Direction
from leads.interaction_values import Message as Said
from leads.models import Lead, Message, MessagePart
from tests.conftest import record

ENGLISH = {"accept-language": "en"}
NOON = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture
def lead(pipeline):
    return record(pipeline, name="Maria Souza").lead


def keep_message(lead, text="Oi", *, minutes=0, direction="inbound", state=None, **more):
    """Store a message of a lead's conversation."""
    state = state or ("received" if direction == "inbound" else "sent")
    at = NOON + timedelta(minutes=minutes)
    return Message.objects.create(lead=lead, text=text, direction=direction, state=state, at=at, **more)


def opened(client, lead, query="", language="en"):
    url = reverse("admin:leads_lead_change", args=[lead.pk]) + query
    answer = client.get(url, headers={"accept-language": language})
    assert answer.status_code == 200
    return answer


def talk(client, lead, language="en"):
    """Return the part of the page with the conversation, as text without tags."""
    url = reverse("admin:leads_lead_conversation", args=[lead.pk])
    page = client.get(url, headers={"accept-language": language}).content.decode()
    page = re.sub(r'<span class="material-symbols-outlined"[^>]*>\w+</span>', "", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).strip()


def bubbles(lead, before=""):
    return conversation.page(lead, before=before).bubbles


# --- Who, when, what


def test_whoever_wrote_is_named_as_people_call_them(lead):
    keep_message(lead, "um")
    keep_message(lead, "dois", direction="outbound", minutes=1)
    keep_message(lead, "três", direction="staff", author="Carla", minutes=2)
    keep_message(lead, "quatro", direction="staff", minutes=3)
    keep_message(lead, "cinco", direction="bot", author="SalesBot", minutes=4)
    assert [(bubble.text, bubble.side, bubble.author) for bubble in bubbles(lead)] == [
        ("um", "theirs", "Maria Souza"),
        ("dois", "ours", "the agent"),
        ("três", "ours", "Carla"),
        ("quatro", "ours", "a person"),
        ("cinco", "ours", "another bot (SalesBot)"),
    ]


def test_a_name_is_said_again_only_where_somebody_else_wrote_or_another_day_began(lead):
    for minutes, direction in ((0, "inbound"), (1, "inbound"), (2, "outbound"), (3, "inbound"), (24 * 60, "inbound")):
        keep_message(lead, direction=direction, minutes=minutes)
    assert [bubble.is_first for bubble in bubbles(lead)] == [True, False, True, True, True]


def test_times_and_days_are_those_of_the_pipelines_zone(staff, lead, pipeline):
    keep_message(lead, "de noite", minutes=10 * 60)
    assert "Monday, 2 March 2026" in talk(staff, lead) and "22:00" in talk(staff, lead)
    pipeline.time_zone = "Asia/Tokyo"
    pipeline.save()
    assert "Tuesday, 3 March 2026" in talk(staff, lead) and "10:00" in talk(staff, lead)


def test_media_are_told_in_words_and_not_twice(staff, lead):
    keep_message(lead, "áudio", kind="audio", attachments=[{"kind": "audio", "mime": "audio/ogg", "reference": "x"}])
    keep_message(
        lead, "Minha conta", kind="document", minutes=1, attachments=[{"kind": "document", "name": "conta.pdf"}]
    )
    keep_message(lead, "", kind="location", minutes=2)
    keep_message(lead, "áudio", minutes=3)
    found = [(bubble.text, [file.label for file in bubble.files]) for bubble in bubbles(lead)]
    assert found == [("", ["audio"]), ("Minha conta", ["document: conta.pdf"]), ("", ["location"]), ("áudio", [])]
    assert "áudio" in talk(staff, lead, "pt-br") and "documento: conta.pdf" in talk(staff, lead, "pt-br")


@pytest.mark.parametrize(
    "attachments", [[None], ["x"], [{}], [{"kind": "hologram"}], [{"kind": "image", "name": "<b>"}]]
)
def test_attachments_of_any_shape_break_no_page(staff, lead, attachments):
    keep_message(lead, kind="image", attachments=attachments)
    assert "image" in talk(staff, lead)


def test_what_was_written_is_shown_as_it_was_and_never_run(staff, lead):
    keep_message(lead, "<script>alert(1)</script>\n\n  duas linhas 👋")
    page = opened(staff, lead).content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;\n\n  duas linhas 👋" in page


def test_the_way_is_told_where_it_changes(lead):
    for minutes, channel in enumerate(("zap", "zap", "", "insta", "insta")):
        keep_message(lead, channel=channel, minutes=minutes)
    assert [bubble.channel for bubble in bubbles(lead) if bubble.says_channel] == ["zap", "insta"]


# --- What became of it


@pytest.mark.parametrize(
    ("state", "more", "says"),
    [
        ("queued", {}, "waits to be sent"),
        ("sent", {}, "sent"),
        ("delivered", {}, "delivered"),
        ("delivered", {"read_at": NOON}, "read"),
        ("not_delivered", {"reason": "the number has no WhatsApp"}, "not delivered: the number has no WhatsApp"),
        ("refused", {"reason": "the agent may not reply"}, "refused: the agent may not reply"),
    ],
)
def test_a_message_of_ours_says_what_became_of_it_and_why(staff, lead, state, more, says):
    keep_message(lead, direction="outbound", state=state, **more)
    assert says in talk(staff, lead)


def test_a_message_that_waits_says_what_for_and_by_which_way(staff, lead, pipeline):
    row = keep_message(lead, direction="outbound", state="queued")
    way = Channel.objects.create(kind="evolution", slug="zap", pipeline=pipeline)
    now = timezone.now()
    Outgoing.objects.create(message=row, lead=lead, channel=way, created_at=now, due_at=now, reason="zap rests")
    assert "by zap" in talk(staff, lead) and "waits to be sent: zap rests" in talk(staff, lead)


def test_of_a_text_in_parts_each_part_says_what_became_of_it_where_it_differs(staff, lead):
    row = keep_message(lead, "um dois três", direction="outbound", state="not_delivered", reason="the talk is closed")
    for position, (text, state) in enumerate((("um", "delivered"), ("dois", "unconfirmed"), ("três", "not_delivered"))):
        MessagePart.objects.create(message=row, position=position, text=text, state=state)
    shown = talk(staff, lead)
    assert re.search(r"um delivered dois not confirmed três .*not delivered: the talk is closed", shown)


def test_the_leads_own_messages_have_no_such_mark(lead):
    keep_message(lead)
    assert bubbles(lead)[0].mark is None


# --- Pages


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_pages_leave_nothing_out_and_repeat_nothing(lead, at_once):
    wanted = {keep_message(lead, str(number), minutes=number // at_once).text for number in range(75)}
    seen, key = [], ""
    while True:
        shown = conversation.page(lead, before=key)
        assert shown.bubbles == sorted(shown.bubbles, key=lambda bubble: bubble.at)
        seen = [bubble.text for bubble in shown.bubbles] + seen
        if not (key := shown.older):
            break
    assert set(seen) == wanted and len(seen) == 75


@pytest.mark.parametrize("key", ["nonsense", "~", "2026-03-02T12:00:00~x", "9999-99-99T99:99:99+00:00~x", "%00"])
def test_what_is_no_key_shows_the_newest(staff, lead, key):
    keep_message(lead, "a mais nova")
    assert "a mais nova" in opened(staff, lead, f"?said={key}").content.decode()


def test_an_older_page_stays_what_it_is_and_leads_back(staff, lead):
    for number in range(40):
        keep_message(lead, f"número {number}.", minutes=number)
    newest = opened(staff, lead)
    page = newest.content.decode()
    assert "número 39." in page and "número 9." not in page and "data-live=" in page
    older = opened(staff, lead, f"?said={newest.context['talk'].older.replace('+', '%2B')}").content.decode()
    part = older[older.index('id="conversation"') : older.index('id="facts"')]
    assert "número 9." in part and "número 39." not in part
    assert "data-live=" not in part and "?#conversation" in part


def test_the_conversation_costs_the_same_however_much_was_said(staff, lead, django_assert_num_queries):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            opened(staff, lead)
            talk(staff, lead)
        return len(queries)

    row = keep_message(lead, direction="outbound")
    MessagePart.objects.create(message=row, position=0, text="um", state="sent")
    cost()
    few = cost()
    for number in range(50):
        row = keep_message(lead, direction="outbound", minutes=number, message_id=f"id{number}")
        MessagePart.objects.create(message=row, position=0, text="um", state="sent")
    assert cost() == few
    with django_assert_num_queries(2):
        conversation.page(lead, before="")


# --- Who may look, and what is left of whom


def test_who_may_not_see_leads_sees_no_conversation(client, lead, django_user_model):
    keep_message(lead, "segredo")
    url = reverse("admin:leads_lead_conversation", args=[lead.pk])
    assert client.get(url).status_code == 302
    client.force_login(django_user_model.objects.create_user("v", password="x", is_staff=True))
    assert client.get(url).status_code == 403


def test_of_an_erased_person_it_is_left_that_something_was_said(staff, lead):
    keep_message(lead, "segredo", direction="staff", author="Carla")
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    shown = talk(staff, lead)
    assert "segredo" not in shown and "Carla" not in shown and "erased" in shown


# --- The timeline tells of the same


def test_the_timeline_knows_what_became_of_a_message_meanwhile(staff, pipeline):
    lead = record(pipeline, message=Said(Direction.OUTBOUND, id="abc", text="Bom dia")).lead
    Message.objects.filter(message_id="abc").update(state="not_delivered", reason="no such number", channel="zap")
    page = opened(staff, lead, "?show=conversation").content.decode()
    part = page[page.index('id="timeline"') :]
    assert "Bom dia" in part and "no such number" in part and "by zap" in part


def test_the_timeline_tells_what_was_said_when_the_message_is_kept_no_more(staff, pipeline):
    lead = record(pipeline, message=Said(Direction.INBOUND, id="abc", text="Bom dia")).lead
    Message.objects.all().delete()
    page = opened(staff, lead, "?show=conversation").content.decode()
    assert "Bom dia" in page[page.index('id="timeline"') :]
