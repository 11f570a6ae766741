"""An address that somebody else wrote is shown, and never called: this machine and its network are nobody's to reach.

What the bridge does call is Kommo (whose addresses are checked, tests/bridge/admin/test_addresses.py) and what the
operator names in the environment.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from dataclasses import fields
from datetime import timedelta
from itertools import product
from pathlib import Path
from threading import Thread

import pytest
from django.apps import apps
from django.conf import settings as here
from django.db import models
from django.test import Client
from django.utils import timezone
from rest_framework import serializers

from bridge.api import api_keys
from bridge.api import serializers as reports
from bridge.channels import managing_channels as channels
from bridge.channels import testing_channels
from bridge.channels.channel_kinds import WAYS, is_outside_only
from bridge.channels.part_values import Outcome, Part, Person
from bridge.configuration import document
from bridge.errors import ConfigurationError
from bridge.intakes import managing_intakes, reading_calls, source_kinds
from bridge.models import ApiKey, Channel, Intake
from bridge.webhooks.reading_webhooks import process_inbox
from followups import dispatch, private_networks, signed_calls, texts
from leads import booking_links, handoff
from leads.models import Lead, Meeting
from tests.bridge.admin.test_addresses import LOOPBACKS
from tests.bridge.intakes.bodies import body
from tests.bridge.test_erasure import hook_of_message, hook_of_note, post_hooks
from tests.conftest import MARIA, drain

ROOT = Path(__file__).resolve().parents[2]
LOOKS_LIKE_ONE = re.compile(r"(?:^|_)(?:ur[il]s?|links?|hosts?|domain|endpoint|website|picture|callback)(?:_|$)", re.I)


def test_who_calls_anything_at_all_is_known():
    """A new place that calls out needs a rule for whom it may call, and its line here."""
    calling = re.compile(r"requests\.(?:Session|get|post|put|patch|request|head|delete)\(|urlopen\(|http\.client|httpx")
    found = {
        str(path.relative_to(ROOT))
        for room in ("bridge", "leads", "followups")
        for path in (ROOT / room).rglob("*.py")
        if calling.search(path.read_text(encoding="utf-8"))
    }
    beside = ("packages/kommo-sandbox/src/kommo_sandbox/", "bridge/demo/", "bridge/management/commands/demo.py")
    assert {address for address in found if not address.startswith(beside)} == {
        # Kommo's, by checked addresses.
        "bridge/kommo/oauth_tokens.py", "bridge/kommo/transport.py",
        # The agent's, the alerts' and the messenger's, by the operator's.
        "followups/signed_calls.py",
        # Our own (tests/bridge/admin/test_ways.py).
        "bridge/admin/ways/intake_addresses.py",
    }  # fmt: skip


def test_every_place_that_takes_an_address_is_known():
    columns = {
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in ("leads", "followups", "bridge") and not hasattr(model, "history_object")
        for field in model._meta.concrete_fields
        if isinstance(field, models.URLField) or LOOKS_LIKE_ONE.search(field.name)
    }
    assert columns == {
        # Called: Kommo's alone. The way back from consent is the browser's to follow.
        "Account.base_url", "Account.redirect_uri",
        # Shown, and told to leads.
        "Pipeline.booking_url", "Lead.meeting_link", "Meeting.link",
    }  # fmt: skip
    keys_of_document = {
        f"{part.__name__}.{key.name}"
        for part in vars(document).values()
        if isinstance(part, type) and part.__module__ == document.__name__ and hasattr(part, "__dataclass_fields__")
        for key in fields(part)
        if LOOKS_LIKE_ONE.search(key.name)
    }
    assert keys_of_document == {"Pipeline.booking_url"}
    names = {
        f"{name}.{key}"
        for name, class_ in vars(reports).items()
        if isinstance(class_, type) and issubclass(class_, serializers.Serializer)
        for key, field in class_().fields.items()
        if isinstance(field, serializers.URLField) or LOOKS_LIKE_ONE.search(key)
    }
    assert names == {"MeetingFacts.link"}
    # Keys by which sources prove who calls, and nothing to call.
    assert not any(LOOKS_LIKE_ONE.search(name) for source in source_kinds.SOURCES.values() for name in source.settings)
    # Servers that messages leave by: Kommo's own ways need none, and what staff may not name is refused below.
    assert {kind for kind, way in WAYS.items() if "url" in way.settings} == {
        "evolution", "waha", "zapi", "whatsapp_cloud", "chatwoot",
    }  # fmt: skip
    assert not any(LOOKS_LIKE_ONE.search(name) for way in WAYS.values() for name in set(way.settings) - {"url"})
    environment = {name for name in dir(here) if name.isupper() and LOOKS_LIKE_ONE.search(name)}
    ours = environment & set(re.findall(r"^#? ?([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert ours == {
        "ALLOWED_HOSTS", "KOMMO_BASE_URL", "KOMMO_REDIRECT_URI", "AGENT_WEBHOOK_URL", "ALERT_WEBHOOK_URL",
        "EVOLUTION_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT",
    }  # fmt: skip


# Where these lead is the host's to say; what is not found there is not reached either.
NAMES_OF_HOSTS = {"localhost.localdomain", "ip6-localhost", "127.0.0.1.nip.io"}
OLDER_KIND = ["[2002:7f00:1::1]", "[64:ff9b::10.0.0.1]", "[::ffff:10.0.0.1]", "[::10.0.0.1]", "[fec0::1]", "100.64.0.1"]
NOBODYS = ["[::ffff:0:127.0.0.1]", "192.0.0.8", "224.0.0.1", "[ff02::1]"]


@pytest.mark.parametrize("kind", sorted(kind for kind, way in WAYS.items() if "url" in way.settings))
def test_no_way_out_that_staff_make_leads_into_our_own_network(pipeline, kind):
    needed = dict.fromkeys(WAYS[kind].needs, "1")
    inside = [host for host in LOOPBACKS if host not in NAMES_OF_HOSTS] + OLDER_KIND + NOBODYS
    for host, shape in product(inside, ("https://{}", "https://{}:9499/x", "https://acme.example@{}/", "http://{}")):
        with pytest.raises(ConfigurationError):
            channels.establish(kind, "out", settings=needed | {"url": shape.format(host)}, by_staff=True)
    assert not Channel.objects.exists()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1\\.acme.example", "https://localhost\\@acme.example/x", "https://a\\b"]
)
def test_no_address_is_taken_that_two_readers_read_as_two_hosts(pipeline, url):
    for by_staff in (True, False):
        with pytest.raises(ConfigurationError):
            channels.establish("waha", "out", settings={"url": url, "instance": "a"}, by_staff=by_staff)


@pytest.mark.parametrize("kind", sorted(kind for kind, way in WAYS.items() if "url" in way.settings))
@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.8", "::1", "::ffff:10.0.0.1", "169.254.169.254"])
def test_a_name_that_leads_inside_once_it_is_saved_is_not_called(pipeline, monkeypatch, kind, inside):
    leads_to = ["8.8.8.8"]
    monkeypatch.setattr(private_networks, "addresses", lambda host, port: leads_to)
    settings = dict.fromkeys(WAYS[kind].needs, "1") | {"url": "https://acme.example:9499"}
    way = channels.establish(kind, "out", settings=settings, by_staff=True)
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))

    # One of several is enough.
    leads_to.append(inside)
    trouble = testing_channels.trouble(way)
    person = Person("1", ({"kind": "phone", "value": MARIA}, {"kind": "external", "value": "chatwoot:7"}))
    sent = WAYS[kind].say(None, channels.settings_of(way), person, Part("1", "oi"), timezone.now())

    assert signed_calls.LEADS_INSIDE in trouble and signed_calls.LEADS_INSIDE in sent.reason
    assert sent.outcome is Outcome.RETRY and not connected


@pytest.mark.parametrize(
    ("url", "by", "is_called"),
    [
        ("https://acme.example", "staff, before the name was looked up at each call", False),
        ("HTTPS://acme.example", "staff, before the name was looked up at each call", False),
        # Staff could never name one.
        ("http://acme.example", "a command, before", True),
        ("https://acme.example", "a command", True),
    ],
)
def test_whoever_made_it_a_way_out_leads_inside_only_where_a_command_said_so(pipeline, monkeypatch, url, by, is_called):
    """One that is there already needs no saving again."""
    settings = {"url": url, "instance": "a"}
    if by == "a command":
        way = channels.establish("waha", "out", settings=settings)
    else:
        way = Channel.objects.create(kind="waha", slug="out", settings=json.dumps(settings))
    monkeypatch.setattr(private_networks, "addresses", lambda host, port: ["10.0.0.8"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.0.0.8", 1))])
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))

    testing_channels.trouble(way)

    assert bool(connected) == is_called


def test_staff_who_save_it_again_let_no_more_through_than_the_command_did(pipeline, monkeypatch):
    monkeypatch.setattr(private_networks, "addresses", lambda host, port: ["8.8.8.8"])
    values = {"instance": "a", "api_key": "k"}
    channels.establish("waha", "out", settings={"url": "https://inside.example", **values})
    same = channels.establish("waha", "out", settings={"url": "https://inside.example", **values}, by_staff=True)
    assert not is_outside_only(channels.settings_of(same))
    other = channels.establish("waha", "out", settings={"url": "https://other.example", **values}, by_staff=True)
    assert is_outside_only(channels.settings_of(other))
    again = channels.establish("waha", "out", settings={"url": "https://other.example"})
    assert not is_outside_only(channels.settings_of(again))


def test_what_is_called_is_the_very_address_that_was_looked_at(pipeline, monkeypatch):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            for _ in range(2):
                with server.accept()[0] as connection:
                    heard.append(connection.recv(1000).decode())
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

        Thread(target=answer, daemon=True).start()
        # The first of them answers nobody.
        monkeypatch.setattr(private_networks, "addresses", lambda host, port: ["127.0.0.2", "127.0.0.1"])
        monkeypatch.setattr(private_networks, "is_inside", lambda address: False)
        for _ in range(2):
            assert signed_calls.send(f"http://acme.example:{port}/x", b"{}", {}, outside_only=True).is_success

    assert all(f"Host: acme.example:{port}" in request for request in heard) and len(heard) == 2


@pytest.fixture
def called(monkeypatch):
    """Note whom anybody asks for or connects to, by name and by address."""
    asked = set()
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def resolving(host, port, *args, **kwargs):
        asked.add((str(host), port))
        return resolve(host, port, *args, **kwargs)

    def connecting(self, address):
        asked.add(tuple(address[:2]) if isinstance(address, tuple) else (address, 0))
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    monkeypatch.setattr(socket.socket, "connect", connecting)
    return asked


SPELLED = [f"{scheme}://{host}{port}/x" for host in LOOPBACKS for scheme, port in (("http", ":9499"), ("https", ""))]


def test_addresses_of_this_machine_are_never_called_whoever_writes_them(
    account, pipeline, kommo, agent_key, called, settings, admin_client
):
    settings.KOMMO_BASE_URL = account.base_url
    settings.FOLLOWUP_CHANNEL, settings.AGENT_WEBHOOK_URL = "", ""
    at = timezone.now()
    way = {
        kind: managing_intakes.path_of(managing_intakes.establish(kind, kind, settings={}))
        for kind in Intake.Kind.values
    }
    client, kept = Client(), 0
    for number, url in enumerate(SPELLED):
        # A lead may be written to with the pipeline's own link.
        if not booking_links.wrong(url):
            pipeline.booking_url = url
            pipeline.save(update_fields=["booking_url"])
        phone = f"+55819{80000000 + number}"
        report = {
            "lead": {"phone": phone, "name": url[:200], "custom": {"site": url}},
            "message": {"id": f"m{number}", "direction": "inbound", "text": f"veja {url}", "sent_at": at.isoformat()},
            "context": {
                "meeting": {
                    "id": f"b{number}", "status": "scheduled", "link": url,
                    "starts_at": (at + timedelta(days=2)).isoformat(),
                }
            },
        }  # fmt: skip
        answer = client.post(
            "/api/v1/interactions/", report, content_type="application/json", HTTP_AUTHORIZATION=f"Api-Key {agent_key}"
        )
        assert answer.status_code == 201, answer.content
        digits = phone[1:]
        document_ = {"url": url, "fileName": "a.pdf", "mimetype": "application/pdf", "caption": url}
        for kind, call in (
            ("evolution", body(
                "evolution/01", data__key__id=f"3A{number:08d}", data__key__remoteJid=f"{digits}@s.whatsapp.net",
                data__key__remoteJidAlt=None,
                data__message={"documentMessage": document_}, server_url=url,
            )),
            ("zapi", body(
                "zapi/04", messageId=f"3B{number:08d}", phone=digits, audio__audioUrl=url, photo=url,
                chatLid=f"9{number:010d}@lid",
            )),
            ("calcom", body(
                "calcom/01", payload__uid=f"cal{number}", payload__metadata={"videoCallUrl": url},
                payload__location=url, payload__bookerUrl=url, payload__responses__attendeePhoneNumber={"value": phone},
                payload__attendees=[{"name": url, "email": f"lead{number}@example.com"}],
            )),
            ("calendly", body(
                "calendly/01", payload__uri=url, payload__scheduled_event__location={"join_url": url},
                payload__text_reminder_number=phone, payload__cancel_url=url,
                payload__email=f"lead{number}@example.com",
            )),
        ):  # fmt: skip
            assert client.post(way[kind], call, content_type="application/json").status_code == 200
        kept += 1
    reading_calls.read_all()
    handoff_lead = Lead.objects.order_by("pk").first()
    handoff.pause(handoff_lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason=SPELLED[0], now=at)
    drain(account)
    card = Lead.objects.select_related("card").exclude(card__kommo_lead_id=None).order_by("pk").first().card
    post_hooks(
        account, hook_of_message(card.kommo_lead_id, card.kommo_contact_id, SPELLED[0]),
        hook_of_note(card.kommo_lead_id, SPELLED[2]),
    )  # fmt: skip
    process_inbox(account.pk)
    dispatch.fire(holder="test", until=timezone.now() + timedelta(seconds=1))
    for lead in Lead.objects.order_by("pk")[:3]:
        admin_client.get(f"/admin/leads/lead/{lead.pk}/change/")
        texts.render("{{ booking_url }} {{ meeting.link }}", texts.facts_of(lead, at=at))

    # They were kept, and stand where people see them; so there was something to call.
    assert kept == len(SPELLED)
    assert Meeting.objects.filter(link__contains="127.0.0.1").exists()
    assert "169.254" in str(list(Lead.objects.values_list("custom", flat=True)))
    assert called
    kommo_is_at = ("127.0.0.1", int(account.base_url.rpartition(":")[2]))
    redis = {("127.0.0.1", 6379), ("localhost", 6379)}
    assert called - redis <= {kommo_is_at, ("localhost", kommo_is_at[1])}


@pytest.fixture
def agent_key(pipeline):
    return api_keys.issue(ApiKey(name="agent"))


def ends(network: str) -> set[str]:
    """Return the first and the last address of a network, and one within."""
    block = ipaddress.ip_network(network)
    return {str(block[0]), str(block[-1]), str(block[block.num_addresses // 3])}


@pytest.mark.parametrize(
    "network",
    [
        "192.88.99.0/24", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "203.0.113.0/24", "240.0.0.0/4",
        "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:db8::/32",
        "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "64:ff9b::10.0.0.0/104", "2002:c058:6300::/40",
    ],
)  # fmt: skip
def test_what_has_a_special_purpose_is_nobodys_outside(network):
    assert {address for address in ends(network) if not private_networks.is_inside(address)} == set()


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "192.88.98.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::1.1.1.1", "2002:101:101::"],
)
def test_everybody_else_is_outside(address):
    assert not private_networks.is_inside(address)
