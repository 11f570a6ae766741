"""The follow-ups of the first pipeline: three messages to who does not answer, two reminders of a meeting."""

from datetime import timedelta

from django.db import migrations

REENGAGEMENT = (
    (
        timedelta(minutes=30),
        "Oi{% if first_name %}, {{ first_name }}{% endif %}! Ficou alguma dúvida sobre a proposta de energia solar?",
    ),
    (
        timedelta(hours=24),
        "Oi{% if first_name %}, {{ first_name }}{% endif %}! Ainda quer economizar na conta de luz? Posso continuar por aqui.",
    ),
    (
        timedelta(hours=48),
        "Oi{% if first_name %}, {{ first_name }}{% endif %}! Esta é minha última mensagem por enquanto. Se quiser retomar, é só responder.",
    ),
)
REMINDERS = (
    (
        timedelta(hours=24),
        "Oi{% if first_name %}, {{ first_name }}{% endif %}! Lembrando da nossa reunião em {{ meeting.starts_at }}.{% if meeting.link %} Link: {{ meeting.link }}{% endif %}",
    ),
    (
        timedelta(hours=2),
        "Oi{% if first_name %}, {{ first_name }}{% endif %}! Nossa reunião é hoje, às {{ meeting.time }}.{% if meeting.link %} Link: {{ meeting.link }}{% endif %}",
    ),
)


def create_sequences(apps, schema_editor):
    model = lambda app, name: apps.get_model(app, name)  # noqa: E731
    pipeline = model("leads", "Pipeline").objects.filter(slug="solar").first()
    if pipeline is None:
        return
    stage = model("leads", "Stage").objects.get(pipeline=pipeline, key="not_interested")
    sequence, step = model("followups", "Sequence").objects, model("followups", "Step").objects
    silence = sequence.create(
        pipeline=pipeline,
        slug="reengagement",
        name="Retomada de contato",
        starts_on="agent_unanswered",
        give_up_after=timedelta(hours=24),
        give_up_stage=stage,
    )
    for position, (delay, text) in enumerate(REENGAGEMENT, 1):
        step.create(sequence=silence, position=position, delay=delay, text=text)
    reminders = sequence.create(
        pipeline=pipeline, slug="meeting_reminders", name="Lembretes de reunião", starts_on="meeting_scheduled"
    )
    for position, (before, text) in enumerate(REMINDERS, 1):
        step.create(sequence=reminders, position=position, before=before, text=text)


def remove_sequences(apps, schema_editor):
    apps.get_model("followups", "Sequence").objects.filter(
        pipeline__slug="solar", slug__in=["reengagement", "meeting_reminders"], enrollments=None
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("followups", "0001_initial"), ("leads", "0002_solar_pipeline")]
    operations = [migrations.RunPython(create_sequences, remove_sequences)]
