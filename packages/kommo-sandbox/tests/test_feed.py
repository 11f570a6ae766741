from __future__ import annotations

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, QUALIFIED

MOVED = {"filter[type]": "lead_status_changed"}


def test_a_move_is_recorded_with_before_after_and_author(api):
    lead_id = api.create()
    api.patch("leads", [{"id": lead_id, "status_id": QUALIFIED, "pipeline_id": PIPELINE_ID}])
    api.staff(f"leads/{lead_id}/move", {"stage": "Atendimento Humano", "user_id": 11087205})

    by_person, by_api = api.events(**MOVED)

    assert by_api["value_before"] == [{"lead_status": {"id": 89709459, "pipeline_id": PIPELINE_ID}}]
    assert by_api["value_after"] == [{"lead_status": {"id": QUALIFIED, "pipeline_id": PIPELINE_ID}}]
    assert (by_api["created_by"], by_person["created_by"]) == (11087123, 11087205)
    assert (by_api["entity_type"], by_api["entity_id"]) == ("lead", lead_id)
    assert isinstance(by_api["id"], str)


def test_each_kind_of_change_has_its_event(api):
    lead_id = api.create(price=1)
    fields = [{"field_id": BILL, "values": [{"value": 400}]}]
    change = {"name": "Ana", "price": 5, "responsible_user_id": 11087201, "custom_fields_values": fields}
    api.patch(f"leads/{lead_id}", {**change, "tags_to_add": [{"name": "a"}]})
    api.patch(f"leads/{lead_id}", {"tags_to_delete": [{"name": "a"}], "updated_by": 0})
    api.staff(f"leads/{lead_id}/delete")
    api.staff(f"leads/{lead_id}/restore")

    types = [event["type"] for event in api.events()]

    assert set(types) == {
        "lead_added",
        "name_field_changed",
        "sale_field_changed",
        "entity_responsible_changed",
        f"custom_field_{BILL}_value_changed",
        "entity_tag_added",
        "entity_tag_deleted",
        "lead_deleted",
        "lead_restored",
    }
    assert types[-1] == "lead_added"
    [robot] = api.events(**{"filter[type]": "entity_tag_deleted"})
    assert robot["created_by"] == 0 and robot["value_before"] == [{"tag": {"name": "a"}}]


def test_an_unchanged_value_makes_no_event(api):
    lead_id = api.create("Maria")
    api.patch(f"leads/{lead_id}", {"name": "Maria"})
    assert [event["type"] for event in api.events()] == ["lead_added"]


def test_filters(api):
    first, second = api.create(), api.create()
    for lead_id in (first, second):
        api.patch(f"leads/{lead_id}", {"status_id": QUALIFIED, "pipeline_id": PIPELINE_ID})

    assert len(api.events(**MOVED, **{"filter[entity]": "lead", "filter[entity_id]": first})) == 1
    assert len(api.events(**MOVED, **{"filter[created_by]": "11087123,0"})) == 2
    assert api.events(**MOVED, **{"filter[created_by]": 11087201}) == []
    assert api.events(**{"filter[created_at][from]": 4_000_000_000}) == []
    after = {"filter[value_after][leads_statuses][0][status_id]": QUALIFIED}
    assert len(api.events(**after, **{"filter[value_after][leads_statuses][0][pipeline_id]": PIPELINE_ID})) == 2
    assert api.get("events", **{"filter[entity_id]": first}).status_code == 400
    assert len(api.events(**{"filter[type]": "custom_field_value_changed"})) == 0


def test_the_feed_is_paged_newest_first(api):
    ids = [api.create() for _ in range(3)]
    assert [event["entity_id"] for event in api.events(limit=2)] == [ids[2], ids[1]]
