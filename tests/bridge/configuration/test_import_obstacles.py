"""What the database has against a file: leads and messages that would lose their place."""

from __future__ import annotations

from django.utils import timezone

from followups.models import Enrollment, Sequence
from followups.sequence_versions import pin
from tests.bridge.configuration.bringing import bring, exported, refusal, solar
from tests.bridge.configuration.files import CLINIC, SOLAR
from tests.conftest import record


def test_a_stage_that_leads_stand_in_is_not_removed(pipeline):
    record(pipeline, context={"conversation_stage": "qualificação"}, qualification_score=90)
    before = exported()

    refused = refusal(solar({"      - {key: qualified, name: QUALIFICADO}\n": ""}))

    assert refused == (
        "line 12: stage “qualified” is missing, but 1 lead stands in it: "
        "move their cards to another stage in Kommo first, or keep the stage"
    )
    assert exported() == before


def test_a_pipeline_that_leads_stand_in_is_not_removed(pipeline):
    record(pipeline)

    assert refusal(CLINIC).startswith("line 4: pipeline “solar” is missing, but 1 lead stands in it: keep it")


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


def test_of_two_sequences_for_one_purpose_the_file_cannot_prefer_the_newer(pipeline):
    second = "      - {slug: newer, starts_on: agent_unanswered}\n"
    with_both = solar({"    sequences:\n": "    sequences:\n" + second})

    assert "“reengagement” was there first and would be used instead: write active: false" in refusal(with_both)
    bring(with_both.replace("name: Retomada de contato", "active: false"))
