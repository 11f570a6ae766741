from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from bridge.intakes import evolution
from bridge.intakes.source_news import Address, Call, Ignored, Message, Status
from tests.bridge.intakes.bodies import body

MARIA = Address("whatsapp", "558191234567@s.whatsapp.net")
JOAO = Address("whatsapp", "558191234568@s.whatsapp.net")
LID = "104729384756011@lid"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read_one(name: str = "evolution/01", **changes):
    [news] = evolution.read(body(name, **changes))
    return news


def read_message(**message):
    return read_one(data__message=message)


def test_a_lead_writes():
    assert read_one() == Message(
        direction="inbound",
        addresses=(MARIA,),
        id="3A4F5D1E2B3C4A5B6C7D",
        at=datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC),
        text="Boa tarde, vi o anúncio da energia solar",
        name="Maria Souza",
    )


def test_a_hidden_id_comes_with_the_number_beside_it_and_what_is_quoted_is_not_said():
    news = read_one("evolution/02")
    assert news.addresses == (JOAO, Address("lid", "104729384756012@lid"))
    assert (news.direction, news.text) == ("inbound", "Pode ser na quinta às 10h")


def test_staff_write_on_the_phone_and_their_name_is_nobodys():
    news = read_one("evolution/03")
    assert (news.direction, news.addresses[0], news.name) == ("staff", MARIA, "")


def test_what_the_api_sent_is_the_agents():
    news = read_one("evolution/04")
    assert (news.direction, news.addresses, news.id, news.name) == ("outbound", (MARIA,), "3EB0A1B2C3D4E5F60718A9", "")


def test_a_file_is_a_reference_with_its_caption():
    news = read_one("evolution/05")
    assert (news.kind, news.text) == ("image", "minha conta de luz")
    [file] = news.attachments
    assert (file.kind, file.mime, file.reference[:23]) == ("image", "image/jpeg", "https://mmg.whatsapp.ne")


def test_a_status_names_the_message():
    assert read_one("evolution/06") == Status(("3EB0A1B2C3D4E5F60718A9",), "delivered", None, True)


@pytest.mark.parametrize(
    ("status", "state", "is_read"),
    [("SERVER_ACK", "sent", False), ("DELIVERY_ACK", "delivered", False), ("PLAYED", "delivered", True)],
)
def test_what_a_status_says(status, state, is_read):
    news = read_one("evolution/06", data__status=status)
    assert (news.state, news.is_read) == (state, is_read)


@pytest.mark.parametrize("status", ["DELETED", "PENDING", "", None, 7])
def test_other_statuses_say_nothing(status):
    assert isinstance(read_one("evolution/06", data__status=status), Ignored)


@pytest.mark.parametrize("event", ["MESSAGES_UPSERT", "messages-upsert", "Messages.Upsert"])
def test_the_events_name_in_any_spelling(event):
    assert isinstance(read_one(event=event), Message)


@pytest.mark.parametrize(
    "event",
    ["connection.update", "qrcode.updated", "contacts.upsert", "presence.update", "messages.edited", "messages.delete",
     "messages.set", "chats.update", "groups.upsert", "", None, 5],
)  # fmt: skip
def test_other_events_are_no_conversation(event):
    assert isinstance(read_one(event=event), Ignored)


@pytest.mark.parametrize(
    "chat",
    ["120363041234567890@g.us", "status@broadcast", "1234567890@broadcast", "120363012345678901@newsletter", "", None,
     "no jid", 5],
)  # fmt: skip
@pytest.mark.parametrize("event", ["messages.upsert", "send.message"])
def test_what_is_no_chat_with_a_person_is_about_no_lead(chat, event):
    news = read_one(event=event, data__key__remoteJid=chat, data__key__remoteJidAlt=None)
    assert isinstance(news, Ignored)


def test_a_groups_member_is_no_lead_of_the_group():
    news = read_one(
        data__key__remoteJid="120363041234567890@g.us",
        data__key__participant="558191234567@s.whatsapp.net",
        data__key__participantAlt="104729384756011@lid",
    )
    assert isinstance(news, Ignored)


@pytest.mark.parametrize(
    ("jid", "alt", "found"),
    [
        (LID, None, [("lid", LID)]),
        (LID, "558191234567@s.whatsapp.net", [("whatsapp", MARIA.value), ("lid", LID)]),
        ("558191234567@s.whatsapp.net", LID, [("whatsapp", MARIA.value), ("lid", LID)]),
        ("558191234567:12@s.whatsapp.net", None, [("whatsapp", MARIA.value)]),
        ("558191234567@c.us", "558191234567@s.whatsapp.net", [("whatsapp", MARIA.value)]),
        # The company's own number beside the lead's is no address of the lead.
        (LID, "558134567800@s.whatsapp.net", [("lid", LID)]),
    ],
)  # fmt: skip
def test_a_persons_addresses_the_number_first(jid, alt, found):
    news = read_one(data__key__remoteJid=jid, data__key__remoteJidAlt=alt)
    assert [(address.kind, address.value) for address in news.addresses] == found


def test_notes_to_oneself_are_about_no_lead():
    assert isinstance(
        read_one("evolution/03", data__key__remoteJid="558134567800@s.whatsapp.net", data__key__remoteJidAlt=None),
        Ignored,
    )


