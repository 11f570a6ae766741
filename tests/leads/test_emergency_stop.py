"""The switch that silences the agent in a whole pipeline at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from leads import emergency_stop, handoff, may_speak, silenced_pipelines
from leads.may_speak import Shut
from leads.models import Lead, Pipeline

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_lead(pipeline: Pipeline) -> Lead:
    return Lead.objects.create(
        pipeline=pipeline, phone_key="+5581999990000", stage_set_at=NOW, created_at=NOW, updated_at=NOW
    )


def test_every_lead_of_a_silenced_pipeline_is_refused_with_the_reason_and_since_when(pipeline):
    lead = a_lead(pipeline)
    assert may_speak.refusal(lead) is None

    assert emergency_stop.silence(pipeline, by="ana", reason="it  answers\nnonsense", now=NOW)

    shut = may_speak.refusal(Lead.objects.select_related("pipeline").get(pk=lead.pk))
    assert shut is not None
    assert (shut.shut, shut.since) == (Shut.SWITCHED_OFF, NOW)
    assert "it answers nonsense" in shut.reason
    assert silenced_pipelines.reasons([pipeline.pk]) == {pipeline.pk: shut.reason}


def test_silencing_again_keeps_who_did_it_first_and_why(pipeline):
    emergency_stop.silence(pipeline, by="ana", reason="first", now=NOW)
    assert not emergency_stop.silence(pipeline, by="bia", reason="second", now=NOW + timedelta(hours=1))
    pipeline.refresh_from_db()
    assert (pipeline.silenced_by, pipeline.silenced_reason, pipeline.silenced_at) == ("ana", "first", NOW)


def test_the_agent_speaks_again_but_where_a_person_has_the_lead(pipeline):
    lead = a_lead(pipeline)
    emergency_stop.silence(pipeline, by="ana", reason="", now=NOW)
    handoff.pause(lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="mine", now=NOW)

    assert emergency_stop.let_speak(pipeline, by="ana", now=NOW)
    assert not emergency_stop.let_speak(pipeline, by="ana", now=NOW)

    shut = may_speak.refusal(Lead.objects.select_related("pipeline").get(pk=lead.pk))
    assert shut is not None
    assert (shut.shut, shut.reason) == (Shut.PERSON, "mine")
    assert silenced_pipelines.reasons([pipeline.pk]) == {}
