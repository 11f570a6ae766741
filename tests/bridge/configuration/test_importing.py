"""A file brought into force: all of it or nothing, with leads, bindings and histories staying where they belong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from bridge.configuration import exporting, yaml_file
from bridge.configuration.file_problems import RefusedError
from followups.models import Sequence, Step
from leads.models import Criterion, FieldMapping, Flow, Pipeline, Qualification, Stage, StageMapping, TagRule
from leads.models import UnmappedConversationStage as Unmapped
from tests.bridge.configuration.bringing import bring, exported, solar
from tests.bridge.configuration.files import CLINIC, CONTRACT, SMALLEST, SOLAR
from tests.bridge.configuration.test_exporting import body
from tests.conftest import record

HISTORIES = (Pipeline, Stage, StageMapping, Qualification, Criterion, Flow, TagRule, FieldMapping, Sequence, Step)


def history_rows():
    return sum(model.history.count() for model in HISTORIES)


def test_the_contracts_file_comes_into_force(pipeline):
    bring(CONTRACT)

    pipeline.refresh_from_db()
    assert pipeline.kommo_pipeline_id == 11672895
    assert [step.text for step in Step.objects.filter(sequence__slug="reengagement")] == ["…"] * 3
    assert exporting.read().pipelines[0] == yaml_file.parse(CONTRACT.encode()).pipelines[0]
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


def test_a_text_that_speaks_of_what_no_lead_has_is_refused_with_its_line(pipeline):
    wrong = SOLAR.replace("Ficou alguma dúvida", "{{ frist_name }} Ficou alguma dúvida")
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "frist_name" in text)
    with pytest.raises(RefusedError) as refused:
        bring(wrong)
    assert str(refused.value) == (
        f"line {line}: the text cannot be rendered: “frist_name” does not exist; did you mean “first_name”? (line 1)"
    )
    assert not Step.objects.filter(text__contains="frist_name").exists()


def test_a_text_of_long_ago_keeps_nobody_from_changing_something_else(pipeline):
    Step.objects.filter(sequence__slug="reengagement", position=1).update(text="Oi {{ nome }}!")
    bring(exported().replace("name: Funil de Vendas", "name: Outro nome"))
    pipeline.refresh_from_db()
    assert pipeline.name == "Outro nome"


def test_one_pipeline_becomes_quite_another_and_back(pipeline):
    """Under one slug every list is matched, changed, lengthened and shortened in place."""
    clinic = CLINIC.replace("slug: clinica", "slug: solar")

    bring(clinic)
    assert exporting.read() == yaml_file.parse(clinic.encode())
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
        "início, qualificação, agendamento, estágio_0_coleta_nome, estagio_1_qualificacao_por_valor, "
        "estagio_2_roteamento_e_apresentacao, qualificacao_detalhada",
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


def test_a_stage_without_leads_goes_and_so_does_what_led_to_it(pipeline):
    stage = "      - {key: human_handoff, name: ATENDIMENTO HUMANO, protected: true, pauses_agent: true}\n"

    bring(solar({stage: ""}))

    assert not Stage.objects.filter(key="human_handoff").exists()
    assert [stage.rank for stage in pipeline.stages.all()] == [0, 1, 2, 3, 4, 6, 7, 8]


def test_a_conversation_stage_that_is_mapped_waits_for_nobody_any_more(pipeline):
    record(pipeline, context={"conversation_stage": "negociação"})
    record(pipeline, context={"conversation_stage": "exploração"})

    bring(solar({"conversation_stage: agendamento": "conversation_stage: Negociacao"}))

    assert [row.text for row in Unmapped.objects.all()] == ["exploração"]


def test_steps_get_shorter_for_a_quick_look(pipeline):
    bring(solar({"PT30M": "PT2S", "PT48H": "P4D"}))

    delays = Step.objects.filter(sequence__slug="reengagement").values_list("delay", flat=True)
    assert list(delays) == [timedelta(seconds=2), timedelta(days=1), timedelta(days=4)]
