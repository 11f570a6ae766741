from __future__ import annotations

import pytest
import requests

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, QUALIFIED, SOLUTION, errors_of, eventually

LEAD_SETTINGS = ["add_lead", "update_lead", "status_lead", "delete_lead", "restore_lead", "responsible_lead"]


def subscribe(api, listener, settings=LEAD_SETTINGS):
    answer = api.post("webhooks", {"destination": listener.url, "settings": settings})
    assert answer.status_code == 201, answer.text
    return answer.json()


def actions(bodies, root="leads"):
    return [action for body in bodies for action in body.get(root, {})]


class TestSubscriptions:
    def test_the_destination_is_the_identity(self, api, listener):
        first = subscribe(api, listener)
        again = subscribe(api, listener, ["add_lead"])
        assert first["id"] == again["id"] and again["settings"] == ["add_lead"]
        [listed] = api.get("webhooks").json()["_embedded"]["webhooks"]
        assert (listed["destination"], listed["disabled"]) == (listener.url, False)
        assert api.get("webhooks", **{"filter[destination]": "http://other/"}).status_code == 204

    def test_it_is_removed_by_a_body_on_delete(self, api, listener):
        subscribe(api, listener)
        assert api.delete("webhooks", {"destination": listener.url}).status_code == 204
        assert api.get("webhooks").status_code == 204

    def test_unknown_settings_are_refused(self, api, listener):
        answer = api.post("webhooks", {"destination": listener.url, "settings": ["add_lead", "nope"]})
        assert errors_of(answer) == [("settings.1", "NotSupportedChoice")]

    def test_a_disabled_one_is_enabled_by_posting_it_again(self, api, listener):
        subscribe(api, listener)
        api.staff("webhooks/disable")
        assert api.get("webhooks").json()["_embedded"]["webhooks"][0]["disabled"] is True
        api.create()
        assert subscribe(api, listener)["disabled"] is False
        api.create("second")
        [body] = listener.wait_for(1)
        assert body["leads"]["add"]["0"]["name"] == "second"


def test_a_move_gives_status_and_update_in_the_old_naming(api, listener):
    fields = [
        {"field_id": SOLUTION, "values": [{"enum_id": 326358}]},
        {"field_id": BILL, "values": [{"value": 4500}]},
    ]
    tags = {"tags": [{"name": "bot"}]}
    lead_id = api.create("João & Cia – ção", price=1000, custom_fields_values=fields, _embedded=tags)
    subscribe(api, listener)

    api.patch("leads", [{"id": lead_id, "status_id": QUALIFIED, "pipeline_id": PIPELINE_ID}])

    bodies = listener.wait_for(2)
    assert sorted(actions(bodies)) == ["status", "update"]
    for body in bodies:
        [item] = [group["0"] for group in body["leads"].values()]
        lead = api.lead(lead_id)
        assert item == {
            "id": str(lead_id),
            "name": "João & Cia – ção",
            "status_id": str(QUALIFIED),
            "old_status_id": "89709459",
            "price": "1000",
            "price_with_minor_units": "1000.00",
            "responsible_user_id": "11087123",
            "last_modified": str(lead["updated_at"]),
            "modified_user_id": "11087123",
            "created_user_id": "11087123",
            "date_create": str(lead["created_at"]),
            "pipeline_id": str(PIPELINE_ID),
            "tags": {"0": {"id": str(lead["_embedded"]["tags"][0]["id"]), "name": "bot"}},
            "account_id": "30000001",
            "custom_fields": {
                "0": {
                    "id": str(SOLUTION),
                    "name": "Solução Solar",
                    "values": {"0": {"value": "Usina Própria", "enum": "326358"}},
                },
                "1": {"id": str(BILL), "name": "Valor Conta Energia", "values": {"0": {"value": "4500"}}},
            },
            "created_at": str(lead["created_at"]),
            "updated_at": str(lead["updated_at"]),
        }


