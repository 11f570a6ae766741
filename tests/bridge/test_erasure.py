"""A whole life with words that stand nowhere else, an erasure, and a while of living on: no such word is left.

Looked through by introspection, so that a table or column of tomorrow is looked through as well.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import re
import tempfile
import zlib
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from urllib.parse import quote_plus, unquote_plus

import pytest
import redis
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.cache import cache
from django.db import connection, models
from django.db.utils import ConnectionHandler
from django.test import Client
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import Task
from django_q.tasks import async_task

from bridge import erasing_here, logs, tasks
from bridge.accounts import connection as connections
from bridge.admin.leads.undo_on_lead import SALT
from bridge.api import api_keys
from bridge.cards import ledger, nudge
from bridge.configuration.account_from_environment import hash_secret
from bridge.configuration.connecting import destination_for
from bridge.delivery import contacts
from bridge.erasing_here import MESSAGES, sweep_again
from bridge.inbound import chat_replies, reconciliation
from bridge.intakes import managing_intakes, reading_calls
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import EventReply
from bridge.models import (
    Account,
    AgentEvent,
    Alert,
    ApiKey,
    Card,
    Delivery,
    Drift,
    Forgetting,
    IdempotencyRecord,
    Intake,
    IntakeCall,
    SavedView,
    Trouble,
    UnreadLead,
    WebhookEvent,
    WebhookItem,
)
from bridge.webhooks import erased_from_webhooks, parsing
from bridge.webhooks.reading_webhooks import process_inbox
from followups import attempt_outcomes, claiming, dispatch
from followups.channels import Outcome, Result
from followups.models import Attempt, Enrollment
from leads import address_owners, erasure, handoff, joining, optout, pseudonyms
from leads.addresses import parse as parse_address
from leads.interaction_values import Direction, Message
from leads.models import Event, Forgotten, JoinedLead, Lead, OptOut, Pipeline, ProbablySame, Stage
from leads.phone import parse
from tests.conftest import MARIA, drain, lead_of, record, rested
from tests.saying import saying

PHONE, DIGITS = "+5581977778888", "81977778888"
NAME = "Zulmira Xavantina"
WORDS = (
    "Zulmira", "Xavantina", DIGITS, "zulmira@", "pedraroxa", "cobrecinza", "luaverde", "ventoazul", "riodourado",
    "folhabranca", "nuvemrubra", "trigomole", "areiafina", "barropreto", "cinzaclara", "ferrovivo", "gelomorno",
    "limavelha", "mangaoca", "neveduna", "ouroturvo", "palhasolta", "rochamansa", "sinorouco", "valetorto",
    "97777-8888", "zincofosco", "brisalenta", "caldoralo", "dunaparda", "fogobrando", "galhoseco", "hastefina",
    "ilhaverde", "jarrocheio", "lagoarasa", "moinhovelho", "ninhoalto", "ondamansa", "pinhoseco", "quintaldofundo",
    "redefria", "seivabruta", "telhatorta", "uvapassa", "104729384756099", "zulmira.insta",
)  # fmt: skip
WARNED = 7


class Agent:
    def __init__(self):
        self.client, self.key = Client(), api_keys.issue(ApiKey(name="erasure"))

    def post(self, path, body, **headers):
        headers = {"HTTP_AUTHORIZATION": f"Api-Key {self.key}", **headers}
        return self.client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", **headers)

    def delete(self, path):
        return self.client.delete(f"/api/v1/{path}", HTTP_AUTHORIZATION=f"Api-Key {self.key}")

    def get(self, path):
        return self.client.get(f"/api/v1/{path}", HTTP_AUTHORIZATION=f"Api-Key {self.key}")


@pytest.fixture
def agent(pipeline):
    cache.clear()
    return Agent()


# What the cache and the queue of these tests are called there.
IN_REDIS = f"erasure-{os.getpid()}"
# Where a test lets temporary, static and uploaded files and the log be written.
FOLDERS: list[Path] = []


def everything():
    """Yield (where, text) of all that is kept anywhere: every value of the database, the cache, the log, files."""
    yield from in_the_database()
    yield from ((f"cache {key}", in_clear(value)) for key, value in kept_by_cache().items())
    for folder in FOLDERS:
        yield from ((f"file {file}", in_clear(file.read_bytes())) for file in folder.rglob("*") if file.is_file())


def kept_by_cache():
    if not (url := os.environ.get("TEST_REDIS_URL")):
        return {key: pickle.loads(value) for key, value in cache._cache.items()}
    with redis.Redis.from_url(url) as server:
        names = list(server.scan_iter(f"*{IN_REDIS}*"))
        return {
            name: server.get(name) if server.type(name) == b"string" else server.lrange(name, 0, -1) for name in names
        }


def in_the_database():
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    yield f"{table}.{column}", in_clear(value)


def in_clear(value):
    """Return a value's text in every form it may be written in: as it stands, of a form, of JSON, packed and signed."""
    if isinstance(value, (bytes, memoryview)):
        value = bytes(value).decode("utf-8", errors="replace")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    escaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return "\n".join({text, unquote_plus(text), escaped, *unpacked(text)})


def unpacked(text):
    """Yield what sessions, messages of the queue and results of jobs hold: base64, and perhaps compressed."""
    for part in re.findall(r"[\w+/=-]{16,}", text):
        packed = part.lstrip(".").replace("-", "+").replace("_", "/")
        with suppress(ValueError):
            raw = base64.b64decode(packed + "=" * (-len(packed) % 4))
            yield raw.decode("utf-8", errors="replace")
            with suppress(zlib.error):
                yield zlib.decompress(raw).decode("utf-8", errors="replace")


def left(words=WORDS):
    """Return (where, word) of each of these words that stands anywhere."""
    wanted = [word.casefold() for word in words]
    found = set()
    for where, text in everything():
        folded = text.casefold()
        found |= {(where, word) for word in wanted if word in folded}
    return sorted(found)


def form(**pairs):
    return "&".join(f"{name}={quote_plus(str(value))}" for name, value in pairs.items())


def hook_of_lead(kommo_id, name, action="update", pipeline_id=11672895):
    at = f"leads[{action}][0]"
    return form(**{f"{at}[id]": kommo_id, f"{at}[name]": name, f"{at}[pipeline_id]": pipeline_id})


def hook_of_contact(contact_id, name, phone=PHONE, action="update"):
    at = f"contacts[{action}][0]"
    return form(
        **{
            f"{at}[id]": contact_id, f"{at}[name]": name, f"{at}[type]": "contact",
            f"{at}[custom_fields][0][id]": 1, f"{at}[custom_fields][0][code]": "PHONE",
            f"{at}[custom_fields][0][values][0][value]": phone,
        }
    )  # fmt: skip


def hook_of_message(lead_id, contact_id, text):
    at = "message[add][0]"
    return form(
        **{
            f"{at}[id]": "a1b2", f"{at}[text]": text, f"{at}[entity_id]": lead_id, f"{at}[entity_type]": "lead",
            f"{at}[contact_id]": contact_id, f"{at}[author][name]": NAME,
        }
    )  # fmt: skip


def hook_of_outgoing_message(lead_id, contact_id, text):
    at = "outgoing_message[add][0]"
    return form(
        **{
            f"{at}[id]": "c3d4", f"{at}[text]": text, f"{at}[element_id]": lead_id, f"{at}[element_type]": 2,
            f"{at}[contact_id]": contact_id, f"{at}[recipient][name]": NAME, f"{at}[recipient][phone]": PHONE,
        }
    )  # fmt: skip


def hook_of_talk(lead_id, contact_id, text):
    at = "talk[update][0]"
    talk = {"talk_id": 5, "contact_id": contact_id, "entity_id": lead_id, "entity_type": "lead", "origin": text}
    return form(**{f"{at}[{key}]": value for key, value in talk.items()})


def hook_of_task(lead_id, text):
    at = "task[add][0]"
    return form(**{f"{at}[id]": 77, f"{at}[element_id]": lead_id, f"{at}[element_type]": 2, f"{at}[text]": text})


