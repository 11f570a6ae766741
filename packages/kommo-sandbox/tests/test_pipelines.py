from __future__ import annotations

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import NEW, QUALIFIED, errors_of

STATUSES = f"leads/pipelines/{PIPELINE_ID}/statuses"


def test_a_stage_is_added_before_won_and_lost(api):
    made = api.post(STATUSES, [{"name": "Desqualificado", "color": "#ffc8c8", "request_id": "s"}]).json()
    [status] = made["_embedded"]["statuses"]
    assert (status["name"], status["request_id"], status["pipeline_id"]) == ("Desqualificado", "s", PIPELINE_ID)
    names = [existing["name"] for existing in api.get(STATUSES).json()["_embedded"]["statuses"]]
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


def test_only_administrators_change_the_catalogue(api):
    as_seller = {"headers": {"X-Context-User-ID": "11087201"}}
    assert api.call("POST", STATUSES, [{"name": "x"}], **as_seller).status_code == 403
    # As seen live: who may not read subscriptions is told that the token is not good.
    assert api.call("GET", "webhooks", **as_seller).status_code == 401
    assert api.call("DELETE", "webhooks", {"destination": "https://x.example"}, **as_seller).status_code == 403
