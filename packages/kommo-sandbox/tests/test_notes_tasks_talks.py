from __future__ import annotations

from sandbox_calls import errors_of


def test_a_note_is_written_and_read(api):
    lead_id = api.create()
    body = [{"note_type": "common", "params": {"text": "Olá\n☀️"}, "request_id": "n1"}]
    [made] = api.post(f"leads/{lead_id}/notes", body).json()["_embedded"]["notes"]
    assert (made["entity_id"], made["request_id"]) == (lead_id, "n1")
    [read] = api.get(f"leads/{lead_id}/notes").json()["_embedded"]["notes"]
    assert read["params"] == {"text": "Olá\n☀️"}
    assert api.post(f"leads/{lead_id}/notes/{made['id']}/pin", None).status_code == 204


def test_notes_of_several_leads_at_once(api):
    ids = [api.create(), api.create()]
    params = {"service": "Bridge", "text": "x"}
    body = [{"entity_id": lead_id, "note_type": "service_message", "params": params} for lead_id in ids]
    assert [note["entity_id"] for note in api.post("leads/notes", body).json()["_embedded"]["notes"]] == ids


def test_bad_notes_are_refused(api):
    lead_id = api.create()
    assert errors_of(api.post(f"leads/{lead_id}/notes", [{"note_type": "nope"}])) == [
        ("note_type", "NotSupportedChoice")
    ]
    assert errors_of(api.post(f"leads/{lead_id}/notes", [{"note_type": "common", "params": {}}])) == [
        ("params.text", "FieldMissing")
    ]
    assert api.post("notes", [{}]).status_code == 404


def test_a_task_is_made_completed_and_never_deleted(api):
    lead_id = api.create()
    task = {"text": "Ligar", "complete_till": 1_900_000_000, "entity_id": lead_id, "entity_type": "leads"}
    [made] = api.post("tasks", [{**task, "request_id": "t"}]).json()["_embedded"]["tasks"]
    assert made["request_id"] == "t" and api.lead(lead_id)["closest_task_at"] == 1_900_000_000
    [shown] = api.get("tasks", **{"filter[entity_type]": "leads", "filter[entity_id]": lead_id}).json()["_embedded"][
        "tasks"
    ]
    assert shown["result"] == []

    api.patch(f"tasks/{made['id']}", {"is_completed": True, "result": {"text": "ok"}})

    assert api.get(f"tasks/{made['id']}").json()["result"] == {"text": "ok"}
    assert api.lead(lead_id)["closest_task_at"] is None
    assert api.get("tasks", **{"filter[is_completed]": 0}).status_code == 204
    assert api.delete(f"tasks/{made['id']}").status_code == 403


def test_bad_tasks_are_refused(api):
    assert errors_of(api.post("tasks", [{"text": "x"}])) == [("complete_till", "FieldMissing")]
    bad = {"text": "x", "complete_till": 1, "entity_id": 5, "entity_type": "leads"}
    assert errors_of(api.post("tasks", [bad])) == [("entity_id", "NotSupportedChoice")]


def test_a_staff_reply_shows_in_the_feed_with_its_author(api):
    lead_id = api.staff("leads", {"name": "Maria", "phone": "+5581999990000"})["id"]
    api.staff(f"leads/{lead_id}/message", {"direction": "incoming", "text": "Oi"})
    api.staff(f"leads/{lead_id}/message", {"direction": "outgoing", "text": "Olá!", "user_id": 11087205})

    outgoing, incoming = api.events(**{"filter[type]": "incoming_chat_message,outgoing_chat_message"})
    assert (outgoing["type"], outgoing["created_by"], outgoing["entity_id"]) == (
        "outgoing_chat_message",
        11087205,
        lead_id,
    )
    assert incoming["created_by"] == 0
    [talk] = api.get("talks").json()["_embedded"]["talks"]
    assert len(api.get(f"talks/{talk['talk_id']}/messages").json()["_embedded"]["messages"]) == 2
    assert api.post(f"talks/{talk['talk_id']}/send_message", {"text": "Até logo"}).status_code == 202
    assert api.post(f"talks/{talk['talk_id']}/close", {"force_close": True}).status_code == 202
    assert api.get(f"talks/{talk['talk_id']}").json()["is_in_work"] is False


def test_bots_are_queued_in_both_forms(api):
    lead_id = api.create()
    new = [{"bot_id": 565, "entity_id": lead_id, "entity_type": "leads"}]
    old = [{"bot_id": 565, "entity_id": lead_id, "entity_type": 2}]
    assert api.post("bots/run", new).status_code == 202
    assert api.post("bots/565/run", {"entity_id": lead_id, "entity_type": "leads"}).status_code == 202
    assert api.session.post(f"{api.url}/api/v2/salesbot/run", json=old).status_code == 202
    assert errors_of(api.post("bots/run", old)) == [("entity_type", "InvalidType")]


class TestUnsorted:
    def test_a_form_waits_and_is_accepted(self, api):
        body = {
            "request_id": "u",
            "metadata": {"form_id": 1, "form_name": "Site"},
            "_embedded": {"leads": [{"name": "Site"}], "contacts": [{"name": "Ana"}]},
        }
        [waiting] = api.post("leads/unsorted/forms", [body]).json()["_embedded"]["unsorted"]
        [listed] = api.get("leads/unsorted").json()["_embedded"]["unsorted"]
        assert listed["uid"] == waiting["uid"] and listed["_embedded"]["contacts"]
        lead_id = listed["_embedded"]["leads"][0]["id"]

        answer = api.post(f"leads/unsorted/{waiting['uid']}/accept", {"user_id": 11087201, "status_id": 89709463})

        assert answer.ok and api.lead(lead_id)["status_id"] == 89709463
        assert api.lead(lead_id)["responsible_user_id"] == 11087201
        assert api.get("leads/unsorted").status_code == 204

    def test_declining_deletes_the_lead(self, api):
        lead_id = api.staff("leads", {"name": "Spam", "incoming": True})["id"]
        uid = api.get("leads/unsorted").json()["_embedded"]["unsorted"][0]["uid"]
        assert api.delete(f"leads/unsorted/{uid}/decline", {"user_id": 11087201}).ok
        assert api.get(f"leads/{lead_id}").status_code == 204