def hook_of_newcomer(text):
    at = "unsorted[add][0]"
    return form(
        **{
            f"{at}[uid]": "e5f6", f"{at}[category]": "forms", f"{at}[data][contacts][0][name]": NAME,
            f"{at}[data][contacts][0][phone]": "+55 (81) 97777-8888", f"{at}[source_data][text]": text,
        }
    )  # fmt: skip


def hook_of_note(lead_id, text):
    at = "leads[note][0][note]"
    return form(**{f"{at}[element_id]": lead_id, f"{at}[element_type]": 2, f"{at}[text]": text})


def post_hooks(account, *bodies):
    path = destination_for(account, "http://x").removeprefix("http://x")
    for body in bodies:
        assert Client().post(path, body, content_type="application/x-www-form-urlencoded").status_code == 200


def report(number, *, direction="inbound", text="", at=None, **lead):
    return {
        "lead": {"phone": PHONE, **lead},
        "message": {
            "id": f"wamid.{DIGITS}.{number}",
            "direction": direction,
            "text": text,
            "sent_at": (at or timezone.now()).isoformat(),
        },
    }


@pytest.fixture
def b2b(pipeline):
    other = Pipeline.objects.create(slug="b2b", name="B2B")
    Stage.objects.create(pipeline=other, key="new", name="NOVO", rank=1)
    return other


# For every test here: `everything` looks through all that lies in the folder of temporary files.
@pytest.fixture(autouse=True)
def kept_files(tmp_path, monkeypatch, settings):
    """Keep every file in a folder of our own, and beside them the log, whole and as production writes it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.STATIC_ROOT, settings.MEDIA_ROOT = str(tmp_path / "static"), str(tmp_path / "media")
    if url := os.environ.get("TEST_REDIS_URL"):
        settings.REDIS_URL = url
        at_redis = {"BACKEND": "bridge.redis_clients.Cache", "LOCATION": url, "KEY_PREFIX": IN_REDIS}
        settings.CACHES = {"default": at_redis}
        monkeypatch.setattr(Conf, "BROKER_CLASS", "bridge.redis_clients.Broker")
        monkeypatch.setattr(Conf, "CLUSTER_NAME", IN_REDIS)
    FOLDERS.append(tmp_path)
    root, level = logging.getLogger(), logging.getLogger().level
    handler = logging.FileHandler(tmp_path / "bridge.log")
    handler.setFormatter(logs.formatter("json"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield tmp_path
    FOLDERS.clear()
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


JID, LID = "558177778888@s.whatsapp.net", "104729384756099@lid"


def heard(number, at, text="", **changes):
    """A message of hers as her messenger tells it."""
    call = {
        "event": "messages.upsert",
        "data": {
            "key": {"remoteJid": JID, "remoteJidAlt": LID, "fromMe": False, "id": f"3AZU{number:08d}"},
            "pushName": NAME, "message": {"conversation": text}, "messageTimestamp": int(at.timestamp()),
        },
    }  # fmt: skip
    call["data"] |= changes
    return call


def from_the_phone(number, at, text):
    key = {"remoteJid": LID, "remoteJidAlt": JID, "fromMe": True, "id": f"3AZU{number:08d}"}
    return heard(number, at, text, key=key, pushName="Ana", source="ios")


def with_a_file(number, at):
    file = {"caption": "jarrocheio", "fileName": "lagoarasa.pdf", "url": "https://mmg.example/moinhovelho"}
    return heard(number, at, message={"documentMessage": file}, messageType="documentMessage")


def receipt(number, status="READ"):
    return {"event": "messages.update", "data": {"keyId": f"3AZU{number:08d}", "remoteJid": JID, "status": status}}


def gathered(at, text):
    """A message of somebody else's, and a receipt of hers."""
    message = {"from": "5511955554444", "id": f"wamid.{text}", "timestamp": str(int(at.timestamp())), "type": "text"}
    read = {"id": "wamid.nobodys", "status": "read", "timestamp": message["timestamp"], "recipient_id": JID[:12]}
    values = [{"messages": [message | {"text": {"body": "oi"}}]}, {"statuses": [read]}]
    return {"entry": [{"changes": [{"value": value} for value in values]}]}


def booked(event, at, uid="redefria", **payload):
    return {
        "triggerEvent": event, "createdAt": at.isoformat(),
        "payload": {
            "uid": uid, "title": "seivabruta", "status": "ACCEPTED",
            "startTime": (at + timedelta(days=5)).isoformat(), "additionalNotes": "telhatorta",
            "attendees": [{"name": NAME, "email": "zulmira@example.com", "phoneNumber": PHONE}],
            "metadata": {"videoCallUrl": "https://meet.example/uvapassa"}, **payload,
        },
    }  # fmt: skip


def in_chatwoot(at):
    """What she wrote on Instagram, by the same number."""
    sender = {"type": "contact", "name": NAME, "phone_number": PHONE, "identifier": "zulmira.insta"}
    return {
        "event": "message_created", "message_type": "incoming", "id": 77, "content": "ninhoalto", "sender": sender,
        "created_at": int(at.timestamp()),
        "conversation": {"channel": "Channel::Instagram", "meta": {"sender": sender},
                         "contact_inbox": {"source_id": "zulmira.insta"}},
    }  # fmt: skip


def ways_in():
    return {
        kind: managing_intakes.establish(kind, kind, settings={})
        for kind in ("evolution", "calcom", "chatwoot", "whatsapp_cloud")
    }


def call_ways(*calls):
    for kind, body in calls:
        path = managing_intakes.path_of(Intake.objects.get(slug=kind))
        raw = body if isinstance(body, str) else json.dumps(body)
        assert Client().post(path, raw, content_type="application/json").status_code == 200


def heard_by_ways_in(at):
    """All that messengers and calendars tell of her, each with a word of its own."""
    return [
        ("evolution", heard(1, at, "ilhaverde")),
        ("evolution", with_a_file(2, at)),
        ("evolution", from_the_phone(3, at, "ondamansa")),
        ("evolution", receipt(3)),
        ("evolution", receipt(99)),
        ("evolution", {"event": "presence.update", "data": {"id": LID, "name": NAME}}),
        ("evolution", {"event": "contacts.update", "data": [{"remoteJid": JID, "pushName": "pinhoseco"}]}),
        ("evolution", f"this is no JSON: {PHONE}, quintaldofundo"),
        ("whatsapp_cloud", gathered(at, "first")),
        ("chatwoot", in_chatwoot(at)),
        ("calcom", booked("BOOKING_CREATED", at)),
        ("calcom", booked("BOOKING_RESCHEDULED", at, uid="redefria-2", rescheduleUid="redefria")),
        ("calcom", booked("BOOKING_CANCELLED", at, uid="redefria-nobodys")),
    ]


def read_ways():
    """Let the worker read what ways in have told, and look again at what it has waited for."""
    reading_calls.read_all()
    before = timezone.now() - timedelta(minutes=5)
    IntakeCall.objects.update(received_at=before, due_at=before)
    reading_calls.read_all()
    assert not IntakeCall.objects.filter(state=IntakeCall.State.RECEIVED).exists()


