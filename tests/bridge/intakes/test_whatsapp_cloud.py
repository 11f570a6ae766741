from __future__ import annotations

import copy
import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import whatsapp_cloud
from bridge.intakes.source_news import Address, Call, Ignored, Message, Status
from tests.bridge.intakes.bodies import body, raw

MARIA = (Address("whatsapp", "558191234567@s.whatsapp.net"), Address("bsuid", "BR.9012345678901234"))
VALUE = "entry__0__changes__0__value__"
MESSAGE = f"{VALUE}messages__0__"


def all_of(name: str, **changes):
    return whatsapp_cloud.read(body(f"whatsapp_cloud/{name}", **changes))


def read_one(name: str = "01", **changes):
    [news] = all_of(name, **{f"{MESSAGE}{path}": value for path, value in changes.items()})
    return news


def test_a_lead_writes():
    assert read_one() == Message(
        direction="inbound",
        addresses=MARIA,
        id="wamid.HBgMNTU4MTkxMjM0NTY3FQIAEhggRXhlbXBsbzAxAA==",
        at=datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC),
        text="Bom dia! Quero um orçamento",
        name="Maria Souza",
    )


def test_somebody_without_a_number_presses_a_button():
    news = read_one("02")
    assert (news.addresses, news.text, news.name) == (
        (Address("bsuid", "BR.9012345678901235"),), "Quero uma visita", "João Pereira",
    )  # fmt: skip


def test_statuses_are_nobodys_messages():
    sent, delivered = all_of("03")
    assert (sent.state, delivered.state, delivered.at.second) == ("sent", "delivered", 42)
    [failed] = all_of("04")
    assert isinstance(failed, Status)
    assert (failed.state, failed.reason[:31]) == ("not_delivered", "131047 Message failed to send b")


def test_staff_write_in_the_app():
    [news] = all_of("05")
    assert (news.direction, news.addresses, news.text, news.name) == ("staff", MARIA, "Maria, aqui é a Ana", "")


def test_a_reaction_is_no_message():
    [news] = all_of("06")
    assert isinstance(news, Ignored)


@pytest.mark.parametrize("kind", ["reaction", "system", "unsupported", "edit", "revoke", "request_welcome", "", None])
def test_what_is_no_message(kind):
    assert isinstance(read_one(type=kind, text=None), Ignored)


def test_a_group_is_no_lead():
    assert isinstance(read_one(group_id="Y2FwaV9ncm91cA"), Ignored)


def test_each_level_may_hold_several_and_names_belong_by_id():
    tree = body("whatsapp_cloud/01")
    second = body("whatsapp_cloud/02")
    value, other = (each_tree["entry"][0]["changes"][0]["value"] for each_tree in (tree, second))
    value["contacts"] = [*other["contacts"], *value["contacts"]]
    value["messages"] += copy.deepcopy(other["messages"])
    tree["entry"].append(copy.deepcopy(second["entry"][0]))
    tree["entry"][0]["changes"].append(body("whatsapp_cloud/03")["entry"][0]["changes"][0])
    news = whatsapp_cloud.read(tree)
    assert [getattr(each, "name", None) for each in news] == [
        "Maria Souza", "João Pereira", None, None, "João Pereira",
    ]  # fmt: skip


def test_the_name_of_somebody_else_is_not_theirs():
    news = all_of("01", **{f"{VALUE}contacts__0__wa_id": "5511955554444", f"{VALUE}contacts__0__user_id": "BR.1"})
    assert (news[0].name, news[0].addresses[0]) == ("", MARIA[0])


def test_nobody_is_named():
    news = all_of("01", **{f"{MESSAGE}from": None, f"{MESSAGE}from_user_id": None, f"{VALUE}contacts": None})
    assert isinstance(news[0], Ignored)