@pytest.mark.parametrize("name", ["104729384756011", "+104729384756011", "558191234567"])
def test_digits_that_stand_where_no_name_is_are_no_name(name):
    news = read_one(data__key__remoteJidAlt="104729384756011@lid", data__pushName=name)
    assert news.name == ""


NO_MESSAGES = [
    {"reactionMessage": {"key": {"id": "x"}, "text": "👍"}},
    {"protocolMessage": {"type": "REVOKE", "key": {"id": "x"}}},
    {"protocolMessage": {"type": "MESSAGE_EDIT", "editedMessage": {"conversation": "outro"}}},
    {"editedMessage": {"message": {"protocolMessage": {"editedMessage": {"conversation": "outro"}}}}},
    {"messageContextInfo": {}, "reactionMessage": {"text": ""}},
    {"pollUpdateMessage": {"vote": {}}},
    {"senderKeyDistributionMessage": {"groupId": "x"}},
    {"messageContextInfo": {"deviceListMetadata": {}}},
    {"ephemeralMessage": {"message": {"reactionMessage": {"text": "👍"}}}},
    {},
]


@pytest.mark.parametrize("message", NO_MESSAGES)
@pytest.mark.parametrize("from_us", [True, False])
def test_reactions_edits_and_deletions_are_no_messages(message, from_us):
    assert isinstance(read_one(data__message=message, data__key__fromMe=from_us), Ignored)


def test_a_notice_of_whatsapps_is_no_message():
    assert isinstance(read_one(data__messageStubType="CIPHERTEXT", data__message=None), Ignored)


@pytest.mark.parametrize(
    ("message", "text", "kind"),
    [
        ({"messageContextInfo": {}, "conversation": "oi"}, "oi", "text"),
        ({"extendedTextMessage": {"text": "oi", "contextInfo": {"quotedMessage": {}}}}, "oi", "text"),
        ({"ephemeralMessage": {"message": {"conversation": "oi"}}}, "oi", "text"),
        ({"ephemeralMessage": {"message": {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}}}, "", "image"),
        ({"documentWithCaptionMessage": {"message": {"documentMessage": {"caption": "conta", "fileName": "a.pdf"}}}},
         "conta", "document"),
        ({"audioMessage": {"ptt": True, "seconds": 7}}, "", "audio"),
        ({"stickerMessage": {"mimetype": "image/webp"}}, "", "sticker"),
        ({"videoMessage": {"caption": "veja"}}, "veja", "video"),
        ({"locationMessage": {"name": "Casa", "address": "Rua A, 1"}}, "Casa, Rua A, 1", "location"),
        ({"contactMessage": {"displayName": "Zé"}}, "Zé", "contact"),
        ({"buttonsResponseMessage": {"selectedButtonId": "1", "selectedDisplayText": "Quero"}}, "Quero", "text"),
        ({"templateButtonReplyMessage": {"selectedId": "1", "selectedDisplayText": "Sim"}}, "Sim", "text"),
        ({"listResponseMessage": {"title": "Visita", "singleSelectReply": {"selectedRowId": "v"}}}, "Visita", "text"),
        ({"interactiveResponseMessage": {"body": {"text": "Enviado"}}}, "Enviado", "text"),
    ],
)  # fmt: skip
def test_what_messages_hold(message, text, kind):
    news = read_message(**message)
    assert (news.text, news.kind) == (text, kind)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1795521570, datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)),
        ("1795521570", datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)),
        (1795521570123, datetime(2026, 11, 24, 11, 59, 30, 123000, tzinfo=UTC)),
        ({"low": 1795521570, "high": 0, "unsigned": True}, datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)),
        (None, None),
        ("soon", None),
        (-5, None),
        (1e300, None),
    ],
)
def test_times_in_seconds_or_milliseconds(value, at):
    assert read_one(data__messageTimestamp=value).at == at


def test_several_messages_of_one_event_as_older_ones_send_them():
    first, second = body("evolution/01")["data"], body("evolution/02")["data"]
    news = evolution.read(body("evolution/01") | {"data": [first, second]})
    assert [message.text for message in news] == [
        "Boa tarde, vi o anúncio da energia solar",
        "Pode ser na quinta às 10h",
    ]


# --- Who calls


def token(key: str = "chave", *, alg: str = "HS256", **claims) -> str:
    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claimed = {"iat": NOW.timestamp(), "exp": NOW.timestamp() + 600, "app": "evolution", "action": "webhook"} | claims
    head = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(claimed)}"
    signature = hmac.digest(key.encode(), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def is_signed(authorization: str) -> bool:
    return evolution.is_signed(Call(b"{}", {"authorization": authorization}, NOW), {"jwt_key": "chave"})


def test_the_token_of_our_key_proves_who_calls():
    assert is_signed(f"Bearer {token()}")
    assert is_signed(f"bearer {token()}")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer ",
        "Bearer a.b.c",
        f"Basic {token()}",
        token(),
        f"Bearer {token('andere')}",
        f"Bearer {token(alg='none')}",
        f"Bearer {token(alg='HS512')}",
        f"Bearer {token().rsplit('.', 1)[0]}.",
        f"Bearer {token(exp=NOW.timestamp() - 61)}",
        f"Bearer {token(iat=NOW.timestamp() + 3600)}",
        f"Bearer {token(exp='never')}",
    ],
)
def test_any_other_token_proves_nothing(authorization):
    assert not is_signed(authorization)
