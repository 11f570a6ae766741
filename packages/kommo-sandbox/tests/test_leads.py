from __future__ import annotations

import pytest

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, MEETING, NEW, QUALIFIED, QUALIFYING, errors_of

WON, LOST, INCOMING = 142, 143, 89709455


def test_a_lead_has_the_shape_of_the_api(api):
    contact = api.contact()
    lead_id = api.create("Maria", price=5000, _embedded={"contacts": [{"id": contact, "is_main": True}]})

    lead = api.lead(lead_id, **{"with": "contacts,loss_reason"})

    assert (lead["name"], lead["price"], lead["status_id"], lead["pipeline_id"]) == ("Maria", 5000, NEW, PIPELINE_ID)
    assert lead["custom_fields_values"] is None
    assert lead["_embedded"]["contacts"][0] | {"_links": None} == {"id": contact, "is_main": True, "_links": None}
    assert lead["_embedded"]["tags"] == lead["_embedded"]["companies"] == lead["_embedded"]["loss_reason"] == []


def test_contacts_come_only_when_asked_for(api):
    assert "contacts" not in api.lead(api.create())["_embedded"]


def test_success_is_hal_and_refusal_is_a_problem_and_both_have_a_request_id(api):
    good, bad = api.get("account"), api.get("nowhere")

    assert good.headers["Content-Type"] == "application/hal+json"
    assert bad.headers["Content-Type"] == "application/problem+json"
    assert bad.status_code == 404 and bad.json()["status"] == 404
    assert good.headers["X-Request-Id"] != bad.headers["X-Request-Id"]


def test_an_empty_list_and_an_unknown_id_are_204_without_a_body(api):
    for path in ("leads", "leads/1", "contacts/1", "tasks", "events", "webhooks", "leads/unsorted", "talks"):
        answer = api.get(path)
        assert (path, answer.status_code, answer.content) == (path, 204, b"")


def test_a_lead_cannot_be_deleted_by_the_api(api):
    assert api.delete(f"leads/{api.create()}").status_code == 405


def test_pages_end_without_a_next_link(api):
    for number in range(5):
        api.create(f"Lead {number}")

    first = api.get("leads", limit=2).json()
    second = api.session.get(first["_links"]["next"]["href"]).json()
    last = api.session.get(second["_links"]["next"]["href"]).json()

    assert [len(page["_embedded"]["leads"]) for page in (first, second, last)] == [2, 2, 1]
    assert "next" not in last["_links"]
    assert api.get("leads", limit=2, page=4).status_code == 204


def test_the_next_link_keeps_the_filters(api):
    ids = [api.create() for _ in range(3)]
    page = api.get("leads", limit=1, **{"filter[id][]": ids[1:]}).json()

    assert [lead["id"] for lead in page["_embedded"]["leads"]] == [ids[1]]
    following = api.session.get(page["_links"]["next"]["href"]).json()
    assert [lead["id"] for lead in following["_embedded"]["leads"]] == [ids[2]]


def test_more_than_250_are_refused(api):
    answer = api.post("leads", [{"name": "x"}] * 251)

    assert answer.status_code == 422 and answer.json()["detail"] == "Limit 250 per page"
    assert api.get("leads", limit=251).status_code == 422


@pytest.mark.parametrize("body", [[], None, {}])
def test_an_empty_write_is_refused(api, body):
    assert api.post("leads", body).json()["detail"] == "Request data can not be empty"


def test_a_body_that_is_not_json_is_refused(api):
    answer = api.session.post(f"{api.url}/api/v4/leads", data="{nonsense")
    assert answer.status_code == 400