@pytest.fixture
def life(account, pipeline, b2b, kommo, agent, staff, settings, kept_files):
    """Zulmira's life with us: everything that is ever kept of somebody, each with a word of its own."""
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    reports = [
        report(1, text="oi, pedraroxa", name=NAME, email="zulmira@example.com", custom={"quintal": "cobrecinza"}),
        report(2, direction="outbound", text="luaverde", chosen_flow="Aluguel de Lote"),
    ]
    for body in reports:
        assert agent.post("interactions/", body).status_code in (200, 201)
    more = report(3, text="ventoazul")
    more["context"] = {
        "conversation_stage": "riodourado", "objections_raised": ["folhabranca"],
        "meeting": {"id": "nuvemrubra", "status": "scheduled", "link": "https://meet.example/trigomole",
                    "starts_at": (timezone.now() + timedelta(days=3)).isoformat()},
    }  # fmt: skip
    assert agent.post("interactions/batch/", [more], HTTP_IDEMPOTENCY_KEY="areiafina").status_code == 207
    assert agent.post("interactions/", report(4, text="b2b") | {"pipeline": "b2b"}).status_code == 201
    drain(account)
    lead = Lead.objects.select_related("card").get(pipeline=pipeline)
    kommo_id, contact_id = lead.card.kommo_lead_id, lead.card.kommo_contact_id
    assert kommo_id and contact_id
    # Staff, in Kommo and here.
    kommo.post(f"leads/{kommo_id}/edit", {"name": f"{NAME} barropreto"})
    post_hooks(
        account,
        hook_of_lead(kommo_id, f"{NAME} barropreto"),
        hook_of_contact(contact_id, f"{NAME} cinzaclara"),
        hook_of_message(kommo_id, contact_id, "ferrovivo"),
        hook_of_note(kommo_id, "gelomorno"),
        # One body about her and about somebody else.
        hook_of_lead(kommo_id, NAME) + "&" + hook_of_contact(999, "Outra Pessoa", "+5511955554444", "add"),
        hook_of_outgoing_message(kommo_id, contact_id, "valetorto"),
        hook_of_talk(kommo_id, contact_id, "zincofosco"),
        hook_of_task(kommo_id, "brisalenta"),
        hook_of_newcomer("caldoralo"),
        # One that nobody can read.
        f"zzz[{NAME}]",
    )
    process_inbox(account.pk)
    # Unread when she goes.
    post_hooks(account, hook_of_lead(kommo_id, f"{NAME} limavelha"))
    agent.post(f"leads/{lead.pk}/handoff/", {"reason": "mangaoca"})
    drain(account)
    agent.delete(f"leads/{lead.pk}/handoff/")
    agent.post("interactions/", report(5, direction="outbound", text="neveduna"))
    agent.post("interactions/", report(9, direction="staff", text="dunaparda"))
    agent.post(
        "interactions/batch/?history=true", [report(10, text="fogobrando", at=timezone.now() - timedelta(days=9))]
    )
    Enrollment.objects.filter(lead=lead).update(next_reason="ouroturvo")
    for enrollment in Enrollment.objects.filter(lead=lead):
        now = timezone.now()
        texts = {"text": "palhasolta", "reason": NAME}
        Attempt.objects.create(enrollment=enrollment, step=9, due_at=now, created_at=now, **texts)
    Card.objects.filter(lead=lead).update(last_error=f"{NAME}: rochamansa", in_doubt={"name": NAME})
    Delivery.objects.filter(card__lead=lead).update(error=f"{NAME} refused", correlation_id="rochamansa")
    AgentEvent.objects.filter(lead=lead).update(error="sinorouco", state="dead", tries=[{"error": "sinorouco"}])
    Drift.objects.create(card=lead.card, subject="name", theirs=NAME, found_at=timezone.now(), found_by="poll")
    WebhookItem.objects.filter(kommo_id=kommo_id).update(error=f"ValueError: {NAME}")
    # Waiting to be told when she goes; and what alarms and jobs quote.
    texts = {"text": "galhoseco", "at": timezone.now().isoformat()}
    waiting = {"type": "message.received", "data": {"messages": [texts], "lead": {"name": NAME}}}
    AgentEvent.objects.create(
        lead=lead, created_at=timezone.now(), due_at=timezone.now(), attempts=2, error=NAME, **waiting
    )
    quoted = {"message": f"refused: {NAME}", "remedy": "look", "telling_failed": "hastefina " + NAME}
    Alert.objects.create(subject=f"agent: {NAME}", first_seen_at=timezone.now(), last_seen_at=timezone.now(), **quoted)
    trouble = {"reason": f"refused: “{NAME}”", "since": timezone.now(), "next_at": timezone.now()}
    Trouble.objects.create(account=account, subject=Trouble.Subject.NOTES, **trouble)
    Account.objects.update(webhook_problem=f"refused: {NAME}")
    times = {"started": timezone.now(), "stopped": timezone.now()}
    Task.objects.create(id="a" * 32, name="x", func="f", success=False, result=f"ValueError: {PHONE} {NAME}", **times)
    ways_in()
    at = timezone.now() - timedelta(minutes=5)
    call_ways(*heard_by_ways_in(at))
    read_ways()
    # Unread when she goes.
    call_ways(("evolution", heard(4, at, "ilhaverde")), ("calcom", booked("BOOKING_CANCELLED", at)))
    page = f"/admin/leads/lead/{lead.pk}/do"
    for do in ("pause", "resume"):
        staff.post(f"{page}/{do}/", {"reason": f"{NAME} ligou"})
    staff.get("/admin/leads/lead/", {"q": NAME})
    staff.get(f"/admin/leads/lead/{lead.pk}/history/")
    staff.get("/admin/nowhere/", {"q": NAME})
    agent.get(f"leads/?phone={quote_plus(PHONE)}")
    agent.get(f"leads/?search={quote_plus(NAME)}")
    agent.get(f"leads/{lead.pk}/timeline/")
    staff.get("/admin/leads/lead/", {"q": NAME, "_export": "csv"}).getvalue()
    staff.get("/admin/leads/lead/", {"q": PHONE, "_export": "xlsx"}).getvalue()
    # As the record was written before.
    by = User.objects.get()
    for about, message in ((NAME, f"O agente responde {NAME}"), (f"leads q=%2B55{DIGITS}", "Took the list out as csv")):
        LogEntry.objects.create(user=by, object_repr=about, change_message=message, action_flag=2)
    # What could not be done is said on the next page, which nobody opens.
    session = staff.session
    session[MESSAGES] = json.dumps([["__json_message", 0, 30, f"{NAME}, stage: decide in Kommo", ""]])
    session.save()
    lead.refresh_from_db()
    return lead, [*reports, more, report(4, text="b2b") | {"pipeline": "b2b"}]


@pytest.fixture
def staff(db):
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "a-password"))
    return client


def live_on(account, lead, agent, kommo, reports):
    """What goes on after somebody has gone: webhooks, repeated reports, polls, the feed, other deals of theirs."""
    kommo_id, contact_id = lead.card.kommo_lead_id, lead.card.kommo_contact_id
    for body in reports:
        answer = agent.post("interactions/", body)
        assert (answer.status_code, answer["Content-Type"]) == (410, "application/problem+json"), answer.content
    [item] = agent.post("interactions/batch/", [reports[0]], HTTP_IDEMPOTENCY_KEY="other").json()
    assert (item["status"], item["body"]["status"]) == (410, 410)
    kommo.post(f"leads/{kommo_id}/edit", {"name": f"{NAME} barropreto"})
    kommo.post("leads", {"name": f"{NAME} de novo", "phone": PHONE})
    other = kommo.leads()[-1]
    post_hooks(
        account,
        hook_of_lead(kommo_id, f"{NAME} limavelha"),
        hook_of_contact(contact_id, f"{NAME} cinzaclara"),
        hook_of_message(kommo_id, contact_id, "ferrovivo"),
        hook_of_note(kommo_id, "gelomorno"),
        hook_of_outgoing_message(kommo_id, contact_id, "valetorto"),
        hook_of_talk(kommo_id, contact_id, "zincofosco"),
        hook_of_task(kommo_id, "brisalenta"),
        hook_of_newcomer("caldoralo"),
        hook_of_lead(other["id"], f"{NAME} de novo", "add"),
        hook_of_contact(other["contacts"][0]["id"], f"{NAME} de novo", action="add"),
    )
    process_inbox(account.pk)
    before = timezone.now() - timedelta(minutes=5)
    call_ways(*heard_by_ways_in(before))
    read_ways()
    account.refresh_from_db()
    reconciliation.Comparison(account, connections.client_for(account), None, "poll").everything()
    tasks.poll(account.pk)
    chat_replies.notice(account, connections.client_for(account), now=timezone.now())
    drain(rested(account))
    dispatch.fire(holder="test", until=timezone.now() + timedelta(seconds=1))
    tasks.watch()
    tasks.prune()


