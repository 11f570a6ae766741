"""What webhooks tell of a message in a chat, in each of the ways in which accounts were seen to do it."""

from __future__ import annotations

import pytest
import requests

from sandbox_calls import eventually


def subscribe(api, listener):
    asked = {"destination": listener.url, "settings": ["add_message", "add_outgoing_message"]}
    assert api.post("webhooks", asked).ok


def write(api, lead_id, text, **more):
    """Write, and wait until it was told: webhooks are sent side by side, and a later one may overtake."""
    message = api.staff(f"leads/{lead_id}/message", {"direction": "incoming", "text": text, **more})
    eventually(lambda: api.control("GET", "statistics").json()["webhooks"]["pending"] == 0)
    return message


def heard(listener, count, root="message"):
    """Return what was told, in its order: several messages may come in one body."""

    def items():
        return [item for body in listener.parsed() if root in body for item in body[root]["add"].values()]

    eventually(lambda: len(items()) >= count)
    return items()


@pytest.mark.parametrize(
    ("telling", "order"),
    [
        (["once", "once"], ["0", "1"]),
        (["never", "once"], ["1"]),
        (["twice", "once"], ["0", "0", "1"]),
        (["late", "once"], ["1", "0"]),
        (["late", "late", "once"], ["2", "0", "1"]),
    ],
)
def test_a_message_is_told_once_never_twice_or_behind_the_next(api, listener, telling, order):
    lead_id = api.create("Maria")
    subscribe(api, listener)
    for place, way in enumerate(telling):
        write(api, lead_id, str(place), told=way)
    assert [message["text"] for message in heard(listener, len(order))] == order


def test_of_a_chat_that_is_no_leads_yet_nothing_of_a_lead_is_told(api, listener):
    lead_id = api.create("Maria")
    subscribe(api, listener)
    write(api, lead_id, "Oi", told="unlinked")
    [message] = heard(listener, 1)
    assert not {"entity_id", "entity_type", "element_id", "element_type"} & set(message)
    assert message["chat_id"] and message["text"] == "Oi"


def test_a_file_is_told_first_as_a_placeholder_and_then_under_the_same_id(api, listener):
    lead_id = api.create("Maria")
    subscribe(api, listener)
    write(api, lead_id, "", told="placeholder_first", kind="voice")
    first, second = heard(listener, 2)
    assert first["id"] == second["id"]
    assert (first["message_type"], "attachment" in first, bool(first["text"])) == ("text", False, True)
    assert (second["message_type"], second["attachment"]["type"]) == ("voice", "voice")


def test_what_our_side_writes_is_told_under_both_names(api, listener):
    lead_id = api.create("Maria")
    subscribe(api, listener)
    write(api, lead_id, "Aqui é a Ana", direction="outgoing")
    assert [
        message["author"]["type"] for root in ("message", "outgoing_message") for message in heard(listener, 1, root)
    ] == [
        "internal",
        "internal",
    ]


@pytest.mark.parametrize("wrong", [{"told": "sometimes"}, {"direction": "sideways"}, {"text": 5}, {"kind": 7}])
def test_what_is_no_way_to_tell_is_refused_with_the_ways_there_are(api, wrong):
    lead_id = api.create("Maria")
    body = {"direction": "incoming", "text": "Oi", **wrong}
    answer = requests.post(f"{api.url}/_sandbox/leads/{lead_id}/message", json=body, timeout=5)
    assert answer.status_code == 400, answer.text
    assert requests.get(f"{api.url}/_sandbox/leads/{lead_id}/chat", timeout=5).json() == {"messages": []}


def test_a_cards_chat_has_what_both_sides_wrote_in_its_order(api):
    lead_id = api.create("Maria")
    write(api, lead_id, "Oi")
    write(api, lead_id, "Aqui é a Ana", direction="outgoing")
    write(api, lead_id, "Olá!", direction="outgoing", user_id=0)
    messages = requests.get(f"{api.url}/_sandbox/leads/{lead_id}/chat", timeout=5).json()["messages"]
    assert [(message["author"]["type"], message["text"]) for message in messages] == [
        ("external", "Oi"), ("internal", "Aqui é a Ana"), ("bot", "Olá!")
    ]  # fmt: skip
