"""Received is not processed: every body is stored, read once, kept with the cause that stopped it, and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import DatabaseError
from django.http import UnreadablePostError
from django.test import Client
from django.utils import timezone

from bridge import inbox_rounds
from bridge.configuration.connecting import destination_for
from bridge.inbound import adoption
from bridge.models import Card, WebhookEvent, WebhookItem
from bridge.webhooks import inbox, reading_webhooks, views
from bridge.webhooks.reading_webhooks import process_inbox
from tests.conftest import drain, lead_of, record
from tests.heard import NEW, QUALIFIED, carded, hear, hook

BODIES = sorted((Path(__file__).parent / "bodies").glob("*.txt"))
FORM = "application/x-www-form-urlencoded"
Cause, State = WebhookEvent.Cause, WebhookEvent.State


def path_of(account):
    return destination_for(account, "http://x").removeprefix("http://x")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.stem)
def test_every_body_kommo_sends_is_stored_and_read(account, body):
    # Whose account they came from is none of their secrets: a body is checked only when it says so.
    account.kommo_account_id = None
    account.save(update_fields=["kommo_account_id"])
    hear(account, body.read_text())
    event = WebhookEvent.objects.get()
    assert (event.state, event.error) == (State.PROCESSED, "")
    assert bytes(event.body) == body.read_bytes()
    assert event.items.count() == 1


def test_a_name_with_a_nul_is_stored_and_read(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    hear(account, f"leads[update][0][id]={kommo_id}&leads[update][0][name]=a%00b&leads[up%00date][1][id]=7")
    assert WebhookEvent.objects.latest("id").state == State.PROCESSED


@pytest.mark.parametrize("error", [DatabaseError, UnreadablePostError])
def test_what_could_not_be_stored_is_asked_for_again(account, monkeypatch, error):
    def fail(*_):
        raise error("away")

    monkeypatch.setattr(views, "_store", fail)
    answer = Client().post(path_of(account), "leads[update][0][id]=1", content_type=FORM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_one_item_that_cannot_be_processed_costs_no_other_and_is_processed_again_by_its_cause(
    account, pipeline, kommo, monkeypatch
):
    good = carded(account, pipeline)
    record(pipeline, "+5581988880000")
    drain(account)
    bad = Card.objects.get(lead__phone="+5581988880000").kommo_lead_id
    for kommo_id in (good, bad):
        kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    adopt = adoption.adopt

    def fails_for_one(card_id, reply, *rest, **named):
        if reply.id == bad:
            raise ValueError("nobody thought of this")
        return adopt(card_id, reply, *rest, **named)

    monkeypatch.setattr(adoption, "adopt", fails_for_one)
    body = "&".join(
        f"leads[status][{n}][{key}]={value}"
        for n, kommo_id in enumerate((bad, good))
        for key, value in (("id", kommo_id), ("status_id", QUALIFIED), ("pipeline_id", 11672895))
    )
    hear(account, body)

    assert lead_of().stage.key == "qualified"
    event = WebhookEvent.objects.latest("id")
    assert (event.state, event.cause) == (State.FAILED, Cause.ITEM_FAILED)
    results = dict(event.items.values_list("kommo_id", "result"))
    assert results == {bad: WebhookItem.Result.FAILED, good: WebhookItem.Result.ADOPTED}
    assert "nobody thought of this" in event.items.get(kommo_id=bad).error

    monkeypatch.setattr(adoption, "adopt", adopt)
    assert inbox.reprocess([event]) == 1
    process_inbox(account.pk)

    assert lead_of("+5581988880000").stage.key == "qualified"
    event.refresh_from_db()
    assert (event.state, event.cause, event.error) == (State.PROCESSED, "", "")
    assert not WebhookItem.objects.filter(result=WebhookItem.Result.FAILED).exists()


def test_a_body_that_kills_its_worker_is_parked_alone(account, pipeline, monkeypatch):
    for number in range(30):
        WebhookEvent.objects.create(
            account=account,
            received_at=timezone.now(),
            body=b"deadly" if number == 17 else b"message[add][0][id]=1",
        )
    parse = reading_webhooks.parsing.parse

    class Killed(BaseException):
        pass

    def parse_or_die(body):
        if body == b"deadly":
            raise Killed
        return parse(body)

    monkeypatch.setattr(reading_webhooks.parsing, "parse", parse_or_die)
    for _ in range(12):
        try:
            process_inbox(account.pk)
        except Killed:
            continue
        break

    states = list(WebhookEvent.objects.order_by("id").values_list("state", "cause"))
    assert states.pop(17) == (State.FAILED, Cause.PARKED)
    assert set(states) == {(State.PROCESSED, "")}


def test_a_round_takes_no_more_bytes_than_it_can_hold(account, monkeypatch):
    monkeypatch.setattr(inbox_rounds, "BYTES_PER_ROUND", 250)
    for _ in range(4):
        WebhookEvent.objects.create(account=account, received_at=timezone.now(), body=b"x" * 100)
    assert [len(inbox.take(account)) for _ in range(1)] == [2]


def test_leads_of_other_pipelines_cost_no_call(account, pipeline, kommo):
    calls = len(kommo.journal())
    hear(account, hook(424242, "update", pipeline_id=99, status_id=NEW))
    assert len(kommo.journal()) == calls
    assert WebhookItem.objects.get().result == WebhookItem.Result.IGNORED


def test_many_changed_leads_are_read_back_in_one_call(account, pipeline, kommo):
    for number in range(40):
        record(pipeline, f"+5581977{number:06d}")
    drain(account)
    ids = list(Card.objects.values_list("kommo_lead_id", flat=True))
    calls = len(kommo.answered())
    hear(account, *(hook(kommo_id, "update") for kommo_id in ids))
    assert len(kommo.answered()) == calls + 1


def test_many_newborn_leads_cost_one_call_more_for_their_contacts(account, pipeline, kommo):
    made = [
        kommo.post("leads", {"name": f"Lead {n}", "phone": f"+5581966{n:06d}", "status_id": QUALIFIED})
        for n in range(12)
    ]
    calls = len(kommo.answered())
    hear(account, *(hook(created.get("id") or created["lead"]["id"], "add", pipeline_id=11672895) for created in made))
    assert len(kommo.answered()) == calls + 2
    assert Card.objects.count() == 12
