"""A contact of Kommo is an address: whoever's card has it is found by it, and it is remembered once it is told."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.inbound import chat_replies, people_on_cards
from leads import interactions
from leads.addresses import parse as address
from leads.interaction_values import Direction, Interaction, Message
from leads.models import FurtherAddress, Lead
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import MARIA, drain, lead_of, record
from tests.heard import carded

agent = agent_with_a_key
ANA = "+5581988880000"


def contact_of(phone: str = MARIA) -> int:
    contact = lead_of(phone).card.kommo_contact_id
    assert contact
    return contact


def says_by(pipeline, *named, text="Oi"):
    addresses = tuple(address(kind, str(value), region="BR") for kind, value in named)
    message = Message(Direction.INBOUND, text=text)
    interaction = Interaction(phone=None, addresses=addresses, occurred_at=timezone.now(), message=message)
    pipeline.refresh_from_db()
    return interactions.record(interaction, pipeline=pipeline, now=timezone.now())


@pytest.fixture
def contact(account, pipeline) -> int:
    carded(account, pipeline, name="Maria")
    return contact_of()


def test_whoever_writes_as_a_contact_is_the_lead_of_its_card(pipeline, contact):
    recorded = says_by(pipeline, ("kommo_contact", contact), ("kommo_chat", "b1c0-77"))
    assert (recorded.created, recorded.lead.phone) == (False, MARIA)
    assert set(FurtherAddress.objects.values_list("key", flat=True)) == {
        f"kommo_contact:{contact}", "kommo_chat:b1c0-77",
    }  # fmt: skip
    # By what is remembered: Kommo's chat alone is enough from now on.
    assert says_by(pipeline, ("kommo_chat", "B1C0-77"), text="E aí?").lead == recorded.lead
    assert Lead.objects.count() == 1


def test_the_api_finds_by_a_contact(agent, pipeline, contact):
    at = f"kommo_contact:{contact}"
    found = agent.get("leads/", address=at).json()["results"]
    assert [found_lead["phone"] for found_lead in found] == [MARIA]
    Lead.objects.update(handoff_source="api", handoff_reason="quer uma pessoa", handoff_since=timezone.now())
    assert agent.get("agent/may-reply/", address=at).json()["reason"] == "quer uma pessoa"
    assert agent.get("agent/may-reply/", address="kommo_contact:1").json()["may_reply"]


def test_a_contact_nobody_has_is_somebody_new(pipeline, contact):
    assert says_by(pipeline, ("kommo_contact", contact + 1)).created


def test_of_two_cards_of_one_contact_the_one_spoken_with_last_is_meant(account, pipeline, contact):
    record(pipeline, ANA, message=Message(Direction.INBOUND, text="Oi"))
    drain(account)
    other = lead_of(ANA)
    type(other.card).objects.filter(pk=other.card.pk).update(kommo_contact_id=contact)
    key = f"kommo_contact:{contact}"
    assert people_on_cards.owners_of_contacts([key]) == [(key, other.pk)]
    assert not says_by(pipeline, ("kommo_contact", contact)).created


def test_a_seller_who_writes_to_a_contact_that_was_only_told_takes_over(account, pipeline):
    lead = says_by(pipeline, ("kommo_contact", 991), ("instagram", "maria.souza")).lead
    drain(account)
    message = chat_replies.Said("internal", 77, 0, 991, int(timezone.now().timestamp()), "Oi, aqui é a Ana")
    assert chat_replies.hear(account, [message], now=timezone.now())
    assert Lead.objects.get(pk=lead.pk).handoff_reason == "a person replied in the chat"
