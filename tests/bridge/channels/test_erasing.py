"""Of what was said by ways out to somebody who was erased nothing is left, and nothing comes back."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from bridge.erasing_here import UNNAMED, sweep_again
from bridge.intakes import managing_intakes as ways_in
from bridge.intakes import reading_calls
from bridge.models import Channel, IntakeCall, IntakeItem
from followups import signed_calls
from leads import erasure
from leads.interaction_values import Direction, Message
from leads.models import Lead
from leads.models import Message as Row
from tests.bridge.channels.conftest import carry
from tests.bridge.test_erasure import kept_files, left
from tests.conftest import record

__all__ = ["kept_files"]

PHONE, NAME = "+5581977778888", "Zulmira Xavantina"
WORDS = (
    "Zulmira", "Xavantina", "81977778888", "97777-8888", "zulmira@", "abacaxi", "beterraba", "carambola", "damasco",
    "escarola", "framboesa", "goiabada", "hortaverde",
)  # fmt: skip


@pytest.fixture
def zulmira(pipeline):
    message = Message(Direction.INBOUND, id="z-1", text="oi")
    record(pipeline, phone=PHONE, name=NAME, email="zulmira@example.com", message=message)
    return Lead.objects.get(phone=PHONE)


def erase(lead):
    assert erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now())


def say(agent, lead, text, **more):
    answer = agent.post(f"leads/{lead.pk}/messages/", {"text": text, **more}, HTTP_IDEMPOTENCY_KEY=f"say-{text[:9]}")
    assert answer.status_code == 202, answer.content


def refusal(word):
    """What a messenger answers that quotes whom it is about, and what was said."""
    return {"status": 400, "response": {"message": [f"no: {PHONE} (+55 81 97777-8888, {NAME}), “{word}”"]}}


def hear(kind, body):
    path = ways_in.path_of(ways_in.establish(kind, f"in-{kind}", settings={}))
    assert Client().post(path, json.dumps(body), content_type="application/json").status_code == 200
    for _ in range(2):
        reading_calls.read_all()
        before = timezone.now() - timedelta(minutes=5)
        IntakeCall.objects.filter(state=IntakeCall.State.RECEIVED).update(received_at=before, due_at=before)


def echo(text, name, at):
    key = {"remoteJid": "558177778888@s.whatsapp.net", "fromMe": True, "id": name}
    data = {"key": key, "message": {"conversation": text}, "messageTimestamp": int(at.timestamp())}
    return {"event": "send.message", "data": data}


def status(name, at, word):
    errors = [{"code": 1, "title": word}]
    reported = {"id": name, "status": "failed", "timestamp": str(int(at.timestamp())), "errors": errors}
    return {"entry": [{"changes": [{"value": {"statuses": [reported]}}]}]}


def test_nothing_is_left_of_what_was_said_by_ways_out(zulmira, agent, way, messengers, kept_files):
    for kind in ("evolution", "chatwoot", "waha", "zapi", "whatsapp_cloud"):
        way(kind)
    say(agent, zulmira, "abacaxi", channel="evolution")
    carry()
    hear("evolution", echo("abacaxi", "EVO1", timezone.now()))
    messengers.fail(400, refusal("beterraba"))
    say(agent, zulmira, "beterraba", channel="zapi")
    carry()
    messengers.fail(400, refusal("carambola"))
    # Another way takes it.
    say(agent, zulmira, "carambola")
    carry()
    messengers.lose()
    say(agent, zulmira, "damasco", channel="waha")
    carry()
    say(agent, zulmira, "framboesa", channel="whatsapp-cloud")
    carry()
    by_cloud = Row.objects.get(text="framboesa").parts.get().their_id
    messengers.fail(401, refusal("escarola"))
    say(agent, zulmira, "escarola " * 900, channel="whatsapp-cloud")
    carry()
    # Waits when she goes.
    say(agent, zulmira, "goiabada", channel="whatsapp-cloud")
    assert {word for _, word in left(WORDS)} == {word.casefold() for word in WORDS} - {"hortaverde"}

    at = timezone.now()
    erase(zulmira)
    assert left(WORDS) == []
    assert set(Channel.objects.exclude(failure="").values_list("failure", flat=True)) == {UNNAMED}

    carry(seconds=600)
    hear("evolution", echo("abacaxi", "EVO1", at - timedelta(minutes=1)))
    update = {"keyId": "EVO1", "remoteJid": "558177778888@s.whatsapp.net", "status": "READ", "name": "hortaverde"}
    hear("evolution", {"event": "messages.update", "data": update})
    hear("whatsapp_cloud", status(by_cloud, at, "hortaverde"))
    assert left(WORDS) == []
    assert [item.result for item in IntakeItem.objects.order_by("-pk")[:3]] == ["forgotten"] * 3


ANSWERS = {
    "taken": (201, {"key": {"id": "Zulmira"}}),
    "refused": (400, refusal("carambola")),
    "the key is refused": (401, refusal("carambola")),
    "too many": (429, refusal("carambola")),
    "stumbled": (500, refusal("carambola")),
    "lost": (502, refusal("carambola")),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("others", [(), ("chatwoot",)], ids=["one way", "two"])
def test_who_is_erased_while_a_message_leaves_is_not_kept_by_its_answer(
    zulmira, agent, way, messengers, monkeypatch, kept_files, answer, others
):
    for kind in ("evolution", *others):
        way(kind)
    honest = signed_calls.send

    def meanwhile(*args, **kwargs):
        messengers.fail(*answer)
        if not Lead.objects.get(pk=zulmira.pk).erased_at:
            erase(zulmira)
        return honest(*args, **kwargs)

    monkeypatch.setattr(signed_calls, "send", meanwhile)
    say(agent, zulmira, "carambola")
    carry()
    assert left(WORDS) == []
    carry(seconds=90)
    sweep_again(now=timezone.now())
    assert left(WORDS) == []


def test_why_a_way_failed_names_nobody_to_others(zulmira, pipeline, agent, way, messengers):
    way("evolution")
    messengers.fail(401, refusal("carambola"))
    say(agent, zulmira, "abacaxi")
    carry()
    assert Channel.objects.get().rests_until
    record(pipeline, phone="+5581966665555", message=Message(Direction.INBOUND, id="o-1", text="oi"))
    other = Lead.objects.get(phone="+5581966665555")
    say(agent, other, "beterraba")
    carry()
    [row] = Row.objects.filter(lead=other, direction="outbound")
    assert "Evolution answered 401" in row.reason
    assert "97777" not in row.reason and "carambola" not in row.reason