def export_under_way(staff):
    """Begin to take the lists out as files, and return what is still to come of them."""
    asked = [("/admin/leads/lead/", "csv"), ("/admin/leads/event/", "csv"), ("/admin/leads/lead/", "xlsx")]
    answers = [iter(staff.get(path, {"_export": kind}).streaming_content) for path, kind in asked]
    assert all(map(next, answers))
    return chain(*answers)


def test_of_a_whole_life_nothing_is_left_and_nothing_comes_back(account, life, agent, kommo, staff):
    lead, reports = life
    before = left()
    # Otherwise this test shows nothing.
    assert {word for _, word in before} == {word.casefold() for word in WORDS}
    places = " ".join(where for where, _ in before)
    wanted = ("django_session", "bridge_alert", "django_q_task", "bridge_agentevent")
    assert [table for table in wanted if table not in places] == []
    # The log never names anybody, with whom we still talk either.
    assert [where for where, _ in before if where.startswith(("file", "cache"))] == []
    async_task(nudge.TASK, account.pk, save=False)
    assert any(queue in where for where, _ in everything() for queue in ("django_q_ormq", f"django_q:{IN_REDIS}"))

    under_way = export_under_way(staff)
    assert agent.delete(f"leads/{lead.pk}/personal-data/").status_code == 204
    b"".join(under_way)
    # What nobody has read may be somebody else's too: it is let go of when it is read.
    assert {where for where, _ in left()} <= {"bridge_intakecall.body"}
    read_ways()
    assert left() == []

    live_on(account, lead, agent, kommo, reports)

    assert left() == []
    # What is somebody else's stays.
    assert b"Outra" in b"".join(bytes(body) for body in WebhookEvent.objects.values_list("body", flat=True))
    assert Lead.objects.get(erased_at=None).phone == "+5511955554444"
    assert Lead.objects.count() == 3


def test_with_kommo_nothing_of_hers_is_left_there_either(account, life, agent, kommo):
    lead, _ = life
    assert agent.delete(f"leads/{lead.pk}/personal-data/?kommo=true").status_code == 204
    drain(rested(account))
    card = kommo.lead(lead.card.kommo_lead_id)
    # The seller's note cannot be taken back by us: staff are told to.
    assert NAME in json.dumps(card.pop("notes"))
    assert "a note of a handoff" in Forgetting.objects.get().problem
    card.pop("messages", None)
    shown = json.dumps([card, *kommo.get("leads")["contacts"]])
    assert NAME not in shown and PHONE not in shown and "zulmira@" not in shown
    read_ways()
    assert left() == []
    assert Forgetting.objects.get().phone == ""


def test_a_newer_message_begins_anew_and_the_wish_for_no_follow_ups_holds(account, life, agent):
    lead, reports = life
    agent.post("interactions/", report(6, text="parar"))
    assert agent.delete(f"leads/{lead.pk}/personal-data/").status_code == 204
    assert Lead.objects.filter(phone=PHONE).count() == 0

    answer = agent.post("interactions/", report(7, text="mudei de ideia", at=timezone.now() + timedelta(seconds=1)))
    assert answer.status_code == 201
    assert answer.json()["lead"]["id"] != str(lead.pk)
    at = timezone.now() + timedelta(seconds=2)
    written = agent.post("interactions/", report(8, direction="outbound", text="oi", at=at))
    assert written.json()["followup"]["state"] == "none"
    assert agent.post("interactions/", reports[0]).status_code == 410
    back = Lead.objects.get(phone=PHONE)
    assert back.opted_out_at
    # Her other addresses are pseudonyms still.
    assert {row.phone_key for row in OptOut.objects.all()} - {PHONE} <= {None, ""}
    assert OptOut.objects.filter(phone_key=PHONE).count() == 1
    assert optout.take_back(back, reason="opt-out taken back by ada", now=timezone.now())


def test_who_has_not_written_since_gets_no_follow_up(account, life, agent):
    lead, _ = life
    agent.delete(f"leads/{lead.pk}/personal-data/")
    at = timezone.now() + timedelta(seconds=2)
    written = agent.post("interactions/", report(8, direction="outbound", text="oi", at=at))
    assert written.status_code == 201
    assert written.json()["followup"]["state"] == "none"


def test_erasing_again_counts_from_then(account, life, agent):
    lead, _ = life
    agent.delete(f"leads/{lead.pk}/personal-data/")
    phone = Forgotten.objects.filter(address=pseudonyms.of_address(lead.phone_key))
    first = phone.get().at
    newer = report(7, text="voltei", at=timezone.now() + timedelta(seconds=1))
    assert agent.post("interactions/", newer).status_code == 201
    back = Lead.objects.get(phone=PHONE)
    agent.delete(f"leads/{back.pk}/personal-data/")
    assert phone.get().at > first
    assert agent.post("interactions/", newer).status_code == 410


MARK = "nobody-says-this"
# Ours or Kommo's own words, and ids that tell of nobody. Of events the kinds of data that stay are impersonal.
NOT_OF_THE_PERSON = {
    "Lead.other_stage_name", "Lead.erased_address", "Card.stages_to_visit", "Card.waiting_reason",
    "Delivery.request_id", "Briefing.given_up", "AgentEvent.type", "Attempt.template_id", "Attempt.holder",
    "AgentEvent.holder",
    "Message.channel", "IntakeItem.what",
}  # fmt: skip


# No two rows of a lead may have the same.
UNIQUE = {
    ("Lead", "phone_key"), ("Objection", "key"), ("Drift", "subject"), ("Message", "message_id"),
    ("FurtherAddress", "key"), ("Meeting", "meeting_id"), ("NameWord", "word"),
}  # fmt: skip


def rows_about(lead):
    """Return rows by the name of their model, of every model that hangs on a lead, however far away."""
    hanging = {"Lead": Lead.objects.filter(pk=lead.pk)}
    ours = [model for name in ("leads", "followups", "bridge") for model in apps.get_app_config(name).get_models()]
    for _ in range(3):
        for model in (
            ours_model for ours_model in ours if not ours_model._meta.proxy and ours_model.__name__ not in hanging
        ):
            keys = [column for column in model._meta.concrete_fields if column.is_relation]
            for key in (each_key for each_key in keys if each_key.related_model.__name__ in hanging):
                of = hanging[key.related_model.__name__].values("pk")
                hanging[model.__name__] = model._base_manager.filter(**{f"{key.name}__in": of})
    return hanging


def text_columns(model):
    for field in model._meta.concrete_fields:
        is_text = isinstance(field, (models.CharField, models.TextField, models.JSONField)) and not field.choices
        if is_text and f"{model.__name__}.{field.name}" not in NOT_OF_THE_PERSON and not field.unique:
            yield field


def test_every_column_of_every_row_about_a_person_is_emptied_those_of_tomorrow_too(account, life):
    lead, _ = life
    about = rows_about(lead)
    assert {"Card", "Delivery", "Attempt", "Briefing", "Drift", "AgentEvent", "Event", "Objection"} <= about.keys()
    for name, rows in about.items():
        for field in text_columns(rows.model):
            if (name, field.name) in UNIQUE:
                continue
            value = {MARK: MARK} if isinstance(field, models.JSONField) else MARK[: field.max_length or 99]
            rows.update(**{field.name: value})
    lead.refresh_from_db()
    erase(lead)
    kept = [
        f"{name}.{field.name}"
        for name, rows in about.items()
        for field in text_columns(rows.model)
        if any(MARK[:20] in str(value) for value in rows.values_list(field.name, flat=True))
    ]
    assert kept == []


def test_a_person_who_is_back_gets_their_card_in_kommo_again(account, pipeline, kommo):
    kommo.post("options", {"duplicate_control": True})
    lead = record(pipeline, name="Maria Souza").lead
    drain(account)
    kommo_id = Card.objects.get().kommo_lead_id
    erase(lead)
    at = timezone.now() + timedelta(seconds=1)
    record(pipeline, message=Message(Direction.INBOUND, id="m", sent_at=at, text="voltei"), occurred_at=at)
    drain(account)
    card = lead_of().card
    assert (card.kommo_lead_id, card.state) == (kommo_id, Card.State.IN_SYNC)


