"""A file brought into force: all of it or nothing, with leads, bindings and histories staying where they belong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge.configuration import document, exporting
from bridge.configuration.importing import bring_in
from bridge.configuration.shapes import RefusedError
from followups.models import Enrollment, Sequence, Step
from followups.versions import pin
from leads.models import Criterion, FieldMapping, Flow, Pipeline, Qualification, Stage, StageMapping, TagRule
from leads.models import UnmappedConversationStage as Unmapped
from tests.bridge.configuration.files import CLINIC, CONTRACT, SMALLEST, SOLAR
from tests.bridge.configuration.test_exporting import body
from tests.conftest import drain, lead_of, record

HISTORIES = (Pipeline, Stage, StageMapping, Qualification, Criterion, Flow, TagRule, FieldMapping, Sequence, Step)


def bring(text, **more):
    return bring_in(text.encode(), reason="test", **more).changes


def exported():
    return document.dump(exporting.read())


def history_rows():
    return sum(model.history.count() for model in HISTORIES)


def solar(changes):
    """The solar playbook with texts replaced, each of which must be there."""
    text = SOLAR
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def refusal(text):
    with pytest.raises(RefusedError) as refused:
        bring(text)
    return str(refused.value)


def test_the_contracts_file_comes_into_force(pipeline):
    bring(CONTRACT)

    pipeline.refresh_from_db()
    assert pipeline.kommo_pipeline_id == 11672895
    assert [step.text for step in Step.objects.filter(sequence__slug="reengagement")] == ["…"] * 3
    assert exporting.read().pipelines[0] == document.parse(CONTRACT.encode()).pipelines[0]
    assert set(Stage.objects.filter(kind__in=["won", "lost"]).values_list("key", flat=True)) == {"won", "lost"}


@pytest.mark.parametrize("text", [SOLAR, CLINIC, CONTRACT, SMALLEST, SMALLEST + "    without: [won, lost]\n"])
def test_into_an_empty_database_and_out_again_is_the_same_file(db, text):
    Pipeline.objects.all().delete()

    bring(text)
    first = exported()
    Pipeline.objects.all().delete()
    bring(first)

    assert exported() == first


def test_the_solar_playbook_makes_what_an_installation_makes(pipeline):
    fresh = exported()
    Pipeline.objects.all().delete()

    bring(SOLAR)

    assert exported() == fresh == body(SOLAR)


def test_one_pipeline_becomes_quite_another_and_back(pipeline):
    """Under one slug every list is matched, changed, lengthened and shortened in place."""
    clinic = CLINIC.replace("slug: clinica", "slug: solar")

    bring(clinic)
    assert exporting.read() == document.parse(clinic.encode())
    bring(SOLAR)

    assert exported() == body(SOLAR)
    assert Pipeline.objects.get().pk == pipeline.pk


def test_a_file_that_is_in_force_changes_nothing(pipeline, tmp_path, capsys):
    # Places with gaps, as staff leave them in the admin, say the same order.
    for place, mapping in enumerate(StageMapping.objects.all()):
        StageMapping.objects.filter(pk=mapping.pk).update(position=place * 10 + 5)
    file = tmp_path / "solar.yaml"
    file.write_text(SOLAR, encoding="utf-8")
    before, version = history_rows(), Pipeline.objects.get().rules_version

    call_command("bridge_config", "import", str(file))

    assert capsys.readouterr().out == f"{file} is already in force; nothing changed.\n"
    assert (history_rows(), Pipeline.objects.get().rules_version) == (before, version)


def test_a_dry_run_shows_what_would_change_and_changes_nothing(pipeline, tmp_path, capsys):
    file = tmp_path / "solar.yaml"
    file.write_text(
        solar(
            {
                "min_score: 70": "min_score: 60",
                "{key: qualified, name: QUALIFICADO}": "{key: qualified, name: APTO}",
                "[Instalação Usina Própria, Aluguel de Lote, ": "[Instalação Usina Própria, ",
                "      - {conversation_stage: qualificação": "      - {conversation_stage: início, decide: nothing}\n"
                "      - {conversation_stage: qualificação",
                "delay: PT48H": "delay: P4D",
            }
        ),
        encoding="utf-8",
    )
    before, rows = exported(), history_rows()

    call_command("bridge_config", "import", str(file), "--dry-run")

    assert capsys.readouterr().out.splitlines() == [
        "  ~ pipeline solar, stage qualified: name: “QUALIFICADO” -> “APTO”",
        "  + pipeline solar, stage mapping início (decide: “nothing”)",
        "  ~ pipeline solar, stage mapping order: estágio_1_apresentar_soluções, estágio_2_aguardando_escolha, "
        "início, qualificação, agendamento",
        "  ~ pipeline solar, qualification: min_score: 70 -> 60",
        "  ~ pipeline solar: flows: …ação Usina Própria, Aluguel de Lote, Compra com Desconto, Usina Investimento -> "
        "…ação Usina Própria, Compra com Desconto, Usina Investimento",
        "  ~ pipeline solar, sequence reengagement, step 3: delay: “PT48H” -> “P4D”",
        "6 changes would be made; nothing was changed.",
        "10 of its parts are not bound to Kommo yet: run manage.py kommo_connect.",
    ]
    assert (exported(), history_rows()) == (before, rows)


def test_only_what_differs_is_written_and_the_history_says_why(pipeline, tmp_path):
    file = tmp_path / "september.yaml"
    file.write_text(solar({"min_score: 70": "min_score: 60"}), encoding="utf-8")
    before = history_rows()

    call_command("bridge_config", "import", str(file))

    assert history_rows() == before + 1
    assert Qualification.history.first().history_change_reason == "bridge_config import september.yaml"


def test_the_next_interaction_is_decided_by_the_new_rules(pipeline):
    scored = {"qualification_score": 60, "context": {"conversation_stage": "qualificação"}}
    assert record(pipeline, "+5581999990001", **scored).decision.stage == "disqualified"

    bring(solar({"min_score: 70": "min_score: 60"}))

    assert record(pipeline, "+5581999990002", **scored).decision.stage == "qualified"


def test_a_refused_file_is_told_line_by_line_and_changes_nothing(pipeline, tmp_path):
    file = tmp_path / "solar.yaml"
    file.write_text(solar({"min_score: 70": "min_score: 700", "on_reply: qualifying": "on_reply: x"}), "utf-8")
    before = exported()

    with pytest.raises(CommandError) as refused:
        call_command("bridge_config", "import", str(file))

    assert refused.value.returncode == 1
    assert str(refused.value).startswith(f"{file} is refused, nothing was changed.\nline ")
    assert exported() == before


def test_a_file_that_is_not_there_is_said_so(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("bridge_config", "import", str(tmp_path / "none.yaml"))


def test_a_stage_that_leads_stand_in_is_not_removed(pipeline):
    record(pipeline, context={"conversation_stage": "qualificação"}, qualification_score=90)
    before = exported()

    told = refusal(solar({"      - {key: qualified, name: QUALIFICADO}\n": ""}))

    assert told == (
        "line 9: stage “qualified” is missing, but 1 lead stands in it: "
        "move their cards to another stage in Kommo first, or keep the stage"
    )
    assert exported() == before


def test_a_pipeline_that_leads_stand_in_is_not_removed(pipeline):
    record(pipeline)

    assert refusal(CLINIC).startswith("line 4: pipeline “solar” is missing, but 1 lead stands in it: keep it")


def test_a_stage_without_leads_goes_and_so_does_what_led_to_it(pipeline):
    stage = "      - {key: human_handoff, name: ATENDIMENTO HUMANO, protected: true, pauses_agent: true}\n"

    bring(solar({stage: ""}))

    assert not Stage.objects.filter(key="human_handoff").exists()
    assert [stage.rank for stage in pipeline.stages.all()] == [0, 1, 2, 3, 4, 6, 7, 8]


def test_a_sequence_that_leads_went_through_is_switched_off_and_not_removed(pipeline):
    sequence = Sequence.objects.get(slug="meeting_reminders")
    lead = record(pipeline).lead
    Enrollment.objects.create(
        lead=lead,
        sequence=sequence,
        version=pin(sequence),
        purpose=sequence.starts_on,
        state="finished",
        anchor_at=timezone.now(),
        started_at=timezone.now(),
    )
    head, _, _ = SOLAR.partition("      - slug: meeting_reminders")
    _, _, hours = SOLAR.partition("    quiet_hours:")

    assert "keep it with active: false" in refusal(f"{head}    quiet_hours:{hours}")


def test_what_is_bound_to_kommo_stays_bound_when_the_file_names_no_ids(account, pipeline):
    record(pipeline, name="Maria", bill_value=4500, chosen_flow="Aluguel de Lote")
    drain(account)
    bound = set(Stage.objects.values_list("key", "kommo_status_id"))
    fields = {row.attribute: (row.kommo_field_id, row.enum_ids) for row in FieldMapping.objects.all()}

    changes = bring(CONTRACT)

    assert not [line for line in changes if "kommo_" in line]
    assert set(Stage.objects.values_list("key", "kommo_status_id")) == bound
    assert {row.attribute: (row.kommo_field_id, row.enum_ids) for row in FieldMapping.objects.all()} == fields
    assert lead_of().card.state == "in_sync"


def test_an_export_brings_its_bindings_to_another_database(account, pipeline):
    text = exported()
    bound = set(Stage.objects.values_list("key", "kommo_status_id"))
    Pipeline.objects.all().delete()

    bring(text)

    assert set(Stage.objects.values_list("key", "kommo_status_id")) == bound
    assert exported() == text


def exchanged(text):
    return text.translate(str.maketrans("1234", "2143"))


def test_stages_and_fields_can_exchange_their_bindings(pipeline):
    bind = {
        "{key: qualified, name: QUALIFICADO}": "{key: qualified, name: QUALIFICADO, kommo_status_id: 1}",
        "{key: qualifying, name: EM QUALIFICAÇÃO}": "{key: qualifying, name: EM QUALIFICAÇÃO, kommo_status_id: 2}",
        "type: numeric}": "type: numeric, kommo_field_id: 3}",
        "type: select,": "type: select, kommo_field_id: 4,",
    }
    bring(solar(bind))

    bring(solar({old: exchanged(new) for old, new in bind.items()}))

    assert set(Stage.objects.filter(kommo_status_id__lt=9).values_list("key", "kommo_status_id")) == {
        ("qualified", 2),
        ("qualifying", 1),
    }
    assert dict(FieldMapping.objects.values_list("attribute", "kommo_field_id")) == {"bill_value": 4, "chosen_flow": 3}


TWO = """\
pipelines:
  - {slug: a, name: A, kommo_pipeline_id: 1, default: true, stages: [{key: new, name: N}]}
  - {slug: b, name: B, kommo_pipeline_id: 2, stages: [{key: new, name: N}]}
