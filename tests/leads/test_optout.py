"""Opting out holds for the person in every pipeline, and only staff can take it back."""

from __future__ import annotations

from django.utils import timezone

from leads import optout
from leads.models import Event, Lead, Pipeline, Stage
from tests.conftest import record


def other_lead_of_the_same_person(lead):
    pipeline = Pipeline.objects.create(slug="b2b", name="B2B")
    stage = Stage.objects.create(pipeline=pipeline, key="new", name="NOVO", rank=1)
    now = timezone.now()
    facts = {"stage_set_at": now, "created_at": now, "updated_at": now}
    return Lead.objects.create(pipeline=pipeline, stage=stage, phone=lead.phone, phone_key=lead.phone_key, **facts)


def test_an_opt_out_and_taking_it_back_hold_in_every_pipeline(pipeline):
    lead = record(pipeline).lead
    other_lead_of_the_same_person(lead)
    now = timezone.now()
    assert optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=now)
    assert Lead.objects.filter(opted_out_at=now).count() == 2

    assert optout.take_back(lead, reason="taken back by ada", now=now)

    assert Lead.objects.filter(opted_out_at=None).count() == 2
    assert Event.objects.filter(actor="staff", reason="opt-out taken back by ada").count() == 2
    assert not optout.take_back(lead, reason="taken back by ada", now=now)


def test_somebody_who_was_erased_stays_opted_out(pipeline):
    lead = record(pipeline).lead
    Lead.objects.update(opted_out_at=timezone.now(), erased_at=timezone.now())
    assert not optout.take_back(lead, reason="taken back by ada", now=timezone.now())