def test_every_number_of_the_person_is_forgotten(account, maria, agent, kommo):
    other = "+5581988880000"
    address_owners.learn(
        maria, [parse(other, region="BR")], seen_in=str(maria.card.kommo_contact_id), now=timezone.now()
    )
    own = maria.card.kommo_contact_id
    values = [{"value": MARIA}, {"value": other}]
    kommo.post(f"contacts/{own}/edit", {"custom_fields_values": [{"field_code": "PHONE", "values": values}]})
    erase(maria, elsewhere=True)
    drain(account)
    assert left((*MARIAS, other[3:])) == []
    assert [contact["phones"] for contact in kommo.get("leads")["contacts"]] == [[]]
    row, kommo_id = Forgetting.objects.get(), maria.card.kommo_lead_id
    # Of her numbers nothing; what she pays stands on the card, which is for staff to look at.
    assert row.problem == f"left in Kommo: lead {kommo_id} has filled fields: “Valor Conta Energia”"
    assert row.state == Forgetting.State.LEFT
    at = (timezone.now() - timedelta(hours=1)).isoformat()
    assert agent.post("interactions/", {"lead": {"phone": other}, "occurred_at": at}).status_code == 410


def test_who_is_called_as_many_others_takes_nothing_of_theirs_along(account, pipeline):
    lead = record(pipeline, name="Ana").lead
    post_hooks(account, hook_of_contact(999, "Ana Prado", "+5511955554444"))
    process_inbox(account.pk)
    erase(lead)
    assert b"Ana" in bytes(WebhookEvent.objects.get().body)


def test_what_another_account_told_of_the_person_goes_too_and_nothing_of_whom_it_calls_by_the_same_number(
    account, pipeline, maria
):
    other = Account.objects.create(name="other", base_url="https://other.kommo.com", webhook_secret="s")
    other.webhook_secret_hash = hash_secret("s")
    other.save()
    kommo_id, contact_id = maria.card.kommo_lead_id, maria.card.kommo_contact_id
    hooks = [
        # She, as the other company knows her.
        hook_of_contact(555_001, "Maria Souza de lá", MARIA),
        hook_of_lead(555_002, "Maria Souza"),
        # Others, whom that account gave the very numbers of her lead and her contact here.
        hook_of_lead(kommo_id, "Outra Cliente"),
        hook_of_contact(contact_id, "Outra Cliente", "+5511955554444"),
    ]
    for body in hooks:
        assert (
            Client().post("/webhooks/kommo/s/", body, content_type="application/x-www-form-urlencoded").status_code
            == 200
        )
    events = list(WebhookEvent.objects.filter(account=other).order_by("pk"))
    for event in events[:3]:
        for item in parsing.parse(bytes(event.body)).items:
            kept = {"entity": item.entity, "action": item.action, "kommo_id": item.kommo_id, "data": item.data}
            WebhookItem.objects.create(event=event, **kept)

    erase(maria)

    assert left((*MARIAS, "de lá")) == []
    bodies = [bytes(event.body) for event in WebhookEvent.objects.filter(account=other).order_by("pk")]
    assert [b"Outra" in body for body in bodies] == [False, False, True, True]
    assert "Outra" in str(WebhookItem.objects.get(event=events[2]).data)


def test_of_a_short_name_nothing_is_left_in_what_troubles_were_told_by(account, pipeline):
    now = timezone.now()
    lead = record(pipeline, name="Zuzu").lead
    quoted = {"message": "refused: “zuzu”", "first_seen_at": now, "last_seen_at": now}
    Alert.objects.create(subject="notes", **quoted)
    moments = {"since": now, "next_at": now}
    Trouble.objects.create(account=account, subject=Trouble.Subject.NOTES, reason="refused: Zuzu", **moments)
    Task.objects.create(
        id="a" * 32, name="x", func="f", success=False, result="KeyError: 'Zuzu'", started=now, stopped=now
    )
    UnreadLead.objects.create(account=account, kommo_lead_id=5, error="“Zuzu” is no number", **moments)
    by = User.objects.create_superuser("ada", "ada@example.com", "a-password")
    SavedView.objects.create(owner=by, name="Os de Zuzu")
    SavedView.objects.create(owner=by, name="phone", query="phone__contains=%2B5581999990000")
    Alert.objects.create(subject="zuzurra", **quoted | {"message": "Zuzurra"})

    erase(lead)

    assert (Trouble.objects.get().reason, UnreadLead.objects.get().error) == (erasing_here.UNNAMED, "")
    assert not Task.objects.exists()
    # A view may be called after a colleague of that name.
    assert (Alert.objects.get().subject, SavedView.objects.get().name) == ("zuzurra", "Os de Zuzu")


def test_what_a_namesake_wrote_is_heard_although_nobody_had_read_it_yet(account, pipeline, kommo):
    """It is told once, and whoever wrote it asked for nothing to be forgotten."""
    Pipeline.objects.update(conversations="kommo")
    first = record(pipeline, name="Joana Prado").lead
    other = record(pipeline, "+5581955554444", name="Joana Prado").lead
    drain(account)
    first, other = Lead.objects.get(pk=first.pk), Lead.objects.get(pk=other.pk)
    ids = other.card.kommo_lead_id, other.card.kommo_contact_id
    at = int(timezone.now().timestamp())
    theirs = {"id": "m1", "text": "quero fechar hoje", "entity_id": ids[0], "entity_type": "lead", "contact_id": ids[1]}
    theirs |= {"chat_id": "c1", "type": "incoming", "created_at": at, "author][name": "Joana Prado"}
    sellers = {"id": "m2", "text": "a Joana Prado já vem", "element_id": ids[0], "element_type": 2, "created_at": at}
    own = {"id": "m3", "text": "apague tudo", "entity_id": first.card.kommo_lead_id, "entity_type": "lead"}
    post_hooks(
        account,
        form(**{f"message[add][0][{key}]": value for key, value in theirs.items()}),
        form(**{f"outgoing_message[add][0][{key}]": value for key, value in sellers.items()}),
        form(**{f"message[add][0][{key}]": value for key, value in own.items()}),
    )

    erase(first)

    kept = [unquote_plus(bytes(event.body).decode()) for event in WebhookEvent.objects.order_by("pk")]
    assert ["quero fechar hoje" in kept[0], "já vem" in kept[1], "apague" in kept[2]] == [True, True, False]
    process_inbox(account.pk)
    assert list(other.messages.values_list("text", flat=True)) == ["quero fechar hoje"]


ACCOUNT = "account[id]=1&account[subdomain]=acmestone&account[_links][self]=https%3A%2F%2Facmestone.kommo.com&"


@pytest.mark.parametrize(
    "known_as",
    [
        {"addresses": [{"kind": "instagram", "value": "account"}]},
        {"addresses": [{"kind": "telegram", "value": "outgoing_message"}]},
        {"addresses": [{"kind": "external", "value": "2"}]},
        {"addresses": [{"kind": "instagram", "value": "main_contact_id"}]},
        {"addresses": [{"kind": "lid", "value": "779@lid"}]},
        {"name": "acmestone.kommo.com"},
        {"name": "acmestone kommo"},
        {"name": "created_at", "email": "a@m.co"},
    ],
)
def test_whatever_somebody_calls_themselves_nothing_of_others_is_lost_by_it(account, pipeline, kommo, known_as):
    """People choose their names: one that stands in every body is no reason to empty it."""
    named = {key: value for key, value in known_as.items() if key != "addresses"}
    addresses = tuple(parse_address(each["kind"], each["value"], region="BR") for each in known_as.get("addresses", ()))
    lead = record(pipeline, addresses=addresses, **named).lead
    texts = ["quero fechar hoje", "a@m.com.br é meu e-mail, mariana@m.co não"]
    hooks = [hook_of_message(77, 78, text) for text in texts]
    post_hooks(account, *(f"{ACCOUNT}{hook}" for hook in hooks), hook_of_contact(79, "Outra Cliente", "+5511955554444"))
    process_inbox(account.pk)
    post_hooks(account, *(f"{ACCOUNT}{hook}" for hook in hooks))

    erase(lead)

    bodies = [unquote_plus(bytes(event.body).decode()) for event in WebhookEvent.objects.order_by("pk")]
    assert [text in body for text, body in zip([*texts, "Outra Cliente", *texts], bodies, strict=True)] == [True] * 5


