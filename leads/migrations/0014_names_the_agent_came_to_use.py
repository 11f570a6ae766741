"""The first pipeline knows the names of conversation stages that the agent came to use; the early ones judge nobody.

Only where nobody has begun to work with it: what staff made of their rules is theirs. They find such names among those
that are not mapped yet.
"""

from django.db import migrations

from common.name_spellings import name_key

SHIPPED = ["estágio_1_apresentar_soluções", "estágio_2_aguardando_escolha", "qualificação", "agendamento"]
NAMES = (
    ("estágio_0_coleta_nome", "nothing", None),
    ("estagio_1_qualificacao_por_valor", "move", "qualifying"),
    ("estagio_2_roteamento_e_apresentacao", "move", "qualifying"),
    ("qualificacao_detalhada", "qualify", None),
)


def add_names(apps, schema_editor):
    mapping_of = apps.get_model("leads", "StageMapping")
    for pipeline in apps.get_model("leads", "Pipeline").objects.filter(slug="solar", leads=None):
        mappings = mapping_of.objects.filter(pipeline=pipeline).order_by("position", "id")
        if list(mappings.values_list("conversation_stage", flat=True)) != SHIPPED:
            continue
        stages = {stage.key: stage for stage in pipeline.stages.all()}
        for position, (text, action, stage) in enumerate(NAMES, start=len(SHIPPED)):
            if stage is None or stage in stages:
                mapping_of.objects.create(
                    pipeline=pipeline,
                    position=position,
                    conversation_stage=text,
                    conversation_stage_key=name_key(text),
                    action=action,
                    move_to=stages.get(stage),
                )


def take_names_back(apps, schema_editor):
    model = apps.get_model("leads", "StageMapping")
    names = [text for text, _, _ in NAMES]
    model.objects.filter(pipeline__slug="solar", pipeline__leads=None, conversation_stage__in=names).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0013_silence_without_a_task_and_stage_of_a_handoff"),
    ]

    operations = [
        migrations.RunPython(add_names, take_names_back),
    ]
