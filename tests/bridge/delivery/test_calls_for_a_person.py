"""A lead who speaks where no rule leads on is shown where staff work: on the card, and on the overview."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import alerts, roles
from bridge.delivery import calls_for_a_person
from bridge.models import Briefing
from leads import handoff, stage_moves
from leads.farewells import MAY_ASK_TO_STOP
from leads.interaction_values import Direction, Message
from leads.interaction_values import Meeting as Booked
from leads.models import Lead, Stage
from tests.bridge.admin.people import client_of
from tests.bridge.delivery.test_handoff_notes import notes_and_tasks
from tests.conftest import drain, lead_of, record

NOW = timezone.now()
WANTS_TO_CLOSE = Message(Direction.INBOUND, text="Quero fechar agora")


@pytest.fixture
def seller(db):
    return client_of(roles.SELLER)


def standing(pipeline, account, key: str):
    record(pipeline, name="Maria")
    drain(account)
    stage_moves.move(lead_of(), Stage.objects.get(pipeline=pipeline, key=key), by=Lead.Actor.STAFF, reason="x", now=NOW)
    drain(account)
    return lead_of()


@pytest.mark.parametrize("key", ["won", "lost", "disqualified"])
def test_who_writes_from_where_it_is_over_is_a_note_and_a_task_once_a_day(account, pipeline, kommo, key):
    lead = standing(pipeline, account, key)

    record(pipeline, message=WANTS_TO_CLOSE)
    record(pipeline, message=Message(Direction.INBOUND, text="Alô?"))
    drain(account)

    notes, tasks = notes_and_tasks(kommo, lead)
    [note], [task] = notes, tasks
    assert "Quero fechar agora" in note
    assert "o lead escreveu" in note
    assert "o lead escreveu" in task["text"]


def test_who_only_books_from_there_is_called_for_as_well(account, pipeline, kommo):
    lead = standing(pipeline, account, "lost")

    record(pipeline, context={"meeting": Booked("scheduled", "evt", NOW + timedelta(days=2))})
    drain(account)

    assert Briefing.objects.get(card=lead.card).call.startswith("the lead booked a meeting from")


def test_during_a_handoff_a_new_message_calls_again_the_next_day_and_not_the_same(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    handoff.pause(lead_of(), source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="x", now=NOW)
    record(pipeline, message=WANTS_TO_CLOSE)
    assert Briefing.objects.count() == 1
    Briefing.objects.update(since=NOW - timedelta(days=2))

    record(pipeline, message=WANTS_TO_CLOSE)

    assert [briefing.call for briefing in Briefing.objects.order_by("since")] == [
        "",
        "the lead wrote while a person has taken over",
    ]


def looks(count: int, start) -> None:
    for minute in range(count):
        alerts.look(start + timedelta(minutes=minute))


def test_a_pipeline_that_wants_it_alerts_staff_of_each_call_until_it_is_answered(
    account, pipeline, kommo, settings, monkeypatch, mailoutbox
):
    settings.ALERT_EMAILS = ["staff@example.com"]
    monkeypatch.setattr(alerts, "examine", lambda now, ask_kommo: [])
    standing(pipeline, account, "lost")
    record(pipeline, message=WANTS_TO_CLOSE)
    looks(8, timezone.now())
    assert mailoutbox == []

    pipeline.alert_on_calls = True
    pipeline.save(update_fields=["alert_on_calls"])
    looks(8, timezone.now())
    [mail] = mailoutbox
    assert "the lead wrote from PERDIDO" in mail.subject
    assert "Maria" not in mail.subject + mail.body
    assert "99999" not in mail.subject + mail.body

    record(pipeline, message=Message(Direction.STAFF, text="Já te ligo"))
    looks(4, timezone.now() + timedelta(minutes=9))
    assert mailoutbox[1].subject.startswith("[Kommo bridge] over: the lead wrote from")


def test_a_second_lead_who_calls_is_a_second_alert(account, pipeline, settings, monkeypatch, mailoutbox):
    settings.ALERT_EMAILS = ["staff@example.com"]
    monkeypatch.setattr(alerts, "examine", lambda now, ask_kommo: [])
    pipeline.alert_on_calls = True
    pipeline.save(update_fields=["alert_on_calls"])
    for phone in ("+5581999990001", "+5581999990002"):
        record(pipeline, phone=phone)
        lead = lead_of(phone)
        stage_moves.move(
            lead, Stage.objects.get(pipeline=pipeline, key="won"), by=Lead.Actor.STAFF, reason="x", now=NOW
        )
        record(pipeline, phone=phone, message=WANTS_TO_CLOSE)

    looks(8, timezone.now())

    assert len(mailoutbox) == 2


def test_the_overview_says_who_spoke_and_what_until_somebody_has_answered(account, pipeline, kommo):
    standing(pipeline, account, "lost")
    record(pipeline, message=WANTS_TO_CLOSE)
    page = client_of(roles.SELLER).get("/admin/").content.decode()
    assert "Quero fechar agora" in page

    record(pipeline, message=Message(Direction.STAFF, text="Já te ligo"))

    assert not calls_for_a_person.open_calls(now=timezone.now()).exists()


NO_MORE = Message(Direction.INBOUND, text="não quero mais, parar")


def test_who_may_have_asked_for_no_more_messages_is_a_note_and_a_task(account, pipeline, kommo):
    record(pipeline, name="Maria")
    drain(account)
    record(pipeline, message=NO_MORE)
    drain(account)

    [note], [task] = notes_and_tasks(kommo, lead_of())
    assert "não quero mais, parar" in note
    assert "o lead pode ter pedido para não receber mais mensagens" in task["text"]
    assert lead_of().opted_out_at is None, "a person decides"


def test_a_person_says_on_the_overview_that_they_did_and_may_take_it_back(account, pipeline, kommo, seller):
    record(pipeline, name="Maria")
    drain(account)
    record(pipeline, message=NO_MORE)
    [asked] = seller.get("/admin/").context["goodbyes"]
    assert (asked.card.lead.name, asked.wrote) == ("Maria", "não quero mais, parar")
    assert seller.get("/admin/").context["calls"] == []

    done = seller.post("/admin/overview/opt-out/", {"lead": asked.card.lead_id}, follow=True)

    assert lead_of().opted_out_at
    assert done.context["goodbyes"] == []
    assert "kb-undo" in done.content.decode()


def test_a_person_says_that_they_did_not_and_is_asked_anew_by_another_sentence(account, pipeline, kommo, seller):
    record(pipeline, name="Maria")
    drain(account)
    record(pipeline, message=NO_MORE)
    done = seller.post("/admin/overview/did-not-ask/", {"lead": lead_of().pk}, follow=True)
    assert done.context["goodbyes"] == []
    assert lead_of().opted_out_at is None

    Briefing.objects.update(since=NOW - timedelta(days=2))
    record(pipeline, message=Message(Direction.INBOUND, text="me tira da lista"))
    assert len(seller.get("/admin/").context["goodbyes"]) == 1


def test_nobody_is_asked_about_whom_a_person_has_who_opted_out_or_who_used_the_word_itself(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    handoff.pause(lead_of(), source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="x", now=NOW)
    record(pipeline, message=NO_MORE)
    other = "+5581999990001"
    record(pipeline, other, message=Message(Direction.INBOUND, text="Parar"))
    record(pipeline, other, message=NO_MORE)
    assert not Briefing.objects.filter(call=MAY_ASK_TO_STOP).exists()


def test_another_call_of_that_day_does_not_hide_it(account, pipeline, kommo):
    standing(pipeline, account, "lost")
    record(pipeline, message=WANTS_TO_CLOSE)
    record(pipeline, message=NO_MORE)
    record(pipeline, message=NO_MORE)
    calls = list(Briefing.objects.exclude(call="").order_by("since").values_list("call", flat=True))
    assert calls[1:] == [MAY_ASK_TO_STOP]


def test_somebody_who_may_only_look_sees_it_and_has_no_button(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    record(pipeline, message=NO_MORE)
    page = client_of(roles.READER).get("/admin/")
    assert "May have asked for no more messages" in page.content.decode()
    assert "did-not-ask" not in page.content.decode()
    assert client_of(roles.READER).post("/admin/overview/opt-out/", {"lead": lead_of().pk}).status_code == 403
    assert lead_of().opted_out_at is None