@pytest.fixture
def couple(account, pipeline, kommo):
    """Ana, who was erased, and Bia, who writes in Kommo's chat."""
    Pipeline.objects.update(conversations="kommo")
    ana = record(pipeline, "+5581977770001", name="Ana Prado").lead
    bia = record(pipeline, "+5581955554444", name="Bia").lead
    drain(account)
    erase(Lead.objects.get(pk=ana.pk))
    return ana, Lead.objects.get(pk=bia.pk)


def message_of(lead, text, **changes):
    values = {
        "id": text, "text": text, "entity_id": lead.card.kommo_lead_id, "entity_type": "lead", "type": "incoming",
        "contact_id": lead.card.kommo_contact_id, "chat_id": "c1", "created_at": int(timezone.now().timestamp()),
    } | changes  # fmt: skip
    return form(**{f"message[add][0][{key}]": value for key, value in values.items() if value})


@pytest.mark.parametrize("number", ["81 97777-0001", "+5581977770001", "5581977770001", "(81) 97777 0001"])
def test_what_somebody_writes_is_heard_also_with_the_number_of_who_was_erased(account, couple, number):
    _, bia = couple
    post_hooks(account, message_of(bia, f"Sim! Liga para o meu marido: {number}"))
    process_inbox(account.pk)
    assert list(bia.messages.values_list("text", flat=True)) == [f"Sim! Liga para o meu marido: {number}"]


def test_of_who_is_nobody_of_ours_a_message_with_that_number_is_not_kept(account, couple):
    _, bia = couple
    strangers = {"entity_id": 990_001, "contact_id": 990_002, "chat_id": "c9"}
    post_hooks(account, message_of(bia, "meu número: 81 97777-0001", **strangers))
    process_inbox(account.pk)
    assert left(("77770001", "7777-0001")) == []


def test_whoever_shares_a_contact_with_that_number_is_heard_and_the_number_is_not_kept(account, couple):
    _, bia = couple
    contact = hook_of_contact(bia.card.kommo_contact_id, "Bia", "+5581977770001")
    post_hooks(account, f"{contact}&{message_of(bia, 'pode marcar a visita')}")
    process_inbox(account.pk)
    assert list(bia.messages.values_list("text", flat=True)) == ["pode marcar a visita"]
    assert left(("77770001", "7777-0001")) == []


@pytest.mark.parametrize("is_read_before", [True, False])
def test_whose_contact_staff_made_one_with_that_of_who_is_erased_is_heard(account, pipeline, kommo, is_read_before):
    Pipeline.objects.update(conversations="kommo")
    ana = record(pipeline, "+5581977770001", name="Ana Prado").lead
    bia = record(pipeline, "+5581955554444", name="Bia").lead
    drain(account)
    ana, bia = (Lead.objects.get(pk=lead.pk) for lead in (ana, bia))
    # As Kommo tells it from then on, and as our card of hers does not know yet.
    merged = {"contact_id": ana.card.kommo_contact_id, "chat_id": ""}
    if is_read_before:
        erase(ana)
    post_hooks(account, message_of(bia, "pode marcar", **merged), message_of(ana, "de Ana", **merged))
    if not is_read_before:
        erase(ana)
    process_inbox(account.pk)

    assert list(bia.messages.values_list("text", flat=True)) == ["pode marcar"]
    assert left(("de Ana",)) == []


def test_of_the_record_only_lines_that_change_are_written(account, pipeline, django_assert_max_num_queries):
    by = User.objects.create_superuser("ada", "ada@example.com", "a-password")
    line = {"user": by, "action_flag": 2, "change_message": "Took the list out as csv, and a page"}
    LogEntry.objects.bulk_create(LogEntry(object_repr=f"leads de a e {number}", **line) for number in range(300))
    lead = record(pipeline, name="Ana e Bia").lead
    with django_assert_max_num_queries(200):
        erase(lead)
    assert LogEntry.objects.filter(object_repr__icontains="de a e ").count() == 300


@pytest.mark.parametrize(
    ("name", "others"), [("Ana Li", "Juliana Lima"), ("Rosana Mar", "Rosana Martins"), ("Alessandra", "Alessandrao")]
)
def test_whose_name_is_a_part_of_anothers_takes_nothing_of_theirs_along(account, pipeline, name, others):
    lead = record(pipeline, name=name).lead
    post_hooks(account, hook_of_contact(991, others, ""), hook_of_contact(992, f"{name} também", ""))
    process_inbox(account.pk)
    Alert.objects.create(subject="x", message=others, first_seen_at=timezone.now(), last_seen_at=timezone.now())

    erase(lead)

    assert [item.data.get("name") for item in WebhookItem.objects.order_by("pk")] == [others, None]
    assert Alert.objects.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("list out as csv", "Took the list out as csv"),
        ("administrator", "Role: seller → administrator"),
        ("Took the list", "Took the list out as xlsx"),
        ("Brought rules into force", "Brought rules into force"),
    ],
)
def test_nobodys_name_takes_what_staff_did_out_of_the_record(account, pipeline, name, message):
    by = User.objects.create_superuser("ada", "ada@example.com", "a-password")
    handle = parse_address("instagram", name.replace(" ", "_"), region="BR")
    lead = record(pipeline, name=name, email="ada@example.com", addresses=(handle,)).lead
    for about in ("leads", "leads older=2026-01-01~"):
        LogEntry.objects.create(user=by, object_repr=about, change_message=message, action_flag=2)
    of_user = LogEntry.objects.create(
        user=by, object_repr="bia", object_id="7", change_message="Invited", action_flag=2
    )
    quoting = LogEntry.objects.create(
        user=by, object_repr="saved view", change_message=f"“{name} hoje” is shared with the team.", action_flag=2
    )

    erase(lead)

    lines = LogEntry.objects.exclude(pk__in=[of_user.pk, quoting.pk]).order_by("pk")
    assert list(lines.values_list("object_repr", "change_message")) == [
        ("leads", message),
        ("leads older=2026-01-01~", message),
    ]
    of_user.refresh_from_db()
    quoting.refresh_from_db()
    assert (of_user.object_repr, of_user.change_message) == ("bia", "Invited")
    assert quoting.change_message == "“… hoje” is shared with the team."


@pytest.mark.parametrize(
    ("view", "query", "name", "left_of_it"),
    [
        ("Reuniao marcada esta semana", "stage=meeting", "Reuniao marcada", "№"),
        ("Semana", "stage=reuniao+marcada", "Reuniao marcada", "Semana"),
        ("Semana", "stage=qualificado&shelf=lost", "qualificado", "Semana"),
        ("Ela", "q=reuniao+marcada&stage=meeting", "Reuniao marcada", None),
        ("Ela", "email__icontains=ela%40example.com", "Reuniao marcada", None),
        ("Juliana Lima", "stage=meeting", "Ana Li", "Juliana Lima"),
        ("Prado", "q=mariana+prado", "Maria", "Prado"),
        ("Ela", "email__icontains=gabriela%40example.com", "Maria", "Ela"),
    ],
)
def test_of_a_saved_view_goes_what_searches_for_the_person_and_no_more(
    account, pipeline, view, query, name, left_of_it
):
    by = User.objects.create_superuser("ada", "ada@example.com", "a-password")
    SavedView.objects.create(owner=by, name=view, query=query)
    erase(record(pipeline, name=name, email="ela@example.com").lead)

    kept = SavedView.objects.first()
    assert (kept is None) == (left_of_it is None)
    assert kept is None or (kept.name.startswith(left_of_it) and kept.query == query)


