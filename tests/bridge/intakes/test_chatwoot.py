from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import calendly, chatwoot
from bridge.intakes.source_news import Address, Call, Ignored, Message, Status
from tests.bridge.intakes.bodies import body, raw

MARIA = (
    Address("phone", "+5581991234567"),
    Address("whatsapp", "558191234567@s.whatsapp.net"),
    Address("external", "chatwoot:3:815"),
)


def read_one(name: str = "chatwoot/01", **changes):
    [news] = chatwoot.read(body(name, **changes))
    return news


def test_a_lead_writes_and_the_message_is_known_by_both_ids():
    assert read_one() == Message(
        direction="inbound",
        addresses=MARIA,
        id="wamid.HBgMNTU4MTkxMjM0NTY3FQIAEhggRXhlbXBsbzAxAA==",
        other_id="5001",
        at=datetime(2026, 11, 24, 11, 59, 30, 890000, tzinfo=UTC),
        text="Oi, quero saber da energia solar",
        name="Maria Souza",
    )


def test_a_person_answers():
    news = read_one("chatwoot/02")
    assert (news.direction, news.addresses, news.author, news.name, news.id) == (
        "staff", MARIA, "Ana Vendas", "", "5002",
    )  # fmt: skip


def test_a_private_note_is_no_message():
    assert isinstance(read_one("chatwoot/03"), Ignored)


def test_an_agent_bot_is_the_agent():
    news = read_one("chatwoot/04")
    assert (news.direction, news.addresses, news.author) == ("outbound", MARIA, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"message_type": "template"},
        {"message_type": "activity"},
        {"message_type": 2},
        {"message_type": None},
        {"sender": None},
        {"sender__type": None},
        {"sender__type": "captain_assistant"},
        {"content_attributes": {"automation_rule_id": 4}},
        {"content_attributes": {"deleted": True}},
        {"content_attributes": {"is_reaction": True}},
        {"private": True},
        {"content": None},
        {"event": "conversation_resolved"},
        {"event": None},
        {"conversation__contact_inbox__source_id": "1203630@g.us"},
        {"conversation__meta__sender": None},
    ],
)
def test_what_is_nobodys_message(changes):
    if changes.get("conversation__meta__sender", "") is None:
        changes = changes | {"conversation__contact_inbox": None}
    assert isinstance(read_one("chatwoot/02", **changes), Ignored)


@pytest.mark.parametrize(("kind", "direction"), [("incoming", "inbound"), (0, "inbound")])
@pytest.mark.parametrize("sender_type", ["contact", None])
def test_an_incoming_message_is_the_leads_whatever_the_sender_says(kind, direction, sender_type):
    assert read_one(message_type=kind, sender__type=sender_type).direction == direction


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"sender__identifier": "104729384756011@lid"}, Address("lid", "104729384756011@lid")),
        ({"sender__identifier": "558191234567@s.whatsapp.net"}, MARIA[1]),
        ({"conversation__channel": "Channel::Instagram", "conversation__contact_inbox__source_id": "178414"},
         Address("instagram", "178414")),
        ({"conversation__channel": "Channel::Telegram", "conversation__contact_inbox__source_id": "42"},
         Address("telegram", "42")),
        ({"conversation__channel": "Channel::FacebookPage", "conversation__contact_inbox__source_id": "42"},
         Address("external", "facebook:42")),
        ({"sender__email": "Maria@Example.com"}, Address("email", "maria@example.com")),
        ({"conversation__contact_inbox__source_id": "BR.9012345678901234"}, Address("bsuid", "BR.9012345678901234")),
    ],
)  # fmt: skip
def test_where_a_contact_is_reached(changes, found):
    assert found in read_one(**changes).addresses


def test_a_web_visitor_is_known_by_the_contact_alone():
    news = read_one(sender__phone_number=None, conversation__channel="Channel::WebWidget")
    assert news.addresses == (Address("external", "chatwoot:3:815"),)


def test_what_a_web_visitor_types_is_claimed_and_not_proven():
    news = read_one(sender__email="Maria@Example.com", conversation__channel="Channel::WebWidget")
    assert news.addresses == (Address("external", "chatwoot:3:815"),)
    assert Address("phone", "+5581991234567") in news.claimed
    assert Address("email", "maria@example.com") in news.claimed


def test_files_are_references():
    files = [{"file_type": "audio", "data_url": "https://chat.example/rails/blob/nota.ogg"}]
    news = read_one() if False else chatwoot.read(body("chatwoot/01", content=None) | {"attachments": files})[0]
    assert (news.kind, news.text, news.attachments[0].name) == ("audio", "", "nota.ogg")


def test_a_later_status_is_no_second_message():
    news = read_one("chatwoot/04", event="message_updated", status="read", source_id="wamid.X")
    assert news == Status(("wamid.X", "5004"), "delivered", None, True)
    failed = read_one(
        "chatwoot/04", event="message_updated", status="failed", content_attributes={"external_error": "131047"}
    )
    assert (failed.state, failed.reason) == ("not_delivered", "131047")
    assert isinstance(read_one("chatwoot/01", event="message_updated"), Ignored)
    assert isinstance(read_one("chatwoot/04", event="message_updated", status="sent"), Ignored)


def test_the_signature_is_over_time_and_bytes():
    bytes_ = raw("chatwoot/01")
    right = "sha256=" + hmac.new(b"s", b"1795521600." + bytes_, "sha256").hexdigest()
    stamp = {"x-chatwoot-timestamp": "1795521600", "x-chatwoot-delivery": "d"}
    now = datetime.fromtimestamp(1795521600, UTC)
    assert chatwoot.is_signed(Call(bytes_, stamp | {"x-chatwoot-signature": right}, now), {"secret": "s"})
    for wrong in (
        stamp | {"x-chatwoot-signature": right[7:]},
        {"x-chatwoot-timestamp": "1795521601", "x-chatwoot-signature": right},
        {"x-chatwoot-signature": right},
        stamp,
        {},
    ):
        assert not chatwoot.is_signed(Call(bytes_, wrong, now), {"secret": "s"})


@pytest.mark.parametrize(
    ("stamp", "counts"),
    [
        ("1795521600", True), ("1795100000", True), ("1795524000.5", True), ("1795080000", False),
        ("1795530000", False), ("1", False), ("nan", False), ("inf", False), ("-1795521600", False), ("1e9", False),
        ("", False), ("9" * 400, False), ("١٧٩٥٥٢١٦٠٠", False), (" 1795521600", False), ("0x6b05a280", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", [chatwoot, calendly])
def test_a_call_that_was_signed_long_ago_or_at_no_time_proves_nothing(source, stamp, counts):
    signature = hmac.new(b"s", f"{stamp}.".encode() + b"{}", "sha256").hexdigest()
    headers = {
        "x-chatwoot-timestamp": stamp,
        "x-chatwoot-signature": f"sha256={signature}",
        "calendly-webhook-signature": f"t={stamp},v1={signature}",
    }

    call = Call(b"{}", headers, datetime.fromtimestamp(1795521600, UTC))

    assert source.is_signed(call, {"secret": "s"}) is counts
