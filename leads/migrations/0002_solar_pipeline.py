"""The first pipeline: solar energy, as the company this was built for sells it. Staff own it from here on."""

from datetime import time

from django.db import migrations

from common.name_spellings import name_key

STAGES = (
    # key, name, options
    ("new", "NOVO LEAD", {}),
    ("qualifying", "EM QUALIFICAÇÃO", {}),
    ("qualified", "QUALIFICADO", {}),
    ("disqualified", "DESQUALIFICADO", {"reachable_from_anywhere": True}),
    ("meeting_scheduled", "REUNIÃO AGENDADA", {}),
    ("human_handoff", "ATENDIMENTO HUMANO", {"pauses_agent": True, "protected": True}),
    ("not_interested", "NÃO INTERESSADO", {"reachable_from_anywhere": True}),
    ("won", "GANHO", {"kind": "won", "kommo_status_id": 142}),
    ("lost", "PERDIDO", {"kind": "lost", "kommo_status_id": 143}),
)
MAPPINGS = (
    # conversation stage, action, stage, only if
    ("estágio_1_apresentar_soluções", "move", "qualifying", "always"),
    ("estágio_2_aguardando_escolha", "move", "qualifying", "always"),
    ("qualificação", "qualify", None, "always"),
    ("agendamento", "move", "meeting_scheduled", "meeting"),
)
FLOWS = ("Instalação Usina Própria", "Aluguel de Lote", "Compra com Desconto", "Usina Investimento")


def create_pipeline(apps, schema_editor):
    model = lambda name: apps.get_model("leads", name)  # noqa: E731
    pipeline = model("Pipeline").objects.create(
        slug="solar",
        name="Funil de Vendas",
        is_default=True,
        quiet_from=time(20),
        quiet_to=time(8),
        sending_weekdays=["mon", "tue", "wed", "thu", "fri", "sat"],
    )
    stages = {
        key: model("Stage").objects.create(pipeline=pipeline, key=key, name=name, rank=rank, **options)
        for rank, (key, name, options) in enumerate(STAGES)
    }
    stages["not_interested"].on_reply = stages["qualifying"]
    stages["not_interested"].save()
    pipeline.meeting_stage = stages["meeting_scheduled"]
    pipeline.save()
    for position, (text, action, stage, only_if) in enumerate(MAPPINGS):
        model("StageMapping").objects.create(
            pipeline=pipeline,
            position=position,
            conversation_stage=text,
            conversation_stage_key=name_key(text),
            action=action,
            move_to=stages[stage] if stage else None,
            only_if=only_if,
        )
    qualification = model("Qualification").objects.create(
        pipeline=pipeline,
        min_score=70,
        qualified_stage=stages["qualified"],
        disqualified_stage=stages["disqualified"],
        undecided_stage=stages["qualifying"],
    )
    model("Criterion").objects.create(
        qualification=qualification, field="bill_value", operator="gte", value=400, disqualifies=True
    )
    for position, name in enumerate(FLOWS):
        model("Flow").objects.create(pipeline=pipeline, name=name, position=position)
    model("FieldMapping").objects.create(
        pipeline=pipeline, position=0, attribute="bill_value", kommo_field="Valor Conta Energia", type="numeric"
    )
    model("FieldMapping").objects.create(
        pipeline=pipeline,
        position=1,
        attribute="chosen_flow",
        kommo_field="Solução Solar",
        type="select",
        options={"Instalação Usina Própria": "Usina Própria"},
    )
    model("TagRule").objects.create(pipeline=pipeline, position=0, attribute="chosen_flow", template="fluxo_{value}")
    model("TagRule").objects.create(pipeline=pipeline, position=1, attribute="objections", template="objecao_{value}")


def remove_pipeline(apps, schema_editor):
    """Leave the pipeline where it is as soon as a lead stands in it."""
    pipelines = apps.get_model("leads", "Pipeline").objects.filter(slug="solar", leads=None)
    for pipeline in pipelines:
        pipeline.meeting_stage = None
        pipeline.save()
        pipeline.delete()


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial")]
    operations = [migrations.RunPython(create_pipeline, remove_pipeline)]
