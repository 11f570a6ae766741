from __future__ import annotations

from .conftest import BILL, NEW, PIPELINE_ID, QUALIFIED, SOLUTION, errors_of

STATUSES = f"leads/pipelines/{PIPELINE_ID}/statuses"


def test_the_reference_account_is_served(api):
    account = api.get("account", **{"with": "amojo_id,users_groups,task_types,datetime_settings,version"}).json()
    assert account["id"] == 30000001 and account["subdomain"] == f"sandbox-{api.server.port}"
    assert account["_embedded"]["datetime_settings"]["timezone"] == "America/Sao_Paulo"

    [sales, _] = api.get("leads/pipelines").json()["_embedded"]["pipelines"]
    assert sales["id"] == PIPELINE_ID and sales["is_main"]
    assert [(status["id"], status["name"], status["type"]) for status in sales["_embedded"]["statuses"]] == [
        (89709455, "Etapa de leads de entrada", 1),
        (NEW, "Novo Lead", 0),
        (89709463, "Em Qualificação", 0),
        (QUALIFIED, "Qualificado", 0),
        (89709595, "Reunião Agendada", 0),
        (90421387, "Atendimento Humano", 0),
        (89709599, "Não Interessado", 0),
        (142, "Ganho", 0),
        (143, "Perdido", 0),
    ]
    fields = api.get("leads/custom_fields", limit=250).json()["_embedded"]["custom_fields"]
    known = {field["id"]: (field["name"], field["type"]) for field in fields}
    assert known[392802] == ("WhatsApp", "text") and known[BILL] == ("Valor Conta Energia", "numeric")
    assert known[395520] == ("Link do evento no Google Calendar", "url")
    enums = next(field["enums"] for field in fields if field["id"] == SOLUTION)
    assert {enum["id"] for enum in enums} == {326358, 326360, 326362, 326364, 326366, 1078618, 1078620, 1078622}


def test_users_and_loss_reasons(api):
    users = api.get("users", limit=250).json()["_embedded"]["users"]
    assert [user["rights"]["is_admin"] for user in users] == [True, False, False]
    assert len(api.get("leads/loss_reasons").json()["_embedded"]["loss_reasons"]) == 4


def test_a_stage_is_added_before_won_and_lost(api):
    made = api.post(STATUSES, [{"name": "Desqualificado", "color": "#ffc8c8", "request_id": "s"}]).json()
    [status] = made["_embedded"]["statuses"]
    assert (status["name"], status["request_id"], status["pipeline_id"]) == ("Desqualificado", "s", PIPELINE_ID)
    names = [one["name"] for one in api.get(STATUSES).json()["_embedded"]["statuses"]]
    assert names[-3:] == ["Desqualificado", "Ganho", "Perdido"]
    assert api.patch(f"leads/{api.create()}", {"status_id": status["id"], "pipeline_id": PIPELINE_ID}).ok


def test_stages_are_renamed_and_deleted(api):
    lead_id = api.create(status_id=QUALIFIED)
    assert api.patch(f"{STATUSES}/{QUALIFIED}", {"name": "Quente"}).json()["name"] == "Quente"
    assert api.delete(f"{STATUSES}/{QUALIFIED}").status_code == 204
    assert api.lead(lead_id)["status_id"] == NEW
    assert api.delete(f"{STATUSES}/142").status_code == 400


def test_bad_stages_are_refused(api):
    assert errors_of(api.post(STATUSES, [{"name": "x", "color": "#123456"}])) == [("color", "NotSupportedChoice")]
    assert errors_of(api.post(STATUSES, [{}])) == [("name", "FieldMissing")]
    answer = api.post("leads/pipelines/0/statuses", [{"name": "x"}])
    assert (answer.status_code, answer.json()["detail"]) == (404, "Pipeline not found")


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


def test_only_administrators_change_the_catalogue(api):
    as_seller = {"headers": {"X-Context-User-ID": "11087201"}}
    assert api.call("POST", STATUSES, [{"name": "x"}], **as_seller).status_code == 403
    assert api.call("GET", "webhooks", **as_seller).status_code == 403
