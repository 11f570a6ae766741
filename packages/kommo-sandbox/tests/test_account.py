from __future__ import annotations

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, NEW, QUALIFIED, SOLUTION


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
