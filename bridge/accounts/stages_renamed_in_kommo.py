"""What Kommo calls our stages: a name that somebody changed there is told, until staff have said which one is to hold.

Kommo tells nobody of it. It is seen when the account's stages are read, at least once an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.models import Account, Catalogue, StageInKommo
from common.name_spellings import name_key
from leads.models import Stage


@dataclass(frozen=True)
class Renamed:
    """A stage whose counterpart in Kommo has got another name, which is not ours either."""

    stage: Stage
    before: str
    now: str


def remember(account: Account, pipelines: Iterable[dict[str, Any]]) -> None:
    """Keep the names of bound stages that were not known yet, and those that agree with ours: they are no news."""
    known = {row.stage_id: row for row in StageInKommo.objects.filter(stage__pipeline__account_link__account=account)}
    for stage, name in _bound(account, pipelines):
        row = known.get(stage.pk) or StageInKommo(stage=stage)
        is_news = row.kommo_status_id == stage.kommo_status_id and name_key(name) != name_key(stage.name)
        if not is_news and (row.kommo_status_id, row.name) != (stage.kommo_status_id, name):
            row.kommo_status_id, row.name = stage.kommo_status_id, name
            row.save()


def renamed(account: Account, catalogue: Catalogue | None) -> list[Renamed]:
    """Return the stages that were renamed in Kommo since staff last knew. One query."""
    if catalogue is None:
        return []
    rows = StageInKommo.objects.filter(stage__pipeline__account_link__account=account, wish="")
    known = {(row.stage_id, row.kommo_status_id): row.name for row in rows}
    return [
        Renamed(stage, known[stage.pk, stage.kommo_status_id], name)
        for stage, name in _bound(account, catalogue.pipelines)
        if known.get((stage.pk, stage.kommo_status_id), name) != name and name_key(name) != name_key(stage.name)
    ]


def is_known(stage: Stage, name: str) -> None:
    """Note that staff know what Kommo calls the stage now, and leave it so."""
    StageInKommo.objects.filter(stage=stage, kommo_status_id=stage.kommo_status_id).update(name=name, answer="")


def _bound(account: Account, pipelines: Iterable[dict[str, Any]]) -> Iterator[tuple[Stage, str]]:
    """Yield our bound stages with what Kommo calls them. Won and lost are fixed, and their names nobody's affair."""
    names = {
        (pipeline["id"], status["id"]): status["name"] for pipeline in pipelines for status in pipeline["statuses"]
    }
    stages = Stage.objects.filter(pipeline__account_link__account=account, kind=Stage.Kind.OPEN)
    for stage in stages.exclude(kommo_status_id=None).select_related("pipeline").order_by("pipeline", "rank"):
        name = names.get((stage.pipeline.kommo_pipeline_id, stage.kommo_status_id))
        if name is not None:
            yield stage, name