def test_the_request_looks_like_kommos(api, listener):
    subscribe(api, listener)
    api.create("a b~ç")
    listener.wait_for(1)

    [body], [headers] = listener.bodies, listener.headers
    assert body.startswith(
        f"account%5Bsubdomain%5D=sandbox-{api.server.port}&account%5Bid%5D=30000001&account%5B_links%5D%5Bself%5D="
    )
    assert "leads%5Badd%5D%5B0%5D%5Bname%5D=a+b%7E%C3%A7" in body
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["User-Agent"] == "amoCRM-Webhooks/3.0"
    assert len(headers["X-Amocrm-Requestid"]) == 36


def test_dates_are_bare_scalars(api, listener):
    made = api.post("leads/custom_fields", [{"name": "Data", "type": "date"}]).json()["_embedded"]["custom_fields"]
    subscribe(api, listener)
    api.create(custom_fields_values=[{"field_id": made[0]["id"], "values": [{"value": 1725915600}]}])
    [body] = listener.wait_for(1)
    assert body["leads"]["add"]["0"]["custom_fields"]["0"]["values"] == {"0": "1725850800"}


def test_deletion_restoring_and_the_responsible_user(api, listener):
    lead_id = api.create()
    subscribe(api, listener)
    api.staff(f"leads/{lead_id}/delete")
    [body] = listener.wait_for(1)
    assert body["leads"]["delete"]["0"] == {
        "id": str(lead_id),
        "status_id": "89709459",
        "pipeline_id": str(PIPELINE_ID),
    }
    api.staff(f"leads/{lead_id}/restore")
    listener.wait_for(2)
    api.staff(f"leads/{lead_id}/edit", {"responsible_user_id": 11087201})
    bodies = listener.wait_for(4)
    assert sorted(actions(bodies)) == ["delete", "responsible", "restore", "update"]
    [moved] = [body["leads"]["responsible"]["0"] for body in bodies if "responsible" in body["leads"]]
    assert (moved["old_responsible_user_id"], moved["modified_user_id"]) == ("11087123", "11087201")


def test_the_robot_is_user_zero_in_echoes(api, listener):
    lead_id = api.create()
    subscribe(api, listener)
    api.patch("leads", [{"id": lead_id, "name": "x", "updated_by": 0}])
    [body] = listener.wait_for(1)
    assert body["leads"]["update"]["0"]["modified_user_id"] == "0"


def test_leads_changed_together_travel_together(api, listener):
    ids = [api.create() for _ in range(3)]
    subscribe(api, listener, ["update_lead"])
    api.patch("leads", [{"id": lead_id, "name": "x"} for lead_id in ids])
    [body] = listener.wait_for(1)
    assert [item["id"] for item in body["leads"]["update"].values()] == [str(lead_id) for lead_id in ids]

    api.options(webhook_group_size=1)
    api.patch("leads", [{"id": lead_id, "name": "y"} for lead_id in ids])
    assert len(listener.wait_for(4)) == 4


def test_contacts_notes_tasks_and_messages(api, listener):
    settings = [
        "add_contact",
        "update_contact",
        "note_lead",
        "add_task",
        "add_message",
        "add_outgoing_message",
        "add_talk",
    ]
    subscribe(api, listener, settings)
    lead_id = api.staff("leads", {"name": "Ana", "phone": "+5581999990000"})["id"]
    api.staff(f"leads/{lead_id}/note", {"text": "nota"})
    task = {"text": "Ligar", "complete_till": 1_900_000_000, "entity_id": lead_id, "entity_type": "leads"}
    api.post("tasks", [task])
    api.staff(f"leads/{lead_id}/message", {"direction": "outgoing", "text": "Olá"})

    bodies = listener.wait_for(6)

    found = {(root, action): items["0"] for body in bodies for root in body if root != "account"
             for action, items in body[root].items()}  # fmt: skip
    assert found["contacts", "add"]["type"] == "contact"
    assert found["leads", "note"]["note"]["text"] == "nota" and found["leads", "note"]["note"]["note_type"] == "4"
    assert found["task", "add"]["element_id"] == str(lead_id)
    assert found["talk", "add"]["is_in_work"] == "1"
    assert found["message", "add"]["type"] == "outgoing"
    assert found["outgoing_message", "add"]["author"]["user_id"] == "11087201"
    assert found["outgoing_message", "add"]["recipient"]["type"] == "external"


