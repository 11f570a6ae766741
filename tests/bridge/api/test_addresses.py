"""A person is found by any of their addresses, and answered with all of them."""

from __future__ import annotations

import pytest

from leads.models import Event, Forgotten, Lead, OptOut
from tests.conftest import MARIA

LID = {"kind": "lid", "value": "987654321@lid"}
INSTAGRAM = {"kind": "instagram", "value": "maria.souza"}


def report(agent, *addresses, direction="inbound", **lead):
    body = {"lead": {"addresses": list(addresses), **lead}, "message": {"direction": direction, "text": "oi"}}
    return agent.post("interactions/", body)


def test_somebody_without_a_phone_is_a_lead_and_gets_their_phone_later(agent):
    first = report(agent, LID, name="Maria")
    assert (first.status_code, first.json()["lead"]["phone"], first.json()["lead"]["addresses"]) == (201, None, [LID])

    later = report(agent, LID, phone="(81) 99999-0000")

    lead = later.json()["lead"]
    assert (later.status_code, lead["id"], lead["phone"]) == (200, first.json()["lead"]["id"], MARIA)
    assert lead["addresses"] == [LID, {"kind": "phone", "value": MARIA}]
    assert agent.says(MARIA).json()["lead"]["id"] == lead["id"]
    assert Lead.objects.count() == 1


def test_the_address_last_written_from_comes_first(agent):
    report(agent, LID, phone=MARIA)
    report(agent, INSTAGRAM, LID)
    report(agent, {"kind": "whatsapp", "value": "558199990000@c.us"}, direction="outbound")
    kinds = [address["kind"] for address in agent.says(MARIA).json()["lead"]["addresses"]]
    assert kinds == ["instagram", "whatsapp", "phone", "lid"]

    report(agent, {"kind": "whatsapp", "value": "558199990000@c.us"})

    [lead] = agent.get("leads/", address="lid:987654321@lid").json()["results"]
    assert [address["kind"] for address in lead["addresses"]] == ["whatsapp", "phone", "lid", "instagram"]
    assert agent.get(f"leads/{lead['id']}/").json()["addresses"] == lead["addresses"]


@pytest.mark.parametrize(
    "address", ["lid:987654321@lid", "lid:987654321", "instagram:@Maria.Souza", "phone:81999990000"]
)
def test_people_are_asked_for_by_any_of_their_addresses(agent, address):
    lead = report(agent, LID, INSTAGRAM, phone=MARIA).json()["lead"]
    assert [row["id"] for row in agent.get("leads/", address=address).json()["results"]] == [lead["id"]]
    assert agent.get("agent/may-reply/", address=address).json()["may_reply"]

    agent.post(f"leads/{lead['id']}/handoff/", {"reason": "quer uma pessoa"})

    assert agent.get("agent/may-reply/", address=address).json()["reason"] == "quer uma pessoa"


@pytest.mark.parametrize("address", ["lid", "lid:", "fax:1", "lid:grupo@g.us", "instagram:null"])
def test_an_address_nobody_can_have_is_refused_where_it_is_asked_for(agent, address):
    for path in ("leads/", "agent/may-reply/"):
        answer = agent.get(path, address=address)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "address")


@pytest.mark.parametrize(
    ("lead", "field"),
    [
        ({}, "lead.phone"),
        ({"addresses": []}, "lead.phone"),
        ({"addresses": [{"kind": "fax", "value": "1"}]}, "lead.addresses.0.kind"),
        ({"addresses": [{"kind": "lid", "value": "x@g.us"}]}, "lead.addresses.0.value"),
        ({"addresses": [{"kind": "lid"}]}, "lead.addresses.0.value"),
        ({"addresses": [LID, {"kind": "lid", "value": 7}]}, "lead.addresses.1.value"),
        ({"addresses": [LID | {"channel": "x"}]}, "lead.addresses.0.channel"),
        ({"addresses": "lid:1"}, "lead.addresses"),
    ],
)
def test_an_unusable_address_is_named_and_nothing_is_stored(agent, lead, field):
    answer = agent.post("interactions/", {"lead": {"name": "Maria", **lead}})
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not Lead.objects.exists()


def test_a_word_for_nothing_is_nobodys_address(agent):
    nothing = [{"kind": "external", "value": "undefined"}, {"kind": "instagram", "value": ""}]
    first = report(agent, *nothing, LID, phone="null")
    assert first.status_code == 201
    ignored = {entry["field"] for entry in first.json()["ignored"]}
    assert ignored == {"lead.phone", "lead.addresses.0", "lead.addresses.1"}
    other = report(agent, *nothing, {"kind": "lid", "value": "111222333@lid"})
    assert other.status_code == 201
    assert agent.post("interactions/", {"lead": {"addresses": nothing}}).status_code == 400


def test_an_opt_out_by_one_address_holds_for_a_person_who_is_later_known_by_others(agent):
    lead = report(agent, LID).json()["lead"]
    agent.post(f"leads/{lead['id']}/opt-out/")
    report(agent, LID, phone=MARIA)
    agent.delete(f"leads/{lead['id']}/personal-data/")
    assert OptOut.objects.count() == 2

    assert Lead.objects.get(pk=agent.says(MARIA, message={"direction": "inbound"}).json()["lead"]["id"]).opted_out_at


def test_an_erased_person_is_forgotten_by_each_address(agent):
    lead = report(agent, INSTAGRAM, LID, phone=MARIA, name="Maria").json()["lead"]
    report(agent, {"kind": "email", "value": "maria@example.com"}, LID)
    agent.delete(f"leads/{lead['id']}/personal-data/")

    assert Forgotten.objects.count() == 4
    erased = Lead.objects.get(pk=lead["id"])
    assert (erased.addresses, erased.written_from, len(erased.erased_further)) == ([], "", 3)
    assert "987654321" not in str(list(Event.objects.values_list("data", "reason")))
    old = {"lead": {"addresses": [LID]}, "occurred_at": "2026-01-01T10:00:00-03:00"}
    assert agent.post("interactions/", old).status_code == 410
    assert report(agent, LID).json()["lead"]["id"] != lead["id"]


def test_a_batch_knows_people_by_all_they_are_called(agent):
    bodies = [
        {"lead": {"addresses": [LID], "name": "Maria"}},
        {"lead": {"addresses": [LID], "phone": MARIA}},
        {"lead": {"phone": MARIA, "email": "maria@example.com"}},
        {"lead": {"addresses": [INSTAGRAM]}},
    ]
    answers = agent.post("interactions/batch/", bodies).json()
    assert [answer["status"] for answer in answers] == [201, 200, 200, 201]
    assert len({answer["body"]["lead"]["id"] for answer in answers}) == 2


def test_a_messages_id_counts_per_person(agent):
    message = {"id": "1", "direction": "inbound", "text": "oi"}
    first = agent.post("interactions/", {"lead": {"addresses": [LID]}, "message": message})
    other = agent.post("interactions/", {"lead": {"addresses": [INSTAGRAM]}, "message": message})
    assert (first.status_code, other.status_code) == (201, 201)
    again = agent.post("interactions/", {"lead": {"addresses": [LID]}, "message": message})
    assert (again.status_code, again.json()) == (201, first.json())
    assert (
        agent.post("interactions/", {"lead": {"addresses": [LID], "name": "Ana"}, "message": message}).status_code
        == 409
    )
