from __future__ import annotations

from sandbox_calls import SOLUTION, errors_of


def test_fields_are_paged_by_fifty(api):
    api.post("leads/custom_fields", [{"name": f"Campo {n}", "type": "text"} for n in range(60)])
    assert len(api.get("leads/custom_fields").json()["_embedded"]["custom_fields"]) == 50
    assert len(api.get("leads/custom_fields", limit=250).json()["_embedded"]["custom_fields"]) == 70


def test_the_bridges_own_field_can_be_made(api):
    body = [{"name": "Bridge ID", "type": "text", "is_api_only": True, "request_id": "f"}]
    [field] = api.post("leads/custom_fields", body).json()["_embedded"]["custom_fields"]
    assert field["is_api_only"] and field["request_id"] == "f"
    lead_id = api.create(custom_fields_values=[{"field_id": field["id"], "values": [{"value": "0f9c"}]}])
    found = api.leads(**{f"filter[custom_fields_values][{field['id']}][]": "0f9c"})
    assert [lead["id"] for lead in found] == [lead_id]


def test_fields_that_leads_cannot_have_are_refused(api):
    given = [{"name": "x", "type": "multitext"}, {"name": "y", "type": "select"}, {"type": "text"}]
    answer = api.post("leads/custom_fields", given)
    assert errors_of(answer, "0") == [("type", "NotSupportedChoice")]
    assert errors_of(answer, "1") == [("enums", "FieldMissing")]
    assert errors_of(answer, "2") == [("name", "FieldMissing")]


def test_options_left_out_of_a_change_are_lost_with_their_values(api):
    kept_id, lost_id = 326358, 326360
    kept = api.create(custom_fields_values=[{"field_id": SOLUTION, "values": [{"enum_id": kept_id}]}])
    lost = api.create(custom_fields_values=[{"field_id": SOLUTION, "values": [{"enum_id": lost_id}]}])

    enums = [{"id": kept_id, "value": "Usina", "sort": 1}, {"value": "Nova", "sort": 2}]
    changed = api.patch(f"leads/custom_fields/{SOLUTION}", {"enums": enums}).json()

    assert [enum["value"] for enum in changed["enums"]] == ["Usina", "Nova"]
    assert api.state(kept)["fields"] == {"Solução Solar": "Usina"}
    assert api.state(lost)["fields"] == {}


def test_an_option_that_staff_deleted_is_no_choice_any_more(api):
    assert api.control("DELETE", f"fields/{SOLUTION}/enums/326358").status_code == 204
    fields = [{"field_id": SOLUTION, "values": [{"enum_id": 326358}]}]
    assert errors_of(api.post("leads", [{"custom_fields_values": fields}]))[0][1] == "NotSupportedChoice"
