"""What a source tells that is not what it seems: played twice into the inbox of every source, after a lead's message.

Nothing of it may be taken for somebody who is not there, for a person who took over, or for a second message.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import source_kinds
from bridge.models import IntakeCall
from leads.interaction_values import Direction
from leads.interaction_values import Message as Said
from leads.models import Lead, Meeting, Message
from tests.bridge.intakes.bodies import BODIES, body, raw
from tests.bridge.intakes.test_evolution import token
from tests.conftest import record

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARIA = "+5581991234567"
VALUE = "entry__0__changes__0__value__"
CLOUD = f"{VALUE}messages__0__"
WORDS = "message"


@pytest.fixture(autouse=True)
def noon(time_machine):
    time_machine.move_to(NOW, tick=False)


def evolution(**changes):
    return body("evolution/01", **{f"data__{path}": value for path, value in changes.items()})


def waha(**changes):
    return body("waha/01", **{f"payload__{path}": value for path, value in changes.items()})


def zapi(**changes):
    return body("zapi/01", **changes)


def cloud(**changes):
    return body("whatsapp_cloud/01", **{f"{CLOUD}{path}": value for path, value in changes.items()})


def chatwoot(**changes):
    return body("chatwoot/01", **changes)


# What changes nothing after a lead's first message.
NOTHING_NEW = [
    # Repeated, under other names and at other times.
    (
        "evolution",
        "again by another event's name",
        body("evolution/01", event="MESSAGES_UPSERT", date_time="2026-11-25T00:00:00Z"),
    ),
    ("evolution", "again with another time", evolution(messageTimestamp=1795521599)),
    ("waha", "again by the other event", body("waha/01", event="message", id="evt_other", timestamp=1)),
    (
        "waha",
        "again in the other spelling of the chat",
        waha(id="false_558191234567@s.whatsapp.net_3A4F5D1E2B3C4A5B6C7D"),
    ),
    ("zapi", "again with another time", zapi(momment=1795521599000)),
    ("whatsapp_cloud", "again as a number of seconds", cloud(timestamp=1795521570)),
    ("chatwoot", "again without the channel's id", chatwoot(source_id=None)),
    ("chatwoot", "again as a change", chatwoot(event="message_updated", status="read")),
    # Edited.
    ("evolution", "an edit", evolution(key__id="E1", message={"protocolMessage": {"type": "MESSAGE_EDIT"}})),
    (
        "evolution",
        "an edit, wrapped",
        evolution(key__id="E2", message={"editedMessage": {"message": {"conversation": "x"}}}),
    ),
    ("waha", "an edit", body("waha/01", event="message.edited", payload__body="outra coisa")),
    ("zapi", "an edit", zapi(messageId="E1", isEdit=True)),
    ("whatsapp_cloud", "an edit", cloud(id="E1", type="edit", text=None)),
    ("chatwoot", "an edit", chatwoot(event="message_updated", content="outra coisa")),
    # Deleted.
    ("evolution", "a deletion", evolution(key__id="D1", message={"protocolMessage": {"type": "REVOKE"}})),
    ("evolution", "a deletion as a status", body("evolution/06", data__status="DELETED")),
    ("waha", "a deletion", body("waha/01", event="message.revoked")),
    ("waha", "a deletion, of WEBJS", waha(id="false_558191234567@c.us_D1", _data__type="revoked", body="")),
    ("zapi", "a deletion", zapi(messageId="D1", text=None, notification="REVOKE")),
    ("whatsapp_cloud", "a deletion", cloud(id="D1", type="revoke", text=None)),
    ("chatwoot", "a deletion", chatwoot(id=5009, source_id=None, content_attributes={"deleted": True})),
    # Groups, and who writes in them.
    (
        "evolution",
        "a group",
        evolution(key__id="G1", key__remoteJid="1203630@g.us", key__participant="558191234599@s.whatsapp.net"),
    ),
    (
        "evolution",
        "a person of ours in a group",
        evolution(key__id="G2", key__remoteJid="1203630@g.us", key__fromMe=True),
    ),
    ("waha", "a group", waha(id="false_1203630@g.us_G1_558191234599@c.us", participant="558191234599@c.us")),
    ("zapi", "a group", zapi(messageId="G1", isGroup=True, phone="1203630-group", participantPhone="558191234599")),
    ("whatsapp_cloud", "a group", cloud(id="G1", group_id="Y2FwaV9ncm91cA")),
    (
        "chatwoot",
        "a group",
        chatwoot(id=5009, source_id=None, sender__id=9, sender__identifier="1203630@g.us", sender__phone_number=None),
    ),
    # Statuses: the pictures people show their friends, and what became of a message nobody knows.
    (
        "evolution",
        "a status",
        evolution(key__id="S1", key__remoteJid="status@broadcast", key__participant="558191234599@s.whatsapp.net"),
    ),
    ("waha", "a status", waha(id="false_status@broadcast_S1_558191234599@c.us", **{"from": "status@broadcast"})),
    ("zapi", "a status", zapi(messageId="S1", phone="status@broadcast")),
    ("zapi", "a broadcast", zapi(messageId="S2", broadcast=True, phone="558191234599")),
    ("whatsapp_cloud", "a receipt of a message nobody knows", body("whatsapp_cloud/03")),
    (
        "chatwoot",
        "a receipt of a message nobody knows",
        body("chatwoot/04", event="message_updated", status="delivered"),
    ),
    # Reactions.
    ("evolution", "a reaction", evolution(key__id="R1", message={"reactionMessage": {"text": "👍"}})),
    (
        "evolution",
        "a reaction of ours",
        evolution(key__id="R2", key__fromMe=True, message={"reactionMessage": {"text": "👍"}}),
    ),
    ("waha", "a reaction", body("waha/01", event="message.reaction", payload__id="false_558191234567@c.us_R1")),
    ("zapi", "a reaction", zapi(messageId="R1", text=None, reaction={"value": "👍"})),
    ("zapi", "a reaction of ours", zapi(messageId="R2", fromMe=True, text=None, reaction={"value": "👍"})),
    ("whatsapp_cloud", "a reaction", body("whatsapp_cloud/06")),
    ("chatwoot", "a reaction", chatwoot(id=5009, source_id=None, content_attributes={"is_reaction": True})),
    # Our own number as the other side: notes to oneself, and own sends that come back as received.
    (
        "evolution",
        "our own number",
        evolution(key__id="O1", key__remoteJid="558134567800@s.whatsapp.net", key__remoteJidAlt=None),
    ),
    ("waha", "our own number", waha(id="false_558134567800@c.us_O1", _data=None, **{"from": "558134567800@c.us"})),
    ("zapi", "our own number", zapi(messageId="O1", phone="558134567800", chatLid=None, senderLid=None)),
    ("whatsapp_cloud", "our own number", cloud(id="O1", from_user_id=None, **{"from": "558134567800"})),
    ("chatwoot", "a greeting by itself", chatwoot(id=5009, source_id=None, message_type="template", sender=None)),
    ("chatwoot", "a note among colleagues", body("chatwoot/03")),
    # Nobody is named.
    ("evolution", "nobody", evolution(key__id="N1", key__remoteJid=None, key__remoteJidAlt=None)),
    ("waha", "nobody", waha(id="N1", _data=None, **{"from": None})),
    ("zapi", "nobody", zapi(messageId="N1", phone=None, chatLid=None, senderLid=None)),
    (
        "whatsapp_cloud",
        "nobody",
        body(
            "whatsapp_cloud/01",
            **{f"{CLOUD}id": "N1", f"{CLOUD}from": None, f"{CLOUD}from_user_id": None, f"{VALUE}contacts": None},
        ),
    ),
    (
        "chatwoot",
        "nobody",
        chatwoot(id=5009, source_id=None, sender={"type": "contact"}, conversation__contact_inbox=None),
    ),
]


@pytest.mark.parametrize(
    ("kind", "trap"), [pytest.param(kind, trap, id=f"{kind}: {name}") for kind, name, trap in NOTHING_NEW]
)
def test_what_changes_nothing(way_in, kind, trap):
    way = way_in(kind)
    way.tell(body(f"{kind}/01"))
    [first] = Message.objects.values_list("direction", "text", "sent_at")
    way.tell(trap, trap)
    assert list(Message.objects.values_list("direction", "text", "sent_at")) == [first]
    lead = Lead.objects.get()
    assert (lead.phone, lead.name, lead.in_handoff) == (MARIA, "Maria Souza", False)
    assert not IntakeCall.objects.filter(state=IntakeCall.State.FAILED).exists()


# --- Our own sends


OWN_SENDS = [
    # As if the lead had written it, as if a person had, and as what it is.
    ("evolution", "3EB0C1", evolution(key__id="3EB0C1", message={"conversation": WORDS})),
    ("evolution", "3EB0C2", evolution(key__id="3EB0C2", key__fromMe=True, message={"conversation": WORDS})),
    ("waha", "3EB0C1", waha(id="false_558191234567@c.us_3EB0C1", body=WORDS)),
    ("waha", "3EB0C2", waha(id="true_558191234567@c.us_3EB0C2", fromMe=True, source="app", body=WORDS)),
    ("zapi", "3EB0C1", zapi(messageId="3EB0C1", text={"message": WORDS})),
    ("zapi", "3EB0C2", zapi(messageId="3EB0C2", fromMe=True, fromApi=False, text={"message": WORDS})),
    ("whatsapp_cloud", "wamid.C1", cloud(id="wamid.C1", text={"body": WORDS})),
    ("chatwoot", "5011", chatwoot(id=5011, source_id=None, content=WORDS)),
    ("chatwoot", "5012", body("chatwoot/02", id=5012, source_id=None, content=WORDS)),
]


@pytest.mark.parametrize(("kind", "id", "shown"), OWN_SENDS, ids=[f"{kind} {id}" for kind, id, _ in OWN_SENDS])
def test_what_the_agent_said_it_sent_stays_the_agents_however_it_is_shown(way_in, pipeline, kind, id, shown):
    way = way_in(kind)
    way.tell(body(f"{kind}/01"))
    before = Lead.objects.get().last_inbound_at
    record(pipeline, "81991234567", message=Said(Direction.OUTBOUND, id=id, text=WORDS, sent_at=NOW))
    way.tell(shown, shown)
    assert sorted(Message.objects.values_list("direction", flat=True)) == ["inbound", "outbound"]
    lead = Lead.objects.get()
    assert (lead.in_handoff, lead.last_inbound_at) == (False, before)


# --- A number that is missing, and comes later


HIDDEN = [
    (
        "evolution",
        evolution(key__remoteJid="104729384756011@lid", key__remoteJidAlt=None),
        evolution(key__id="L2", key__remoteJid="104729384756011@lid", key__remoteJidAlt="558191234567@s.whatsapp.net"),
    ),
    (
        "waha",
        waha(id="false_104729384756011@lid_3A01", _data=None),
        waha(id="false_104729384756011@lid_3A02", _data={"key": {"remoteJidAlt": "558191234567@s.whatsapp.net"}}),
    ),
    ("zapi", zapi(phone="104729384756011@lid"), zapi(messageId="L2", phone="558191234567")),
    (
        "whatsapp_cloud",
        body("whatsapp_cloud/01", **{f"{CLOUD}from": None, f"{VALUE}contacts__0__wa_id": None}),
        cloud(id="L2"),
    ),
    (
        "chatwoot",
        chatwoot(sender__phone_number=None, conversation__contact_inbox__source_id="BR.9012345678901234"),
        chatwoot(id=5009, source_id="L2"),
    ),
]


@pytest.mark.parametrize(("kind", "hidden", "known"), HIDDEN, ids=[kind for kind, _, _ in HIDDEN])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_number_that_is_missing_comes_later_and_it_is_one_person(way_in, kind, hidden, known, backwards):
    way = way_in(kind)
    first, second = (known, hidden) if backwards else (hidden, known)
    way.tell(first)
    assert (Lead.objects.get().phone is None) is not backwards
    way.tell(second, first)
    assert Lead.objects.get().phone == MARIA
    assert Message.objects.count() == 2


# --- Bookings


BOOKINGS = [
    ("calcom", "again, told later", body("calcom/01", createdAt="2026-11-24T11:59:59Z")),
    ("calcom", "asked for", body("calcom/01", triggerEvent="BOOKING_REQUESTED", payload__uid="other")),
    ("calcom", "created, and not confirmed", body("calcom/01", payload__status="PENDING", payload__uid="other")),
    ("calcom", "ended by the clock", body("calcom/05")),
    ("calcom", "paid", body("calcom/01", triggerEvent="BOOKING_PAID", payload__uid="other")),
    ("calcom", "a form", body("calcom/01", triggerEvent="FORM_SUBMITTED", payload__uid="other")),
    ("calcom", "without an id", body("calcom/01", payload__uid=None)),
    (
        "calcom",
        "cancelled, of somebody else's booking",
        body("calcom/03", payload__uid="other", payload__metadata=None),
    ),
    ("calendly", "again, told later", body("calendly/01", created_at="2026-11-24T11:59:59.000000Z")),
    ("calendly", "a form", body("calendly/01", event="routing_form_submission.created")),
    ("calendly", "without an id", body("calendly/01", payload__uri=None)),
    ("calendly", "a no-show taken back that was none", body("calendly/05", event="invitee_no_show.deleted")),
    ("calendly", "cancelled, of another booking", body("calendly/04", payload__uri="https://api.calendly.com/other")),
    ("calendly", "no news", body("calendly/01", event="invitee.updated", payload__uri="https://api.calendly.com/x")),
]


@pytest.mark.parametrize(
    ("kind", "trap"), [pytest.param(kind, trap, id=f"{kind}: {name}") for kind, name, trap in BOOKINGS]
)
def test_what_changes_no_meeting(way_in, pipeline, kind, trap):
    record(pipeline, MARIA, name="Maria Souza", email="maria@example.com")
    way = way_in(kind)
    way.tell(body(f"{kind}/01"))

    def standing():
        lead = Lead.objects.get()
        meetings = list(Meeting.objects.exclude(status="cancelled").values_list("meeting_id", "status", "starts_at"))
        return lead.stage.key, lead.meeting_status, lead.meeting_starts_at, meetings

    before = standing()
    assert before[1] == "scheduled"
    way.tell(trap, trap)
    assert standing() == before


# --- Forged


def signed(kind: str, bytes_: bytes, key: str) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))

    def hex_of(*parts: bytes, algorithm: str = "sha256") -> str:
        return hmac.new(key.encode(), b"".join(parts), algorithm).hexdigest()

    return {
        "evolution": lambda: {
            "HTTP_AUTHORIZATION": f"Bearer {token(key, iat=NOW.timestamp(), exp=NOW.timestamp() + 600)}"
        },
        "waha": lambda: {"HTTP_X_WEBHOOK_HMAC": hex_of(bytes_, algorithm="sha512")},
        "whatsapp_cloud": lambda: {"HTTP_X_HUB_SIGNATURE_256": f"sha256={hex_of(bytes_)}"},
        "chatwoot": lambda: {
            "HTTP_X_CHATWOOT_SIGNATURE": f"sha256={hex_of(stamp.encode(), b'.', bytes_)}",
            "HTTP_X_CHATWOOT_TIMESTAMP": stamp,
        },
        "calcom": lambda: {"HTTP_X_CAL_SIGNATURE_256": hex_of(bytes_)},
        "calendly": lambda: {"HTTP_CALENDLY_WEBHOOK_SIGNATURE": f"t={stamp},v1={hex_of(stamp.encode(), b'.', bytes_)}"},
    }[kind]()


PROOFS = {
    "evolution": "jwt_key",
    "waha": "hmac_key",
    "whatsapp_cloud": "app_secret",
    "chatwoot": "secret",
    "calcom": "secret",
    "calendly": "secret",
}


@pytest.mark.parametrize("kind", PROOFS)
def test_what_is_forged_is_turned_away_and_nothing_of_it_is_stored(way_in, kind):
    way = way_in(kind, **{PROOFS[kind]: "chave"})
    original = raw(f"{kind}/01")
    right = signed(kind, original, "chave")
    forged = [
        {},
        signed(kind, original, "outra"),
        signed(kind, original, ""),
        dict.fromkeys(right, ""),
        dict.fromkeys(right, "\xff"),
    ]
    if kind != "evolution":
        # Its token says nothing of the body.
        forged.append(signed(kind, original + b" ", "chave"))
    assert [way.call(original, **headers) for headers in forged] == [401] * len(forged)
    assert not IntakeCall.objects.exists()
    assert way.call(original, **right) == 200


def test_every_source_has_at_least_as_many_traps_as_bodies():
    kinds = [kind for kind, *_ in (*NOTHING_NEW, *OWN_SENDS, *HIDDEN, *BOOKINGS)] + [*PROOFS]
    assert [kind for kind in source_kinds.SOURCES if kinds.count(kind) < len([*(BODIES / kind).iterdir()])] == []
