from __future__ import annotations

import time

from kommo_sandbox.reference import PIPELINE_ID
from sandbox_calls import BILL, HUMAN, QUALIFIED, Api


class TestFilters:
    def test_by_ids(self, api):
        ids = [api.create() for _ in range(3)]
        assert [lead["id"] for lead in api.leads(**{"filter[id][]": [ids[0], ids[2]]})] == [ids[0], ids[2]]
        assert [lead["id"] for lead in api.leads(**{"filter[id]": ids[1]})] == [ids[1]]

    def test_by_time_of_change_in_order(self, api):
        soon = int(time.time()) + 1000
        early, late = api.create(updated_at=soon), api.create(updated_at=soon + 50)
        api.create()

        found = api.leads(**{"filter[updated_at][from]": soon, "order[updated_at]": "asc"})
        assert [lead["id"] for lead in found] == [early, late]
        newest_first = api.leads(**{"filter[updated_at][from]": soon, "order[updated_at]": "desc"})
        assert [lead["id"] for lead in newest_first] == [late, early]
        assert [lead["id"] for lead in api.leads(**{"filter[updated_at][to]": soon})].count(late) == 0

    def test_by_stage_and_pipeline(self, api):
        api.create()
        qualified = api.create(status_id=QUALIFIED, pipeline_id=PIPELINE_ID)
        stage = {"filter[statuses][0][pipeline_id]": PIPELINE_ID, "filter[statuses][0][status_id]": QUALIFIED}

        assert [lead["id"] for lead in api.leads(**stage)] == [qualified]
        assert api.leads(**{"filter[pipeline_id][]": 11690011}) == []

    def test_by_the_value_of_a_field(self, api):
        wanted = api.create(custom_fields_values=[{"field_id": BILL, "values": [{"value": "380.5"}]}])
        api.create(custom_fields_values=[{"field_id": BILL, "values": [{"value": 4000}]}])

        assert [lead["id"] for lead in api.leads(**{f"filter[custom_fields_values][{BILL}][]": "380.5"})] == [wanted]
        assert [lead["id"] for lead in api.leads(**{f"filter[custom_fields_values][{BILL}][to]": 400})] == [wanted]

    def test_by_text(self, api):
        wanted = api.create("Padaria Pão Quente")
        api.create("Outra")
        assert [lead["id"] for lead in api.leads(query="pão")] == [wanted]

    def test_unknown_filters_are_ignored(self, api):
        api.create()
        assert len(api.leads(**{"filter[invented]": 5, "pipeline_id": 1})) == 1


def test_twenty_thousand_leads_stay_within_reach(api: Api):
    # In parts: on a busy machine one call for all would outlast the caller's patience.
    for _ in range(10):
        api.staff("populate", {"leads": 2_000})
    soon = int(time.time()) + 1000
    ids = [lead["id"] for lead in api.leads(limit=250, page=80)]
    assert len(ids) == 250

    items = [{"id": lead_id, "status_id": HUMAN, "pipeline_id": PIPELINE_ID, "updated_at": soon} for lead_id in ids]
    assert api.patch("leads", items).ok
    changed = api.leads(limit=250, **{"filter[updated_at][from]": soon, "order[updated_at]": "asc"})
    assert [lead["id"] for lead in changed] == ids
