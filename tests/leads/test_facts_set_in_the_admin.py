"""Staff set a fact right here: theirs stands until the conversation brings something new, and the card follows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bridge.models import Card
from leads import facts_set_in_the_admin
from leads.models import Event, Lead
from tests.conftest import drain, lead_of, record

NEWS = {
    "name": "Rita Lima",
    "email": "rita@example.com",
    "bill_value": Decimal(900),
    "qualification_score": Decimal(80),
}
SAID = {"name": "Maria", "email": "maria@example.com", "bill_value": Decimal(500), "qualification_score": Decimal(60)}


def correct(**facts):
    return facts_set_in_the_admin.correct(lead_of(), facts, user="ana", now=timezone.now())


@pytest.mark.parametrize("fact", NEWS)
def test_what_a_person_sets_stands_against_the_agents_repetition_and_yields_to_news(pipeline, fact):
    record(pipeline, **{fact: SAID[fact]})
    assert correct(**{fact: NEWS[fact]}) == [fact]

    record(pipeline, **{fact: SAID[fact]})
    assert getattr(lead_of(), fact) == NEWS[fact]

    newest = {"name": "Joana Prado", "email": "j@example.com", "bill_value": 1, "qualification_score": 2}[fact]
    record(pipeline, occurred_at=timezone.now() + timedelta(seconds=1), **{fact: newest})
    assert getattr(lead_of(), fact) == newest


def test_it_is_on_the_timeline_with_who_did_it(pipeline):
    record(pipeline, name="Maria", bill_value=500)
    correct(name="Rita Lima", bill_value=Decimal("900.50"))
    event = Event.objects.get(kind=Event.Kind.STAFF_EDIT)
    assert event.actor == Lead.Actor.STAFF
    assert event.data == {"changed": {"name": "Rita Lima", "bill_value": "900.5"}, "user": "ana"}
    assert lead_of().provenance["name"]["by"] == Lead.Actor.STAFF


def test_what_is_as_it_was_is_no_change(pipeline):
    record(pipeline, name="Maria", bill_value=500)
    assert correct(name="Maria", bill_value=Decimal("500.00")) == []
    assert not Event.objects.filter(kind=Event.Kind.STAFF_EDIT).exists()


def test_nothing_is_set_by_nothing(pipeline):
    record(pipeline, name="Maria", email="maria@example.com", bill_value=500)
    assert set(correct(name=None, email=None, bill_value=None)) == {"name", "email", "bill_value"}
    lead = lead_of()
    assert (lead.name, lead.email, lead.bill_value) == ("", "", None)


def test_a_card_that_was_refused_goes_out_with_what_was_set_right(pipeline, account, kommo):
    record(pipeline, name="Maria")
    drain(account)
    Card.objects.update(state=Card.State.DEAD, waiting_reason="refused by Kommo: name: too long")

    correct(name="Rita Lima")
    drain(account)

    card = Card.objects.get()
    assert card.state == Card.State.IN_SYNC
    assert kommo.lead(card.kommo_lead_id)["name"] == "Rita Lima"
