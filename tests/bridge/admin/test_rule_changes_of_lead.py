"""A lead's timeline tells of the changes of rules that touched this lead, and of no others."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from bridge.models import RulesRevision
from followups import sequence_versions
from tests.conftest import lead_of, record


@pytest.fixture
def lead(pipeline):
    record(pipeline, name="Maria Souza", bill_value=4500)
    return lead_of()


def revised(pipeline, *touched, number=99):
    return RulesRevision.objects.create(
        pipeline=pipeline, number=number, origin="published", touched=list(touched), created_at=timezone.now()
    )


def shown(client, lead):
    answer = client.get(reverse("admin:leads_lead_change", args=[lead.pk]) + "?show=rules")
    return [dict(entry.facts) for entry in answer.context["timeline"].entries]


@pytest.mark.parametrize(
    ("part", "called"),
    [
        ("stage:new", "stage NOVO LEAD"),
        ("conversation:nova conversa", "conversation stage “nova conversa”"),
        ("attribute:bill_value", "bill value"),
        ("everybody", "all leads"),
    ],
)
def test_a_change_of_what_a_lead_is_subject_to_is_on_its_timeline(staff, lead, pipeline, part, called):
    record(pipeline, context={"conversation_stage": "Nova conversa"})
    revised(pipeline, part, "stage:won")
    assert shown(staff, lead) == [{"revision": "99", "what changed for this lead": called}]


def test_a_change_of_what_never_met_the_lead_is_not_on_its_timeline(staff, lead, pipeline):
    revised(pipeline, "stage:won", "conversation:booking", "attribute:email", "sequence:cold", "meeting", "follow-ups")
    assert shown(staff, lead) == []


def test_a_change_after_the_lead_was_gone_from_there_is_not_on_its_timeline(staff, lead, pipeline):
    record(pipeline, context={"conversation_stage": "qualificação"})
    record(pipeline, context={"conversation_stage": "apresentação"})
    lead.stays.filter(left_at=None).update(left_at=timezone.now())
    revised(pipeline, "conversation:qualificacao", f"stage:{lead.stage.key}")
    assert shown(staff, lead) == []


def test_a_change_of_a_sequence_is_told_while_the_lead_is_in_it(staff, lead, pipeline):
    sequence = pipeline.sequences.first()
    way = sequence.enrollments.create(
        lead=lead,
        version=sequence_versions.pin(sequence),
        purpose=sequence.starts_on,
        anchor_at=timezone.now(),
        started_at=timezone.now(),
    )
    revised(pipeline, f"sequence:{sequence.slug}", "follow-ups")
    way.state, way.ended_at = "cancelled", timezone.now()
    way.save()
    revised(pipeline, f"sequence:{sequence.slug}", number=100)
    assert [facts["revision"] for facts in shown(staff, lead)] == ["99"]


def test_a_revision_of_which_nobody_kept_what_it_touched_is_told(staff, lead, pipeline):
    RulesRevision.objects.create(pipeline=pipeline, number=99, origin="found", created_at=timezone.now())
    assert shown(staff, lead) == [{"revision": "99"}]