def test_a_contact_names_its_leads_by_id(api, listener):
    lead = api.staff("leads", {"name": "Ana", "phone": "+5581999990000"})
    subscribe(api, listener, ["update_contact"])
    api.staff(f"contacts/{lead['contacts'][0]['id']}/edit", {"name": "Ana Lima"})
    [body] = listener.wait_for(1)
    assert body["contacts"]["update"]["0"]["linked_leads_id"] == {str(lead["id"]): {"ID": str(lead["id"])}}


def test_incoming_leads_come_and_go(api, listener):
    subscribe(api, listener, ["add_unsorted", "delete_unsorted"])
    lead_id = api.staff("leads", {"name": "Site", "incoming": True})["id"]
    uid = api.get("leads/unsorted").json()["_embedded"]["unsorted"][0]["uid"]
    api.post(f"leads/unsorted/{uid}/accept", {})
    bodies = {action: items["0"] for body in listener.wait_for(2) for action, items in body["unsorted"].items()}
    assert bodies["add"]["lead_id"] == str(lead_id)
    assert bodies["delete"]["accept_result"]["leads"] == {"0": str(lead_id)}


class TestDelivery:
    @pytest.mark.parametrize(("status", "tries"), [(404, 3), (301, 3), (500, 5)])
    def test_the_ladder_of_retries(self, api, listener, status, tries):
        listener.status = status
        subscribe(api, listener, ["add_lead"])
        api.create()
        eventually(lambda: len(listener.bodies) == tries)
        eventually(lambda: api.control("GET", "statistics").json()["webhooks"]["pending"] == 0)
        assert len(set(listener.bodies)) == 1 and len(listener.bodies) == tries

    def test_a_retry_that_is_taken_is_the_last(self, api, listener):
        listener.status = 500
        api.options(webhook_time_scale=0.001)
        subscribe(api, listener, ["add_lead"])
        api.create()
        listener.wait_for(1)
        listener.status = 200
        eventually(lambda: api.control("GET", "statistics").json()["webhooks"]["delivered"] == 1)
        assert [delivery["status"] for delivery in api.control("GET", "webhooks").json()["sent"]] == [500, 200]

    def test_too_many_bad_answers_switch_it_off(self, api, listener):
        listener.status = 404
        # The window shrinks with the ladder: 7200 s become 7.2 s.
        api.options(webhook_time_scale=0.001, webhook_disable_after=5, webhook_group_size=1)
        subscribe(api, listener, ["add_lead"])
        api.post("leads", [{"name": "x"}] * 10)
        eventually(lambda: api.get("webhooks").json()["_embedded"]["webhooks"][0]["disabled"])

    def test_dropped(self, api, listener):
        subscribe(api, listener)
        api.options(drop_webhooks=True)
        api.create()
        assert api.control("GET", "statistics").json()["webhooks"] == {
            "pending": 0,
            "delivered": 0,
            "failed": 0,
            "dropped": 1,
        }
        assert listener.bodies == []

    def test_duplicated(self, api, listener):
        subscribe(api, listener)
        api.options(duplicate_webhooks=True)
        api.create()
        listener.wait_for(2)
        assert listener.bodies[0] == listener.bodies[1]

    def test_reordered(self, api, listener):
        subscribe(api, listener, ["add_lead"])
        api.options(reorder_webhooks=True)
        ids = [api.create() for _ in range(8)]
        arrived = [int(body["leads"]["add"]["0"]["id"]) for body in listener.wait_for(8)]
        assert sorted(arrived) == ids and arrived != ids

    def test_a_dead_destination_disturbs_nobody(self, api):
        api.post("webhooks", {"destination": "http://127.0.0.1:9/", "settings": ["add_lead"]})
        api.create()
        eventually(lambda: api.control("GET", "statistics").json()["webhooks"]["failed"] == 3)


def test_a_refused_write_tells_nobody(api, listener):
    lead_id = api.create()
    subscribe(api, listener)
    api.patch("leads", [{"id": lead_id, "status_id": 1}])
    requests.get(f"{api.url}/api/v4/account", timeout=5)
    assert api.control("GET", "statistics").json()["webhooks"]["pending"] == 0
    assert listener.bodies == []
