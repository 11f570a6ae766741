"""Whoever erases a person is told which living leads may be them too; these stay whole."""

from __future__ import annotations

import pytest
from django.utils import timezone

from leads import erasure
from leads.models import Event, Lead, Pipeline, ProbablySame
from tests.conftest import MARIA, lead_of, record

JOAO, BIA = "+5581988880000", "+5581977770000"


def erase(lead):
    assert erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now())
    return [event.reason for event in lead.events.filter(kind=Event.Kind.ERASED).order_by("id")]


def may_be(lead):
    return [(sharer.lead.pk, sharer.by_email) for sharer in erasure.may_be_theirs(lead)]


@pytest.mark.parametrize("spelling", ["casa@souza.example", "CASA@Souza.example"])
def test_a_living_lead_with_the_same_e_mail_is_named_and_stays_whole(pipeline, spelling):
    record(pipeline, JOAO, name="João", email=spelling)
    maria = record(pipeline, name="Maria", email="Casa@souza.example").lead
    joao = lead_of(JOAO)
    assert may_be(maria) == [(joao.pk, True)]

    assert erase(maria) == ["personal data erased", f"not erased: lead {joao.pk} has the same e-mail"]

    joao.refresh_from_db()
    assert (joao.name, joao.email, joao.erased_at) == ("João", spelling, None)


def test_also_in_another_pipeline_and_where_the_e_mail_is_an_address(pipeline):
    other = Pipeline.objects.create(slug="b2b", name="B2B")
    at = dict.fromkeys(("stage_set_at", "created_at", "updated_at"), timezone.now())
    firm = Lead.objects.create(pipeline=other, name="Firma", phone_key="email:casa@souza.example", **at)
    maria = record(pipeline, name="Maria", email="casa@souza.example").lead
    assert erase(maria)[1:] == [f"not erased: lead {firm.pk} has the same e-mail"]


def test_whoever_is_probably_the_same_person_is_named_but_not_who_is_said_to_be_another(pipeline):
    maria, joao, bia = (record(pipeline, phone, name="X").lead for phone in (MARIA, JOAO, BIA))
    now = timezone.now()
    for younger, are_two in ((joao, False), (bia, True)):
        ProbablySame.objects.create(older=maria, younger=younger, first_seen_at=now, last_seen_at=now, are_two=are_two)
    assert erase(maria)[1:] == [f"not erased: lead {joao.pk} is probably the same person"]


def test_nobody_is_named_who_was_erased_or_has_no_e_mail(pipeline):
    record(pipeline, JOAO, name="João", email="casa@souza.example")
    erase(lead_of(JOAO))
    record(pipeline, BIA, name="Bia")
    maria = record(pipeline, name="Maria", email="casa@souza.example").lead
    assert erase(maria) == ["personal data erased"]
    nobody = record(pipeline, "+5581966660000", name="Rui").lead
    assert may_be(nobody) == []


def test_of_very_many_the_proof_stays_short(pipeline):
    for number in range(30):
        record(pipeline, f"+55819777700{number:02}", email="vendas@firma.example")
    lines = erase(record(pipeline, name="Maria", email="vendas@firma.example").lead)
    assert len(lines) == 22
    assert lines[-1] == "not erased: 10 more leads may be theirs"
