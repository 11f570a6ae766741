from __future__ import annotations

import pytest

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, HUMAN, QUALIFIED, SOLUTION


class TestStaff:
    @pytest.mark.parametrize(
        "stage",
        [{"status_id": HUMAN}, {"stage": "ATENDIMENTO humano"}, {"status_id": HUMAN, "pipeline_id": PIPELINE_ID}],
    )
    def test_moves_a_card(self, api, stage):
        lead_id = api.create()
        moved = api.staff(f"leads/{lead_id}/move", {**stage, "user_id": 11087205})
        assert moved["status_name"] == "Atendimento Humano"
        assert api.lead(lead_id)["updated_by"] == 11087205

    def test_loses_a_card_with_a_reason(self, api):
        lead_id = api.create()
        moved = api.staff(f"leads/{lead_id}/move", {"stage": "Perdido", "loss_reason_id": 8003})
        assert moved["loss_reason_id"] == 8003

    def test_edits_a_card(self, api):
        lead_id = api.create(tags_to_add=[{"name": "bot"}])
        change = {
            "name": "Ana",
            "price": 10,
            "responsible_user_id": 11087205,
            "custom_fields_values": [{"field_id": BILL, "values": [{"value": 400}]}],
            "tags_to_add": [{"name": "vip"}],
            "tags_to_delete": [{"name": "bot"}],
        }
        edited = api.staff(f"leads/{lead_id}/edit", change)
        assert (edited["name"], edited["price"], edited["tags"]) == ("Ana", 10, ["vip"])
        assert edited["fields"] == {"Valor Conta Energia": "400"}
        assert edited["updated_by"] == 11087201

    def test_creates_a_card_with_its_contact(self, api):
        lead = api.staff(
            "leads",
            {
                "name": "Maria",
                "phone": "+5581999990000",
                "email": "m@example.com",
                "stage": "Qualificado",
                "tags": ["vip"],
            },
        )
        assert (lead["status_id"], lead["tags"]) == (QUALIFIED, ["vip"])
        assert (lead["contacts"][0]["phones"], lead["contacts"][0]["emails"]) == (["+5581999990000"], ["m@example.com"])

    def test_merging_makes_the_lead_vanish_without_a_word(self, api, listener):
        kept = api.staff("leads", {"name": "kept", "phone": "+5581999990000"})["id"]
        gone = api.staff("leads", {"name": "gone", "phone": "+5581988880000", "tags": ["vip"]})
        bill = [{"field_id": BILL, "values": [{"value": 400}]}]
        api.patch(f"leads/{gone['id']}", {"custom_fields_values": bill})
        api.post("webhooks", {"destination": listener.url, "settings": ["delete_lead", "update_lead"]})

        merged = api.staff(f"leads/{gone['id']}/merge", {"into": kept})

        assert api.get(f"leads/{gone['id']}").status_code == 204
        assert api.get("leads", **{"with": "only_deleted"}).status_code == 204
        assert merged["tags"] == ["vip"] and merged["fields"] == {"Valor Conta Energia": "400"}
        assert {phone for contact in merged["contacts"] for phone in contact["phones"]} == {
            "+5581999990000",
            "+5581988880000",
        }
        [body] = listener.wait_for(1)
        assert list(body["leads"]) == ["update"]

    def test_errors_have_a_remedy(self, api):
        lead_id = api.create()
        for path, body in [
            ("leads/5/move", {"stage": "Qualificado"}),
            (f"leads/{lead_id}/move", {"stage": "Nenhures"}),
            (f"leads/{lead_id}/move", {}),
            (f"leads/{lead_id}/move", {"stage": "Etapa de leads de entrada"}),
            (f"leads/{lead_id}/move", {"stage": "Qualificado", "user_id": 5}),
            (f"leads/{lead_id}/edit", {"price": -1}),
            (f"leads/{lead_id}/restore", {}),
            ("nowhere", {}),
            ("options", {"nope": 1}),
            ("options", {"requests_per_second": "7"}),
        ]:
            answer = api.control("POST", path, body)
            assert answer.status_code in (400, 404), path
            assert answer.json()["error"] and answer.json()["remedy"], path


class TestCatalogue:
    def test_options_of_a_field(self, api):
        made = api.staff(f"fields/{SOLUTION}/enums", {"value": "Nova"})
        lead_id = api.create(custom_fields_values=[{"field_id": SOLUTION, "values": [{"enum_id": made["id"]}]}])
        api.control("PATCH", f"fields/{SOLUTION}/enums/{made['id']}", {"value": "Renomeada"})
        assert api.state(lead_id)["fields"] == {"Solução Solar": "Renomeada"}
        api.control("DELETE", f"fields/{SOLUTION}/enums/{made['id']}")
        assert api.state(lead_id)["fields"] == {}

    def test_stages_fields_and_users(self, api):
        assert api.staff(f"pipelines/{PIPELINE_ID}/statuses", {"name": "Nova"})["id"]
        assert api.control("PATCH", f"statuses/{QUALIFIED}", {"name": "Quente"}).json()["name"] == "Quente"
        assert api.control("DELETE", f"statuses/{QUALIFIED}").status_code == 204
        assert api.control("PATCH", f"fields/{BILL}", {"name": "Conta"}).json()["name"] == "Conta"
        assert api.control("DELETE", f"fields/{BILL}").status_code == 204
        assert api.control("DELETE", "users/11087205").status_code == 204
        assert api.patch(f"leads/{api.create()}", {"responsible_user_id": 11087205}).status_code == 400
        assert api.control("DELETE", "statuses/142").status_code == 404


class TestJournal:
    def test_it_tells_each_request_apart(self, api):
        lead_id = api.create()
        api.patch("leads", [{"id": lead_id, "name": "x"}])
        api.get("leads", **{"filter[id][]": lead_id})
        api.patch("leads", [{"id": lead_id, "status_id": 1}])
        created, changed, read, refused = api.journal()

        assert (created["method"], created["path"], created["body"]) == ("POST", "/api/v4/leads", [{"name": "Maria"}])
        assert [entry["lead_ids"] for entry in (created, changed, read)] == [[lead_id]] * 3
        assert read["query"] == {"filter": {"id": {"0": str(lead_id)}}}
        assert [entry["status"] for entry in api.journal()] == [200, 200, 200, 400]
        assert [entry["write"] for entry in api.journal()] == [True, True, False, True]
        assert [entry["applied"] for entry in api.journal()] == [True, True, False, False]
        assert refused["refusal"]["validation-errors"]
        assert created["monotonic"] < changed["monotonic"] and created["at"] < changed["at"]

    def test_it_goes_on_from_an_index(self, api):
        api.get("account")
        following = api.control("GET", "journal").json()["next"]
        api.get("users")
        answer = api.control("GET", f"journal?since={following}").json()
        assert [entry["path"] for entry in answer["entries"]] == ["/api/v4/users"]
        assert api.control("GET", f"journal?since={answer['next']}").json() == {"next": answer["next"], "entries": []}

    def test_the_control_api_is_not_in_it(self, api):
        api.control("GET", "leads")
        assert api.journal() == []


def test_reset_goes_back_to_the_start(api):
    api.create()
    api.fault("500")
    api.options(requests_per_second=3)
    api.staff("reset")
    assert api.control("GET", "leads").json() == {"leads": [], "contacts": []}
    assert api.control("GET", "faults").json() == {"faults": []}
    assert api.control("GET", "options").json()["requests_per_second"] == 0
    assert api.journal() == []
