"""Where a stage that is missing in Kommo is put, and that it stands there on the board."""

from __future__ import annotations

import pytest

from bridge.configuration.binding_by_name import LOST, WON, place_behind
from leads.models import Stage


def found(*places: int) -> dict[str, object]:
    ends = [{"id": WON, "sort": 10_000, "type": 0}, {"id": LOST, "sort": 11_000, "type": 0}]
    incoming = {"id": 1, "sort": 10, "type": 1}
    return {"statuses": [incoming, *({"id": place, "sort": place, "type": 0} for place in places), *ends]}


@pytest.mark.parametrize(
    ("places", "previous", "place"),
    [
        ((20, 30, 40), 20, 25),
        ((20, 30, 40), 40, 50),
        ((20, 21), 20, 21),
        ((20, 30), None, 10),
        ((), None, 10),
        ((20, 30), 99, 10),
    ],
    ids=["between two", "behind the last", "no gap left", "before all", "the only one", "behind one that is gone"],
)
def test_a_new_stage_stands_right_behind_the_one_before_it(places, previous, place):
    assert place_behind(found(*places), previous) == place


def test_on_the_board_the_stages_stand_in_the_order_of_ours(account, pipeline):
    """The sandbox's account has no stages of these names; connecting it has made them."""
    pipeline.refresh_from_db()
    kommo_pipeline = next(
        each_pipeline
        for each_pipeline in account.catalogue.pipelines
        if each_pipeline["id"] == pipeline.kommo_pipeline_id
    )
    places = {status["id"]: status["sort"] for status in kommo_pipeline["statuses"]}
    ours = Stage.objects.filter(pipeline=pipeline, kind=Stage.Kind.OPEN).order_by("rank")
    order = [places[stage.kommo_status_id] for stage in ours]
    assert len(order) > 4
    assert order == sorted(order)