@pytest.mark.parametrize("written", ["ÂNGELA ÁVILA", "ângela ávila", "Ângela Ávila", "ângela Ávila 😀 (.*"])
def test_of_a_name_in_what_is_told_of_others_nothing_is_left_however_it_is_written(
    account, pipeline, monkeypatch, written
):
    """Many calls are looked through in parts, and nothing is lost between them."""
    monkeypatch.setattr(erased_from_webhooks, "EVENTS_IN_A_PART", 1)
    lead = record(pipeline, name="Ângela Ávila").lead
    texts = ["outra coisa", f"falei com {written}", "mais uma", f"{written} ligou", "fim"]
    post_hooks(account, *(hook_of_contact(990 + place, text, "") for place, text in enumerate(texts)))
    process_inbox(account.pk)

    erase(lead)

    kept = [str(item.data) + unquote_plus(bytes(item.event.body).decode()) for item in WebhookItem.objects.all()]
    assert len(kept) == len(texts) and not [text for text in kept if "vila" in text.casefold()]
    assert all(any(text in kept_text for kept_text in kept) for text in ("outra coisa", "mais uma", "fim"))


@pytest.mark.parametrize("body", ["%" * 30_000, "%5B" * 10_000, "leads[add][0][]=1&" * 9_000 + "x=1", "+" * 30_000])
def test_a_body_that_was_not_read_yet_is_looked_through_once_whatever_it_is_made_of(
    account, pipeline, monkeypatch, body
):
    looked = []
    plainly = erased_from_webhooks._plain
    monkeypatch.setattr(erased_from_webhooks, "_plain", lambda raw: looked.append(len(raw)) or plainly(raw))
    lead = record(pipeline, name="Ângela Ávila", email="angela@example.com").lead
    post_hooks(account, body, body + "&leads%5Badd%5D%5B0%5D%5Bname%5D=%C3%82ngela+%C3%A1vila")

    erase(lead)

    first, second = WebhookEvent.objects.order_by("pk")
    assert bytes(first.body).decode() == body and b"vila" not in bytes(second.body)
    # The second once more, for what is left of it.
    assert len(looked) <= 3


@pytest.mark.parametrize(
    "part",
    [
        # The library gives up at it.
        "contacts[add][0][na-me]=choke&contacts[add][0][name]=Zulmira+Xavantina",
        # Nobody knows such an entity yet, and others that nobody numbered.
        "widgets[add][0][name]=Zulmira+Xavantina",
        "widgets=Zulmira+Xavantina",
    ],
)
def test_in_a_part_that_nobody_can_read_nothing_is_left_either(account, pipeline, monkeypatch, part):
    decode = parsing.qs_codec.decode

    def choke(text, options):
        if "choke" in text:
            raise ValueError("no form")
        return decode(text, options)

    monkeypatch.setattr(parsing.qs_codec, "decode", choke)
    lead = record(pipeline, name="Zulmira Xavantina").lead
    post_hooks(account, part, f"{hook_of_contact(990, 'outra coisa', '')}&{part}", hook_of_contact(991, "mais uma", ""))
    process_inbox(account.pk)

    erase(lead)

    bodies = [unquote_plus(bytes(event.body).decode()) for event in WebhookEvent.objects.order_by("pk")]
    assert not [body for body in bodies if "Xavantina" in body]
    assert "mais uma" in bodies[2]


# --- Between two lines of somebody else's work


@pytest.fixture
def maria(account, pipeline, kommo):
    record(pipeline, name="Maria Souza", bill_value=900)
    drain(account)
    return lead_of()


def erase(lead, *, elsewhere=False):
    assert erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now(), elsewhere=elsewhere)


def erasing(monkeypatch, call, lead, *, before=False, elsewhere=False):
    """Let the person be erased while a call to Kommo is under way: before it is applied, or before its answer."""
    honest, done = getattr(KommoClient, call), []

    def meanwhile(self, *args, **kwargs):
        if before and not done:
            done.append(erase(lead, elsewhere=elsewhere))
        answer = honest(self, *args, **kwargs)
        if not done:
            done.append(erase(lead, elsewhere=elsewhere))
        return answer

    monkeypatch.setattr(KommoClient, call, meanwhile)
    return done


# Not “Lima”: jobs are named by chance, and that is one of their words.
MARIAS = ("Maria", "Souza", MARIA[3:])


@pytest.mark.parametrize("before", [True, False])
def test_an_erasure_during_an_update_leaves_nothing(account, maria, pipeline, monkeypatch, before):
    record(pipeline, name="Maria Lima", bill_value=1200)
    done = erasing(monkeypatch, "update_leads", maria, before=before)
    drain(account)
    assert done
    assert left(MARIAS) == []
    assert Card.objects.get().state == Card.State.CLOSED


@pytest.mark.parametrize("outcome", ["500", "400", "drop_after", "timeout"])
def test_nor_when_the_update_fails(account, maria, pipeline, kommo, monkeypatch, outcome, impatient):
    record(pipeline, name="Maria Lima", bill_value=1200)
    kommo.fault(outcome, path="/api/v4/leads", method="PATCH")
    assert erasing(monkeypatch, "update_leads", maria, before=True) == []
    drain(account)
    assert left(MARIAS) == []
    assert Card.objects.get().state == Card.State.CLOSED


@pytest.mark.parametrize("elsewhere", [True, False])
def test_between_a_create_and_its_answer(account, pipeline, kommo, monkeypatch, elsewhere):
    lead = record(pipeline, name="Maria Souza").lead
    done = erasing(monkeypatch, "create_leads_complex", lead, elsewhere=elsewhere)
    drain(account)
    assert done
    assert left(MARIAS) == []
    card = Card.objects.get()
    [made] = kommo.leads()
    assert (card.kommo_lead_id, card.state) == (made["id"], Card.State.CLOSED)
    drain(rested(account))
    assert ("Maria" in json.dumps(kommo.get("leads"))) is not elsewhere
    assert left(MARIAS) == []


def test_during_the_renaming_of_a_contact(account, maria, pipeline, kommo, monkeypatch):
    record(pipeline, name="Maria Lima")
    drain(account)
    Card.objects.update(contact_due_at=timezone.now() - timedelta(minutes=1))
    done = erasing(monkeypatch, "update_contacts", maria, elsewhere=True)
    contacts.deliver_due(account, connections.client_for(account), now=timezone.now())
    assert done
    assert left(MARIAS) == []
    monkeypatch.undo()
    drain(rested(account))
    assert "Maria" not in json.dumps(kommo.get("leads"))
    assert Card.objects.get().contact_due_at is None


def test_during_a_note_for_the_seller(account, maria, pipeline, monkeypatch):
    asked = {"source": Lead.HandoffSource.API, "by": Lead.Actor.AGENT, "reason": "Maria quer gente"}
    handoff.pause(maria, **asked, now=timezone.now())
    done = erasing(monkeypatch, "create_notes", maria)
    drain(account)
    assert done
    assert left(MARIAS) == []


def test_while_a_follow_up_is_said(pipeline):
    at = timezone.now() - timedelta(minutes=31)
    message = Message(Direction.OUTBOUND, id="m", sent_at=at, text="Oi Maria")
    lead = record(pipeline, name="Maria Souza", message=message, occurred_at=at).lead
    Enrollment.objects.update(next_at=timezone.now(), sent_by_hand=True)
    [attempt] = claiming.claim("test", timezone.now())
    assert left(MARIAS)
    erase(lead)
    heard = Result(Outcome.SENT, "Maria was told", text="Oi Maria Souza")
    attempt_outcomes.record([attempt_outcomes.Done(attempt, heard, timezone.now())], now=timezone.now())
    assert left(MARIAS) == []


def test_while_its_webhook_is_being_read(account, maria, monkeypatch):
    kommo_id = maria.card.kommo_lead_id
    post_hooks(account, hook_of_lead(kommo_id, "Maria Lima"))
    done = erasing(monkeypatch, "iterate_leads", maria, before=True)
    process_inbox(account.pk)
    assert done
    assert left(MARIAS) == []
    assert WebhookItem.objects.get().result == WebhookItem.Result.FORGOTTEN


