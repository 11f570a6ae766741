from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import waha
from bridge.intakes.source_news import Address, Call, Ignored, Message, Status
from tests.bridge.intakes.bodies import body, raw

MARIA, LID = Address("whatsapp", "558191234567@s.whatsapp.net"), Address("lid", "104729384756011@lid")
JOAO = (Address("whatsapp", "558191234568@s.whatsapp.net"), Address("lid", "104729384756012@lid"))


def read_one(name: str = "waha/01", **changes):
    [news] = waha.read(body(name, **changes))
    return news


def test_a_lead_writes_and_both_ids_are_known():
    assert read_one() == Message(
        direction="inbound",
        addresses=(MARIA, LID),
        id="3A4F5D1E2B3C4A5B6C7D",
        at=datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC),
        text="Oi, quero saber da energia solar",
        name="Maria Souza",
    )


def test_who_subscribed_to_both_events_tells_one_message():
    assert read_one(event="message", id="evt_other") == read_one()


def test_staff_write_on_the_phone_where_from_is_the_company():
    news = read_one("waha/02")
    assert (news.direction, news.addresses, news.name) == ("staff", (MARIA,), "")


def test_what_was_sent_through_waha_is_the_agents_where_from_is_the_chat():
    news = read_one("waha/03")
    assert (news.direction, news.addresses, news.id) == ("outbound", (MARIA,), "3EB0A1B2C3D4E5F60718A9")


def test_a_voice_message_of_somebody_hidden_with_the_number_beside_it():
    news = read_one("waha/04")
    assert (news.addresses, news.kind, news.text, news.name) == (JOAO, "audio", "", "João Pereira")
    assert news.attachments[0].reference == "http://waha.example/api/files/default/AC9103D1.oga"


def test_a_status_names_the_message_by_its_own_id():
    assert read_one("waha/05") == Status(("3EB0A1B2C3D4E5F60718A9",), "delivered", None, True)
    assert read_one("waha/05", payload__ackName=None, payload__ack=1).state == "sent"
    assert isinstance(read_one("waha/05", payload__ackName="PENDING"), Ignored)
    assert isinstance(read_one("waha/05", payload__fromMe=False, payload__id="false_558191234567@c.us_3A"), Ignored)


@pytest.mark.parametrize("chat", ["1203630@g.us", "status@broadcast", "12036@newsletter"])
@pytest.mark.parametrize("ours", ["true", "false"])
def test_groups_statuses_and_newsletters_are_about_no_lead(chat, ours):
    news = read_one(payload__id=f"{ours}_{chat}_3A4F_558191234567@c.us", payload__fromMe=ours == "true")
    assert isinstance(news, Ignored)


@pytest.mark.parametrize("event", ["message.reaction", "message.revoked", "message.edited", "session.status", "", None])
def test_other_events_are_no_messages(event):
    assert isinstance(read_one(event=event), Ignored)


@pytest.mark.parametrize("kind", ["revoked", "e2e_notification", "ciphertext", "call_log", "reaction"])
def test_notices_of_webjs_are_no_messages(kind):
    assert isinstance(read_one("waha/02", payload___data__type=kind), Ignored)


@pytest.mark.parametrize(
    ("sender_alt", "found"),
    [
        ("558191234568:77@s.whatsapp.net", JOAO),
        (None, JOAO[1:]),
        # The company beside its own lead.
        ("558134567800@s.whatsapp.net", JOAO[1:]),
    ],
)
def test_the_number_beside_a_hidden_id(sender_alt, found):
    assert read_one("waha/04", payload___data__Info__SenderAlt=sender_alt).addresses == found


def test_beside_a_number_stands_the_hidden_id():
    changes = {"payload__id": "false_558191234568@c.us_AC5E", "payload__from": "558191234568@c.us"}
    assert read_one("waha/04", payload___data__Info__SenderAlt="104729384756012@lid", **changes).addresses == JOAO


def test_of_a_message_of_ours_the_sender_is_us():
    changes = {"payload__id": "true_104729384756012@lid_AC5E", "payload__fromMe": True}
    news = read_one(
        "waha/04", **changes, payload___data__Info__SenderAlt="558199990000@s.whatsapp.net",
        payload___data__Info__RecipientAlt="558191234568@s.whatsapp.net",
    )  # fmt: skip
    assert (news.direction, news.addresses, news.name) == ("staff", JOAO, "")


@pytest.mark.parametrize(
    ("source", "id", "direction"),
    [("app", "3EB0AA", "staff"), ("api", "3A11", "outbound"), (None, "3A11", "staff"), (None, "3EB0AA", "outbound")],
)
def test_who_of_ours_wrote(source, id, direction):
    news = read_one("waha/03", payload__source=source, payload__id=f"true_558191234567@c.us_{id}")
    assert news.direction == direction


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"payload__hasMedia": True, "payload__media": None, "payload__body": ""}, "other", ""),
        ({"payload__hasMedia": True, "payload__media": {"mimetype": "image/png", "url": "u"}}, "image",
         "Oi, quero saber da energia solar"),
        ({"payload__media": {"mimetype": "application/pdf", "url": "u"}, "payload__body": ""}, "document", ""),
        ({"payload__body": "", "payload__location": {"name": "Casa", "address": "Rua A"}}, "location", "Casa, Rua A"),
        ({"payload__body": "", "payload__vCards": ["BEGIN:VCARD"]}, "contact", ""),
        ({"payload__body": "", "payload___data__message": {"imageMessage": {"caption": "x"}}}, "image", "x"),
    ],
)  # fmt: skip
def test_what_messages_hold(changes, kind, text):
    if "payload___data__message" not in changes and not changes.get("payload__body", "x"):
        changes = changes | {"payload___data__message": None}
    news = read_one(**changes)
    assert (news.kind, news.text) == (kind, text)


def test_nothing_at_all_is_no_message():
    assert isinstance(read_one(payload__body="", payload___data__message={"reactionMessage": {"text": "👍"}}), Ignored)


def test_an_id_that_does_not_name_the_chat():
    news = read_one("waha/02", payload__id="3A11")
    assert (news.addresses, news.id) == ((MARIA,), "3A11")


def test_the_signature_is_over_the_bytes():
    bytes_ = raw("waha/01")
    right = hmac.new(b"chave", bytes_, "sha512").hexdigest()
    for signature, counts in ((right, True), (right.upper(), True), (right[:-1], False), ("", False)):
        call = Call(bytes_, {"x-webhook-hmac": signature, "x-webhook-hmac-algorithm": "sha512"})
        assert waha.is_signed(call, {"hmac_key": "chave"}) is counts
    assert not waha.is_signed(Call(bytes_ + b" ", {"x-webhook-hmac": right}), {"hmac_key": "chave"})
    assert not waha.is_signed(Call(bytes_), {"hmac_key": "chave"})


def test_the_example_of_the_documentation():
    raw_body = b'{"event":"message","session":"default","engine":"WEBJS"}'
    signature = (
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
    )
    assert waha.is_signed(Call(raw_body, {"x-webhook-hmac": signature}), {"hmac_key": "my-secret-key"})
