from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.intakes import zapi
from bridge.intakes.source_news import Address, Ignored, Message, Status
from tests.bridge.intakes.bodies import body

BOTH = (Address("whatsapp", "558191234567@s.whatsapp.net"), Address("lid", "104729384756011@lid"))


def read_one(name: str = "zapi/01", **changes):
    [news] = zapi.read(body(name, **changes))
    return news


def read_message(**parts):
    return read_one(text=None, **parts)


def test_a_lead_writes():
    assert read_one() == Message(
        direction="inbound",
        addresses=BOTH,
        id="3A4F5D1E2B3C4A5B6C7D",
        at=datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC),
        text="Oi, quanto custa?",
        name="Maria Souza",
    )


@pytest.mark.parametrize(
    ("name", "from_api", "direction"),
    [("zapi/02", False, "staff"), ("zapi/02", None, "staff"), ("zapi/03", True, "outbound")],
)
def test_who_of_ours_wrote_and_whose_name_it_is_not(name, from_api, direction):
    news = read_one(name, fromApi=from_api)
    assert (news.direction, news.addresses, news.name) == (direction, BOTH, "")


def test_a_voice_message():
    news = read_one("zapi/04")
    assert (news.kind, news.text, news.attachments[0].reference[:8]) == ("audio", "", "https://")


def test_a_status_names_messages():
    news = read_one("zapi/05")
    assert news == Status(
        ("3EB0A1B2C3D4E5F60718A9",), "delivered", datetime(2026, 11, 24, 11, 59, 58, tzinfo=UTC), True
    )
    for status in ("READ_BY_ME", "", None):
        assert isinstance(read_one("zapi/05", status=status), Ignored)
    assert isinstance(read_one("zapi/05", ids=None), Ignored)
    assert isinstance(read_one("zapi/05", isGroup=True), Ignored)


def test_that_whatsapp_took_it_is_a_status():
    [news] = zapi.read({"type": "DeliveryCallback", "messageId": "3EB0", "phone": "558191234567", "zaapId": "x"})
    assert news == Status(("3EB0",), "sent")
    [failed] = zapi.read({"type": "DeliveryCallback", "messageId": "3EB0", "error": "Phone number does not exist"})
    assert (failed.state, failed.reason) == ("not_delivered", "Phone number does not exist")


@pytest.mark.parametrize(
    "changes",
    [
        {"isGroup": True, "phone": "1203630-group", "participantPhone": "558191234567"},
        {"isGroup": None, "phone": "1203630-group"},
        {"phone": "5581999999999-1623281429@g.us"},
        {"isNewsletter": True},
        {"broadcast": True},
        {"phone": "status@broadcast"},
        {"isEdit": True},
        {"waitingMessage": True},
        {"type": "PresenceChatCallback"},
        {"type": None},
        {"text": None},
        {"text": None, "reaction": {"value": "👍", "referencedMessage": {"messageId": "x"}}},
        {"text": None, "notification": "MEMBERSHIP_APPROVAL_REQUEST"},
        {"phone": "558134567800", "chatLid": None},
        {"phone": None, "chatLid": None},
    ],
)
@pytest.mark.parametrize("name", ["zapi/01", "zapi/02"])
def test_what_is_about_no_lead(name, changes):
    assert isinstance(read_one(name, **changes), Ignored)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"phone": "104729384756011@lid"}, BOTH[1:]),
        ({"phone": "104729384756011@lid", "chatLid": None, "senderLid": "104729384756011@lid"}, BOTH[1:]),
        ({"phone": "558191234567", "chatLid": None}, BOTH[:1]),
        ({"phone": "558191234567@c.us"}, BOTH),
    ],
)
def test_where_the_lead_stands(changes, found):
    assert read_one(**changes).addresses == found


def test_of_a_message_of_ours_the_senders_hidden_id_is_ours():
    assert read_one("zapi/02", senderLid="90908877665544@lid").addresses == BOTH


@pytest.mark.parametrize(
    ("parts", "text", "kind"),
    [
        ({"buttonsResponseMessage": {"buttonId": "1", "message": "Quero"}}, "Quero", "text"),
        ({"listResponseMessage": {"message": "", "title": "Visita", "selectedRowId": "v"}}, "Visita", "text"),
        ({"hydratedTemplate": {"message": "Olá!", "footer": "x"}}, "Olá!", "text"),
        ({"image": {"caption": "minha conta", "imageUrl": "https://x/y.jpg", "mimeType": "image/jpeg"}}, "minha conta",
         "image"),
        ({"document": {"caption": "", "documentUrl": "https://x/y.pdf", "fileName": "y.pdf"}}, "", "document"),
        ({"location": {"name": "", "address": "Rua A", "latitude": 1}}, "Rua A", "location"),
        ({"contact": {"displayName": "Zé"}}, "Zé", "contact"),
        ({"sticker": {"stickerUrl": "https://x/y.webp"}}, "", "sticker"),
    ],
)  # fmt: skip
def test_what_messages_hold(parts, text, kind):
    news = read_message(**parts)
    assert (news.text, news.kind) == (text, kind)


def test_an_answer_to_a_status_of_ours_is_a_message():
    assert read_one(isStatusReply=True).text == "Oi, quanto custa?"
