"""The configuration as a file: short, in one order, and true to the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from bridge.configuration import document, exporting, yaml_file
from followups.models import Sequence
from leads.models import FieldMapping, Pipeline, Stage
from tests.bridge.configuration.files import SOLAR


def body(text):
    """Return a file without the comments at its head."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def test_a_fresh_installation_is_the_solar_playbook(pipeline, capsys):
    call_command("bridge_config", "export")

    assert capsys.readouterr().out == body(SOLAR)


def test_export_writes_to_a_file(pipeline, tmp_path):
    call_command("bridge_config", "export", str(tmp_path / "configuration.yaml"))

    assert (tmp_path / "configuration.yaml").read_text(encoding="utf-8") == body(SOLAR)


def test_export_says_when_the_file_cannot_be_written(pipeline, tmp_path):
    with pytest.raises(CommandError, match="cannot be written: Is a directory"):
        call_command("bridge_config", "export", str(tmp_path))


def test_the_database_as_it_is_made_has_the_defaults_of_the_file(db):
    pipeline = Pipeline.objects.create(slug="p", name="P")
    Stage.objects.create(pipeline=pipeline, key="new", name="New", rank=0)

    text = yaml_file.dump(document.Configuration(pipelines=(exporting.read_pipeline(pipeline),)))

    assert text == (
        "pipelines:\n  - slug: p\n    name: P\n    stages:\n      - {key: new, name: New}\n    without: [won, lost]\n"
    )


def test_everything_staff_can_edit_is_in_the_file(pipeline):
    """Change every editable column, one at a time: each must change the file."""
    stage = Stage.objects.get(key="qualified")
    mapping = pipeline.stage_mappings.get(conversation_stage="agendamento")
    sequence = Sequence.objects.get(slug="reengagement")
    rows = {
        pipeline: {"rules_version", "serves_new_since", "silenced_at", "silenced_reason", "silenced_by"},
        stage: {"pipeline"},
        mapping: {"pipeline", "conversation_stage_key", "position", "action"},
        pipeline.qualification: {"pipeline"},
        pipeline.qualification.criteria.get(): {"qualification", "position"},
        pipeline.flows.first(): {"pipeline", "position"},
        pipeline.field_mappings.get(type="select"): {"pipeline", "enum_ids", "position"},
        pipeline.tag_rules.first(): {"pipeline", "position"},
        sequence: {"pipeline", "starts_on"},
        sequence.steps.first(): {"sequence", "position", "before"},
    }
    unseen = []
    for row, left_out in rows.items():
        for column in type(row)._meta.fields:
            if not column.primary_key and column.name not in left_out:
                before = yaml_file.dump(exporting.read())
                kept = getattr(row, column.name)
                type(row).objects.filter(pk=row.pk).update(**{column.name: other_than(column, kept, stage)})
                if yaml_file.dump(exporting.read()) == before:
                    unseen.append(f"{type(row).__name__}.{column.name}")
                type(row).objects.filter(pk=row.pk).update(**{column.name: kept})

    # A state without a country means nothing.
    assert unseen == ["Pipeline.holidays_subdivision"]


def other_than(column, value, stage):
    kind = type(column).__name__
    if kind == "ForeignKey":
        return stage if value != stage else stage.pipeline.stages.first()
    if column.choices:
        return next(choice for choice, _ in column.choices if choice != value)
    if kind == "JSONField":
        return ["mon"] if isinstance(value, list) else {"Aluguel de Lote": "Lote"} if isinstance(value, dict) else 7
    others = {
        "BooleanField": not value,
        "DurationField": timedelta(minutes=7),
        "TimeField": "07:07",
        "DecimalField": 0.5 if column.name == "serves_share" else 7,
        "PositiveSmallIntegerField": 1 if value != 1 else 2,
        "BigIntegerField": 7,
    }
    if kind in others:
        return others[kind]
    country = "PT" if value == "BR" else "BR"
    return country if column.max_length == 2 else "x_{value}"


def test_stages_of_one_rank_stay_of_one_rank(pipeline):
    Stage.objects.filter(key="disqualified").update(rank=2)

    assert "{key: disqualified, name: DESQUALIFICADO, same_rank_as_previous: true" in yaml_file.dump(exporting.read())


def test_a_pipeline_that_was_only_begun_is_exported_too(pipeline, capsys):
    Pipeline.objects.create(slug="bare", name="Bare")

    call_command("bridge_config", "export")

    printed = capsys.readouterr()
    assert "slug: bare" in printed.out
    assert "An import would refuse this" in printed.err


def test_export_says_what_an_import_would_refuse(pipeline, capsys):
    FieldMapping.objects.filter(attribute="bill_value").update(attribute="bil_value")

    call_command("bridge_config", "export")

    assert "would refuse this: line 29: unknown attribute “bil_value”" in capsys.readouterr().err