"""


def test_pipelines_can_exchange_their_binding_and_the_default(db):
    bring(TWO)

    bring(TWO.replace("slug: a", "slug: c").replace("slug: b", "slug: a").replace("slug: c", "slug: b"))

    assert list(Pipeline.objects.values_list("slug", "kommo_pipeline_id", "is_default")) == [
        ("a", 2, False),
        ("b", 1, True),
    ]


def test_kommo_connect_binds_the_whole_clinic(account):
    bring(CLINIC)

    call_command("kommo_connect", "--create-missing")

    assert bring(CLINIC) == []
    assert bring_in(CLINIC.encode(), reason="test").unbound == 0


def test_another_pipeline_of_kommos_has_other_stages(account, pipeline):
    bring(solar({"    default: true\n": "    default: true\n    kommo_pipeline_id: 77\n"}))

    assert set(Stage.objects.exclude(kommo_status_id=None).values_list("key", "kommo_status_id")) == {
        ("won", 142),
        ("lost", 143),
    }


def test_a_field_of_another_name_is_another_field(account, pipeline):
    bring(solar({"kommo_field: Valor Conta Energia": "kommo_field: Conta de luz"}))

    assert FieldMapping.objects.get(attribute="bill_value").kommo_field_id is None
    assert FieldMapping.objects.get(attribute="chosen_flow").kommo_field_id is not None


def test_an_option_that_means_another_is_bound_anew(account, pipeline):
    bring(solar({"options: {Instalação Usina Própria: Usina Própria}": "options: {Aluguel de Lote: Consórcio}"}))

    enum_ids = FieldMapping.objects.get(attribute="chosen_flow").enum_ids
    assert set(enum_ids) == {"Compra com Desconto", "Usina Investimento"}


def test_of_two_sequences_for_one_purpose_the_file_cannot_prefer_the_newer(pipeline):
    second = "      - {slug: newer, starts_on: agent_unanswered}\n"
    with_both = solar({"    sequences:\n": "    sequences:\n" + second})

    assert "“reengagement” was there first and would be used instead: write active: false" in refusal(with_both)
    bring(with_both.replace("name: Retomada de contato", "active: false"))


def test_a_conversation_stage_that_is_mapped_waits_for_nobody_any_more(pipeline):
    record(pipeline, context={"conversation_stage": "negociação"})
    record(pipeline, context={"conversation_stage": "exploração"})

    bring(solar({"conversation_stage: agendamento": "conversation_stage: Negociacao"}))

    assert [row.text for row in Unmapped.objects.all()] == ["exploração"]


def test_steps_get_shorter_for_a_quick_look(pipeline):
    bring(solar({"PT30M": "PT2S", "PT48H": "P4D"}))

    delays = Step.objects.filter(sequence__slug="reengagement").values_list("delay", flat=True)
    assert list(delays) == [timedelta(seconds=2), timedelta(days=1), timedelta(days=4)]