class TestMoving:
    def test_a_change_answers_ids_alone(self, api):
        lead_id = api.create()
        changed = api.patch("leads", [{"id": lead_id, "name": "Ana", "request_id": "our-1"}]).json()["_embedded"][
            "leads"
        ]

        assert changed[0].keys() == {"id", "updated_at", "request_id", "_links"}
        assert changed[0]["request_id"] == "our-1"
        assert api.patch(f"leads/{lead_id}", {"price": 5}).json().keys() >= {"id", "updated_at"}
        assert (api.lead(lead_id)["name"], api.lead(lead_id)["price"]) == ("Ana", 5)

    def test_a_stage_alone_names_its_pipeline(self, api):
        lead_id = api.create()
        api.patch(f"leads/{lead_id}", {"status_id": 89820109})
        assert api.lead(lead_id)["pipeline_id"] == 11690011

    def test_a_pipeline_alone_means_its_first_stage(self, api):
        lead_id = api.create()
        api.patch(f"leads/{lead_id}", {"pipeline_id": 11690011})
        assert api.lead(lead_id)["status_id"] == 89820105

    def test_won_needs_no_pipeline_but_takes_one(self, api):
        lead_id = api.create()
        api.patch(f"leads/{lead_id}", {"status_id": WON, "pipeline_id": 11690011})
        lead = api.lead(lead_id)
        assert (lead["status_id"], lead["pipeline_id"]) == (WON, 11690011) and lead["closed_at"]

    @pytest.mark.parametrize(
        ("stage", "path"),
        [
            ({"status_id": 1}, "status_id"),
            ({"status_id": INCOMING}, "status_id"),
            ({"status_id": QUALIFIED, "pipeline_id": 11690011}, "status_id"),
            ({"status_id": QUALIFIED, "pipeline_id": 5}, "pipeline_id"),
        ],
    )
    def test_a_stage_that_cannot_be_is_refused(self, api, stage, path):
        assert errors_of(api.patch("leads", [{"id": api.create(), **stage}])) == [(path, "NotSupportedChoice")]
        assert errors_of(api.post("leads", [{"name": "x", **stage}])) == [(path, "NotSupportedChoice")]

    def test_any_change_takes_a_lead_out_of_incoming_leads(self, api):
        lead_id = api.staff("leads", {"name": "Site", "incoming": True})["id"]
        assert api.lead(lead_id)["status_id"] == INCOMING

        assert errors_of(api.patch("leads", [{"id": lead_id, "status_id": INCOMING}])) == [
            ("status_id", "NotSupportedChoice")
        ]
        api.patch("leads", [{"id": lead_id, "price": 10}])
        assert api.lead(lead_id)["status_id"] == NEW
        assert api.get("leads/unsorted").status_code == 204

    def test_a_reopened_lead_loses_its_closing_time_and_reason(self, api):
        lead_id = api.create(status_id=LOST, loss_reason_id=8001)
        api.patch("leads", [{"id": lead_id, "status_id": QUALIFYING, "pipeline_id": PIPELINE_ID}])
        lead = api.lead(lead_id)
        assert (lead["closed_at"], lead["loss_reason_id"]) == (None, None)


class TestLossReasons:
    REFUSED = "Loss reason can be specified only for lost lead"

    def test_it_is_checked_against_the_stage_before_the_move(self, api):
        lead_id = api.create()
        answer = api.patch("leads", [{"id": lead_id, "status_id": LOST, "loss_reason_id": 8001}])

        assert answer.status_code == 400
        assert answer.json()["errors"] == {str(lead_id): self.REFUSED}
        assert "validation-errors" not in answer.json()
        assert api.lead(lead_id)["status_id"] == NEW

    def test_even_null_sinks_the_move(self, api):
        assert api.patch("leads", [{"id": api.create(), "status_id": LOST, "loss_reason_id": None}]).status_code == 400

    def test_two_steps_work(self, api):
        lead_id = api.create()
        assert api.patch(f"leads/{lead_id}", {"status_id": LOST, "pipeline_id": PIPELINE_ID}).ok
        assert api.patch(f"leads/{lead_id}", {"loss_reason_id": 8001}).ok
        shown = api.lead(lead_id, **{"with": "loss_reason"})
        assert shown["_embedded"]["loss_reason"] == [{"id": 8001, "name": "Preço alto"}]

    def test_the_other_reading_takes_both_at_once(self, api):
        api.options(loss_reason_before_move=False)
        lead_id = api.create()
        assert api.patch("leads", [{"id": lead_id, "status_id": LOST, "loss_reason_id": 8001}]).ok
        assert api.patch("leads", [{"id": api.create(), "loss_reason_id": 8001}]).status_code == 400


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"name": None}, ("name", "InvalidType")),
            ({"price": "10"}, ("price", "InvalidType")),
            ({"price": -1}, ("price", "TooLow")),
            ({"status_id": str(QUALIFIED)}, ("status_id", "InvalidType")),
            ({"responsible_user_id": 5}, ("responsible_user_id", "NotSupportedChoice")),
            ({"created_by": 5}, ("created_by", "NotSupportedChoice")),
            ({"updated_by": 5}, ("updated_by", "NotSupportedChoice")),
            ({"surprise": 1}, ("surprise", "FieldNotExpected")),
            ({"loss_reason_id": 5}, ("loss_reason_id", "NotSupportedChoice")),
        ],
    )
    def test_what_kommo_refuses(self, api, change, error):
        assert errors_of(api.patch("leads", [{"id": api.create(), **change}])) == [error]

    def test_the_body_names_the_request_and_the_detail(self, api):
        answer = api.post("leads", [{"name": "ok"}, {"name": 5, "request_id": "our-7"}])

        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json() == {
            "validation-errors": [
                {
                    "request_id": "our-7",
                    "errors": [
                        {"code": "InvalidType", "path": "name", "detail": "This value should be of type string."}
                    ],
                }
            ],
            "title": "Bad Request",
            "type": "https://httpstatus.es/400",
            "status": 400,
            "detail": "Request validation failed",
        }

    def test_a_lead_read_whole_may_be_sent_back(self, api):
        lead = api.lead(api.create(), **{"with": "contacts"})
        lead.pop("loss_reason_id")
        assert api.patch("leads", [lead]).ok

    def test_required_fields_are_enforced_on_demand(self, api):
        stage = {"pipeline_id": PIPELINE_ID, "status_id": MEETING}
        api.patch(f"leads/custom_fields/{BILL}", {"required_statuses": [stage]})
        lead_id = api.create()
        api.options(enforce_required_statuses=True)

        assert errors_of(api.patch("leads", [{"id": lead_id, **stage}]))[0][1] == "FieldMissing"
        bill = [{"field_id": BILL, "values": [{"value": 1}]}]
        assert api.patch("leads", [{"id": lead_id, **stage, "custom_fields_values": bill}]).ok