def test_what_was_stored_at_that_very_moment_is_swept_out_soon(account, maria):
    erase(maria)
    Event.objects.create(lead=maria, at=timezone.now(), kind=Event.Kind.DELIVERY, actor="bridge", reason="Maria Souza")
    Delivery.objects.filter(card__lead=maria).update(sent={"name": "Maria Souza"})
    body = hook_of_lead(maria.card.kommo_lead_id, "Maria").encode()
    event = WebhookEvent.objects.create(account=account, body=body, received_at=timezone.now(), state="processed")
    theirs = {"kommo_id": maria.card.kommo_lead_id, "data": {"name": "Maria"}}
    WebhookItem.objects.create(event=event, entity="lead", action="update", **theirs)
    assert left(MARIAS)
    assert sweep_again(now=timezone.now()) == 1
    assert left(MARIAS) == []
    assert saying(maria.events.filter(kind=Event.Kind.ERASED), "personal data erased")


@pytest.mark.django_db(transaction=True)
def test_the_sweep_of_afterwards_holds_cards_by_a_transaction_of_its_own(account, maria, monkeypatch):
    """The pruning opens none; without one PostgreSQL refuses to lock, and nothing was swept and nothing pruned."""
    erase(maria)
    Event.objects.create(lead=maria, at=timezone.now(), kind=Event.Kind.DELIVERY, actor="bridge", reason="Maria Souza")
    old = timezone.now() - timedelta(days=400)
    WebhookEvent.objects.create(account=account, body=b"x", received_at=old, state="processed")
    honest, locked = ledger.forget, []

    def forget(card):
        locked.append(connection.in_atomic_block)
        honest(card)

    monkeypatch.setattr(ledger, "forget", forget)
    tasks.prune()
    assert locked == [True]
    assert left(MARIAS) == []
    assert not WebhookEvent.objects.filter(received_at=old).exists()


def test_a_sweep_that_fails_keeps_no_table_from_being_pruned(account, monkeypatch):
    old = timezone.now() - timedelta(days=400)
    WebhookEvent.objects.create(account=account, body=b"x", received_at=old, state="processed")
    monkeypatch.setattr(erasing_here, "sweep_again", lambda now: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tasks.prune()
    assert not WebhookEvent.objects.exists()


# --- Whose chat it is


def test_a_reply_in_the_customers_own_chat_counts_whoever_is_the_main_contact(account, maria, kommo, monkeypatch):
    own = maria.card.kommo_contact_id
    kommo.post(f"leads/{maria.card.kommo_lead_id}/main_contact", {"name": "João Souza", "phone": "+5581988880000"})
    post_hooks(account, hook_of_lead(maria.card.kommo_lead_id, "Maria Souza e João"))
    kommo.post(f"leads/{maria.card.kommo_lead_id}/edit", {"name": "Maria Souza e João"})
    process_inbox(account.pk)
    card = Card.objects.get()
    assert (card.own_contact_id, card.kommo_contact_id == own) == (own, False)
    at = int(timezone.now().timestamp())
    reply = EventReply("e1", chat_replies.STAFF_REPLY, own, "contact", 5, at)
    monkeypatch.setattr(KommoClient, "events", lambda *_args, **_kwargs: [reply])
    account.refresh_from_db()
    assert chat_replies.notice(account, connections.client_for(account), now=timezone.now()) == 1
    maria.refresh_from_db()
    assert maria.in_handoff
    # And nobody who is erased is taken over.
    erase(maria)
    assert chat_replies.notice(account, connections.client_for(account), now=timezone.now()) == 0


@pytest.mark.django_db
def test_in_the_files_of_a_small_database_nothing_is_left_either(settings, tmp_path, monkeypatch):
    if not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        pytest.skip("PostgreSQL's files are its own")
    file = tmp_path / "bridge.sqlite3"
    handler = ConnectionHandler({"default": {**settings.DATABASES["default"], "NAME": str(file)}})
    mine = handler["default"]
    monkeypatch.setattr(erasing_here, "connection", mine)
    try:
        with mine.cursor() as cursor:
            cursor.execute("CREATE TABLE people (name TEXT)")
            cursor.executemany(
                "INSERT INTO people VALUES (%s)", [(f"{NAME} {number} {'x' * 3000}",) for number in range(9)]
            )
            cursor.execute("DELETE FROM people WHERE rowid < 5")
            cursor.execute("UPDATE people SET name = ''")

        erasing_here.leave_no_pages()

        for path in tmp_path.iterdir():
            assert NAME.encode() not in path.read_bytes(), path.name
    finally:
        mine.close()


def test_of_a_lead_that_turned_out_to_be_theirs_nothing_is_left_either(account, maria, pipeline):
    other = record(pipeline, "+5581955554444", name="Dona Quitéria Sobral").lead
    drain(account)
    card = Card.objects.get(lead=other)
    IdempotencyRecord.objects.create(
        key="k1", fingerprint="", status_code=201, created_at=timezone.now(), answer={"lead": {"id": str(other.pk)}}
    )
    lead = lead_of(MARIA)
    pair = ProbablySame.objects.create(
        older=lead, younger=other, first_seen_at=timezone.now(), last_seen_at=timezone.now()
    )
    joining.join_by_hand(pair, name="Ana", now=timezone.now())
    left_behind = JoinedLead.objects.get().kommo_lead_id
    assert left_behind == card.kommo_lead_id
    erasure.erase(lead_of(MARIA), by=Lead.Actor.STAFF, now=timezone.now())
    post_hooks(account, hook_of_lead(left_behind, "Quitéria ligou"))
    process_inbox(account.pk)
    assert not IdempotencyRecord.objects.exists()
    assert "Quit" not in str(list(WebhookItem.objects.values_list("data", flat=True)))
    assert all(b"Quit" not in bytes(body) for body in WebhookEvent.objects.values_list("body", flat=True))


def test_staff_are_told_of_the_card_that_a_joined_lead_left_in_kommo(account, maria, pipeline):
    other = record(pipeline, "+5581955554444", name="Maria outra vez").lead
    drain(account)
    now = timezone.now()
    pair = ProbablySame.objects.create(older=lead_of(MARIA), younger=other, first_seen_at=now, last_seen_at=now)
    joining.join_by_hand(pair, name="Ana", now=now)
    erasure.erase(lead_of(MARIA), by=Lead.Actor.STAFF, now=now, elsewhere=True)
    drain(rested(account))
    row = Forgetting.objects.get()
    assert row.state == Forgetting.State.LEFT
    assert f"lead {JoinedLead.objects.get().kommo_lead_id}" in row.problem


def test_by_an_address_of_another_pipelines_lead_a_third_is_known_to_be_theirs(account, pipeline):
    solar, third = Pipeline.objects.create(slug="b", name="B"), Pipeline.objects.create(slug="c", name="C")
    lead = record(pipeline, MARIA, name="Maria").lead
    known = {"name": "Maria", **dict.fromkeys(("stage_set_at", "created_at", "updated_at"), timezone.now())}
    both = Lead.objects.create(pipeline=solar, phone=MARIA, phone_key=lead.phone_key, **known)
    lid = "lid:104729384756011@lid"
    both.further_addresses.create(pipeline=solar, key=lid, value=lid[4:], first_seen_at=timezone.now(), seen_in="")
    last = Lead.objects.create(pipeline=third, phone_key=lid, **known)
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    last.refresh_from_db()
    assert last.erased_at and not last.name


def test_what_a_button_that_nobody_saw_would_take_back_goes_too(account, maria, staff):
    """It carries the reason for which a person had the lead, packed: nothing in it is found by a word."""
    page = f"/admin/leads/lead/{maria.pk}/do"
    staff.post(f"{page}/pause/", {"reason": "barropreto ligou"})
    staff.post(f"{page}/resume/")
    waiting = str([session.get_decoded().get(MESSAGES) for session in Session.objects.all()])
    packed = re.findall(r"[\w-]+:[\w-]+:[\w-]{40,}", waiting)
    assert "barropreto ligou" in str([signing.loads(cookie, salt=SALT) for cookie in packed])

    erase(maria)

    assert [session.get_decoded() for session in Session.objects.all() if MESSAGES in session.get_decoded()] == []
