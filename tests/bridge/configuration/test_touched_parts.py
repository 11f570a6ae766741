"""A change of a configuration is known by the parts it touched, and nothing that changes goes unnamed."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

import pytest

from bridge.configuration import document
from bridge.configuration.touched_parts import EVERYBODY, FOLLOW_UPS, MEETING, touched

BASE = document.Pipeline(
    slug="solar",
    name="Solar",
    stages=(
        document.Stage(key="new", name="Novo"),
        document.Stage(key="qualified", name="Qualificado"),
        document.Stage(key="disqualified", name="Desqualificado"),
    ),
    stage_mappings=(
        document.StageMapping(conversation_stage="Qualificação", decide="qualification"),
        document.StageMapping(conversation_stage="presenting", move_to="new"),
    ),
    qualification=document.Qualification(
        min_score=Decimal(70), qualified_stage="qualified", disqualified_stage="disqualified", undecided_stage=None
    ),
    fields=(document.Field(attribute="bill_value", kommo_field="Valor", type="monetary", options={"a": "b"}),),
    tags=(document.Tag(attribute="objections", template="objecao_{value}"),),
    sequences=(document.Sequence(slug="cold", starts_on="agent_unanswered"),),
)
JUDGED = ["conversation:qualificacao", "stage:disqualified", "stage:qualified"]


def first(records, /, **changes):
    """The base with the first of its records of a kind changed."""
    record, *others = getattr(BASE, records)
    return replace(BASE, **{records: (replace(record, **changes), *others)})


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (BASE, []),
        (first("stages", name="Chegou"), ["stage:new"]),
        (replace(BASE, stages=BASE.stages[:2]), ["stage:disqualified"]),
        (replace(BASE, stages=(document.Stage(key="hot", name="Quente"), *BASE.stages)), ["stage:hot"]),
        (replace(BASE, stages=BASE.stages[::-1]), [EVERYBODY]),
        (first("stage_mappings", decide="nothing"), ["conversation:qualificacao"]),
        (replace(BASE, qualification=replace(BASE.qualification, min_score=Decimal(60))), JUDGED),
        (replace(BASE, qualification=None), JUDGED),
        (first("fields", kommo_field="Conta"), ["attribute:bill_value"]),
        (replace(BASE, tags=()), ["attribute:objections"]),
        (first("sequences", give_up_after=timedelta(days=3)), ["sequence:cold"]),
        (replace(BASE, meeting_stage="qualified"), [MEETING]),
        (replace(BASE, flows=("casa",)), ["attribute:chosen_flow"]),
        (replace(BASE, quiet_hours=document.QuietHours(quiet_from=time(20), quiet_to=time(8))), [FOLLOW_UPS]),
        (replace(BASE, holidays=document.Holidays(holidays_country="BR")), [FOLLOW_UPS]),
        (replace(BASE, time_zone="America/Recife"), [EVERYBODY]),
        (replace(BASE, handoff_max=timedelta(hours=4)), [EVERYBODY]),
        # Which mapping of two comes first: in no part, and still not untold.
        (replace(BASE, stage_mappings=BASE.stage_mappings[::-1]), [EVERYBODY]),
    ],
)
def test_a_change_names_the_parts_it_touched(new, parts):
    assert touched(BASE, new) == parts
    assert touched(new, BASE) == parts


def test_no_key_of_a_pipeline_changes_unnoticed():
    for field in dataclasses.fields(document.Pipeline):
        if field.compare:
            assert touched(BASE, replace(BASE, **{field.name: ()})) or getattr(BASE, field.name) == (), field.name