class TestBatches:
    def test_one_bad_item_refuses_all(self, api):
        good, bad = api.create("good"), api.create("bad")
        answer = api.patch("leads", [{"id": good, "name": "new"}, {"id": bad, "status_id": 1}])

        assert errors_of(answer, "1") == [("status_id", "NotSupportedChoice")]
        assert api.lead(good)["name"] == "good"

    def test_partial_batches_apply_and_name_the_good_ones(self, api):
        api.options(partial_batches=True)
        good, bad = api.create("good"), api.create("bad")
        answer = api.patch("leads", [{"id": good, "name": "new"}, {"id": bad, "status_id": 1}])

        assert [lead["id"] for lead in answer.json()["_embedded"]["leads"]] == [good]
        assert api.lead(good)["name"] == "new"

    def test_a_batch_of_bad_items_is_refused_even_when_partial(self, api):
        api.options(partial_batches=True)
        assert api.patch("leads", [{"id": api.create(), "status_id": 1}]).status_code == 400

    def test_unknown_ids_refuse_the_batch_or_are_left_out(self, api):
        known = api.create()
        items = [{"id": known, "name": "a"}, {"id": 5, "name": "b"}]

        assert errors_of(api.patch("leads", items), "1") == [("id", "NotSupportedChoice")]
        api.options(skip_unknown_ids=True)
        assert [lead["id"] for lead in api.patch("leads", items).json()["_embedded"]["leads"]] == [known]

    def test_a_single_change_of_an_unknown_lead_is_404(self, api):
        assert api.patch("leads/5", {"name": "x"}).status_code == 404


def test_deleted_leads_are_gone_and_listed_apart(api):
    lead_id, other = api.create(), api.create()
    api.staff(f"leads/{lead_id}/delete")

    assert api.get(f"leads/{lead_id}").status_code == 204
    assert [lead["id"] for lead in api.leads()] == [other]
    [deleted] = api.leads(**{"with": "only_deleted"})
    assert {key for key, value in deleted.items() if value is not None} == {
        "id",
        "updated_at",
        "updated_by",
        "account_id",
        "is_deleted",
        "_links",
    }
    assert deleted["id"] == lead_id and deleted["is_deleted"] is True
    api.staff(f"leads/{lead_id}/restore")
    assert api.get(f"leads/{lead_id}").status_code == 200


def test_a_change_that_changes_nothing_still_counts_unless_quiet(api):
    lead_id = api.create(updated_at=1_700_000_000)
    api.options(quiet_when_unchanged=True)
    api.patch("leads", [{"id": lead_id, "name": "Maria"}])
    assert api.lead(lead_id)["updated_at"] == 1_700_000_000
    api.options(quiet_when_unchanged=False)
    api.patch("leads", [{"id": lead_id, "name": "Maria"}])
    assert api.lead(lead_id)["updated_at"] > 1_700_000_000


def test_changes_are_attributed_to_the_tokens_user_or_the_robot(api):
    lead_id = api.create()
    api.patch("leads", [{"id": lead_id, "name": "a"}])
    assert api.lead(lead_id)["updated_by"] == api.get("account").json()["current_user_id"]
    api.patch("leads", [{"id": lead_id, "name": "b", "updated_by": 0}])
    assert api.lead(lead_id)["updated_by"] == 0
    api.call("PATCH", "leads", [{"id": lead_id, "name": "c"}], headers={"X-Context-User-ID": "11087201"})
    assert api.lead(lead_id)["updated_by"] == 11087201