@pytest.mark.parametrize(
    ("message", "text", "kind"),
    [
        ({"type": "button", "button": {"payload": "x", "text": "Sim"}}, "Sim", "text"),
        ({"type": "interactive", "interactive": {"list_reply": {"id": "1", "title": "Visita"}}}, "Visita", "text"),
        ({"type": "interactive",
          "interactive": {"nfm_reply": {"response_json": '{"flow_token":"t","cidade":"Recife"}'}}}, "Recife", "text"),
        ({"type": "image", "image": {"id": "77", "caption": "conta", "mime_type": "image/jpeg"}}, "conta", "image"),
        ({"type": "audio", "audio": {"id": "78", "voice": True}}, "", "audio"),
        ({"type": "location", "location": {"name": "Casa", "address": "Rua A"}}, "Casa, Rua A", "location"),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Zé"}}]}, "Zé", "contact"),
        ({"type": "order", "order": {"text": "quero estes"}}, "quero estes", "other"),
    ],
)  # fmt: skip
def test_what_messages_hold(message, text, kind):
    news = read_one(text=None, **message)
    assert (news.text, news.kind) == (text, kind)
    if kind in ("image", "audio"):
        assert news.attachments[0].reference in ("77", "78")


@pytest.mark.parametrize(
    "junk", [{}, {"entry": None}, {"entry": [1, None, {"changes": [7]}]}, {"entry": [{"changes": [{}]}]}]
)
def test_bodies_without_anything(junk):
    assert [type(piece) for piece in whatsapp_cloud.read(junk)] == [Ignored]


def test_the_signature_is_over_the_bytes():
    bytes_ = raw("whatsapp_cloud/01")
    right = "sha256=" + hmac.new(b"app", bytes_, "sha256").hexdigest()
    for signature, counts in (
        (right, True),
        (right[7:], False),
        (right.replace("256", "1"), False),
        ("sha256=", False),
    ):
        assert (
            whatsapp_cloud.is_signed(Call(bytes_, {"x-hub-signature-256": signature}), {"app_secret": "app"}) is counts
        )
    assert not whatsapp_cloud.is_signed(Call(bytes_), {"app_secret": "app"})


def test_the_address_answers_metas_question(way_in):
    way = way_in("whatsapp_cloud", verify_token="prova")
    asked = {"hub.mode": "subscribe", "hub.verify_token": "prova", "hub.challenge": "1158201444"}
    answer = way.client.get(way.path, asked)
    assert (answer.status_code, answer.content, answer["Content-Type"].split(";")[0]) == (
        200,
        b"1158201444",
        "text/plain",
    )
    for wrong in ({"hub.verify_token": "outra"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}):
        assert way.client.get(way.path, asked | wrong).status_code == 403


def test_without_a_token_that_was_set_no_question_is_answered(way_in):
    way = way_in("whatsapp_cloud")
    asked = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
    assert way.client.get(way.path, asked).status_code == 403


def test_a_body_of_thousands_of_people_is_read_person_by_person(monkeypatch):
    """Each message asked every contact whether it is theirs: 4 000 of them took half a minute."""
    asked = []
    digits = whatsapp_cloud._digits
    monkeypatch.setattr(whatsapp_cloud, "_digits", lambda value: asked.append(1) or digits(value))
    counts = {}
    for people in (50, 200):
        named = body("whatsapp_cloud/01")
        value = named["entry"][0]["changes"][0]["value"]
        [message], [contact] = value["messages"], value["contacts"]
        numbers = [f"55819{number:08d}" for number in range(people)]
        value["messages"] = [
            message | {"from": number, "from_user_id": f"BR.{number}", "id": f"wamid.{number}"} for number in numbers
        ]
        value["contacts"] = [
            contact | {"wa_id": number, "user_id": f"BR.{number}", "profile": {"name": f"Ana {number}"}}
            for number in reversed(numbers)
        ]
        asked.clear()
        news = whatsapp_cloud.read(named)
        counts[people] = len(asked)
        assert [piece.name for piece in news] == [f"Ana {number}" for number in numbers]

    assert counts[200] < 5 * counts[50]


def test_of_two_contacts_that_a_message_may_be_of_the_first_counts():
    named = body("whatsapp_cloud/01")
    value = named["entry"][0]["changes"][0]["value"]
    [message], [contact] = value["messages"], value["contacts"]
    by_id = {"user_id": contact["user_id"], "profile": {"name": "by id"}}
    by_number = {"wa_id": message["from"], "profile": {"name": "by number"}}
    for first, second in ((by_id, by_number), (by_number, by_id)):
        value["contacts"] = [{"profile": {"name": "of nobody"}}, first, second]
        [news] = whatsapp_cloud.read(named)
        assert news.name == first["profile"]["name"]
