"""Stages that staff want made or renamed in Kommo: asked for with a draft, kept when it is published, then done.

A worker does them at the account's pace, each once. Nobody's work is written over: a stage that has another name by
then than the one staff saw was renamed by a person, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db.models import QuerySet

from bridge.accounts import catalogue as catalogues
from bridge.configuration import document
from bridge.configuration.connecting import Connection
from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, StageInKommo
from common.reasons import Reason
from leads.models import Pipeline

log = structlog.get_logger(__name__)

CREATE, RENAME = StageInKommo.Wish.CREATE, StageInKommo.Wish.RENAME
# Told in the reader's language by common/reasons/sentences.py.
GONE = Reason("stage_not_in_kommo")
OVERTAKEN = Reason("renamed_meanwhile")
NO_PIPELINE = Reason("pipeline_not_in_kommo")


@dataclass(frozen=True)
class Wish:
    """What is to be done about one stage; `seen`: what Kommo called it when staff asked to have it renamed."""

    do: str
    seen: str = ""


Wishes = Mapping[str, Wish]


def stored(wishes: Wishes) -> dict[str, Any]:
    return {key: asdict(wish) for key, wish in wishes.items()}


def read(posted: Mapping[str, Any], wanted: document.Pipeline) -> dict[str, Wish]:
    """Return the wishes that still make sense for what a draft wants. Pure."""
    bound = {stage.key: bool(stage.kommo_status_id) for stage in wanted.stages if stage.kind == "open"}
    wishes = {key: Wish(**wish) for key, wish in posted.items() if key in bound}
    return {key: wish for key, wish in wishes.items() if bound[key] == (wish.do == RENAME)}


def ask(pipeline: Pipeline, wishes: Wishes, *, by: str, now: datetime) -> None:
    """Keep what is to be done in Kommo, in place of what was wanted of the same stages before."""
    for stage in pipeline.stages.filter(key__in=wishes):
        wish = wishes[stage.key]
        more = {"name": wish.seen, "kommo_status_id": stage.kommo_status_id} if wish.do == RENAME else {}
        StageInKommo.objects.update_or_create(
            stage=stage,
            defaults={
                "wish": wish.do,
                "wished_name": stage.name,
                "wished_by": by[:200],
                "wished_at": now,
                "answer": "",
                **more,
            },
        )


def open_ones(accounts: Iterable[Account] | None = None) -> QuerySet[StageInKommo]:
    rows = StageInKommo.objects.exclude(wish="")
    return rows if accounts is None else rows.filter(stage__pipeline__account_link__account__in=accounts)


def accounts_with_wishes() -> Collection[int]:
    """Return the accounts of which something is wanted and that may be written to. One query, by an index."""
    rows = open_ones().filter(
        stage__pipeline__account_link__account__state=Account.State.ACTIVE,
        stage__pipeline__account_link__account__connected_at__isnull=False,
    )
    return list(rows.values_list("stage__pipeline__account_link__account", flat=True).distinct())


def carry_out(account: Account, client: KommoClient, *, now: datetime) -> int:
    """Do what is wanted in an account; return how much was done. Raises KommoError for what passes by itself."""
    rows = open_ones([account]).select_related("stage__pipeline").order_by("stage__pipeline", "stage__rank")
    done = 0
    for row in rows:
        try:
            answer = _create(account, client, row, now) if row.wish == CREATE else _rename(account, client, row, now)
        except KommoError as error:
            if decide(error) is not Action.DEAD:
                raise
            # No try would end otherwise.
            answer = str(error)
        log.info("stage_in_kommo", stage=row.stage_id, wish=row.wish, answer=answer)
        done += not answer
        # Whoever asked for something else meanwhile is not answered yet.
        still = StageInKommo.objects.filter(pk=row.pk, wish=row.wish, wished_at=row.wished_at)
        still.update(wish="", answer=answer[:500])
    return done


def _create(account: Account, client: KommoClient, row: StageInKommo, now: datetime) -> str:
    """Bind the stage, made in Kommo unless one of its name is there: an answer that was lost makes no second one."""
    connection = Connection(account, client, create_missing={f"stage:{row.stage_id}"}, now=now)
    return "" if connection.make_stage(row.stage) else NO_PIPELINE


def _rename(account: Account, client: KommoClient, row: StageInKommo, now: datetime) -> str:
    stage = row.stage
    status = _as_it_is(account, client, row, now)
    if status is None or stage.kommo_status_id != row.kommo_status_id:
        return GONE
    if status["name"] == row.wished_name:
        return ""
    if status["name"] != row.name:
        return OVERTAKEN
    assert stage.pipeline.kommo_pipeline_id is not None
    client.rename_status(stage.pipeline.kommo_pipeline_id, status["id"], row.wished_name)
    StageInKommo.objects.filter(pk=row.pk).update(name=row.wished_name)
    _as_it_is(account, client, row, now)
    return ""


def _as_it_is(account: Account, client: KommoClient, row: StageInKommo, now: datetime) -> dict[str, Any] | None:
    """Return the stage as Kommo has it now, not as it was read within the last hour."""
    found = catalogues.refresh_part(account, client, "pipelines", now=now)
    return found.status(row.stage.pipeline.kommo_pipeline_id, row.stage.kommo_status_id)
