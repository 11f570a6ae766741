"""A person's care on any lead of somebody silences the agent, also once it has spoken on another card."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from bridge.inbound import chat_replies
from leads import handoff
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.conftest import MARIA, lead_of, record
from tests.heard import HANDOFF, NEW, carded, hear, hook

PLACE = 11672895


@pytest.fixture
def other(account, pipeline, kommo) -> int:
    """Another lead in Kommo of somebody the agent has spoken with already."""
    carded(account, pipeline, name="Maria")
    record(pipeline, message=Message(Direction.OUTBOUND, text="Olá"))
    return kommo.post("leads", {"name": "Maria de novo", "phone": MARIA, "status_id": NEW})["id"]


def moved(account, kommo, kommo_id: int, status_id: int) -> None:
    kommo.post(f"leads/{kommo_id}/move", {"status_id": status_id})
    hear(account, hook(kommo_id, "status", pipeline_id=PLACE, status_id=status_id))


def test_it_silences_the_agent_and_ends_with_the_care(account, kommo, other):
    hear(account, hook(other, "add", pipeline_id=PLACE))
    assert not lead_of().in_handoff
    moved(account, kommo, other, HANDOFF)
    lead = lead_of()
    assert lead.handoff_reason == f"a person has lead {other} of theirs in ATENDIMENTO HUMANO"
    assert (lead.handoff_source, lead.card.kommo_lead_id != other) == ("other_card", True)
    moved(account, kommo, other, NEW)
    assert not lead_of().in_handoff


def test_what_the_conversation_does_meanwhile_gives_nobody_back(account, pipeline, kommo, other):
    moved(account, kommo, other, HANDOFF)
    record(pipeline, qualification_score=82, context={"conversation_stage": "qualificação"})
    assert lead_of().in_handoff


@pytest.mark.parametrize("action", ["delete", "elsewhere"])
def test_a_lead_that_is_gone_is_in_nobodys_care(account, kommo, other, action):
    moved(account, kommo, other, HANDOFF)
    assert lead_of().in_handoff
    if action == "delete":
        kommo.post(f"leads/{other}/delete")
        hear(account, hook(other, "delete"))
    else:
        hear(account, hook(other, "status", pipeline_id=77, status_id=1))
    assert not lead_of().in_handoff


def test_who_was_given_back_stays_so_until_somebody_does_something_new(account, kommo, other):
    moved(account, kommo, other, HANDOFF)
    with time_machine.travel(timezone.now() + timedelta(seconds=2)):
        handoff.resume(lead_of(), by=Lead.Actor.STAFF, reason="x", now=timezone.now())
    hear(account, hook(other, "update", pipeline_id=PLACE))
    assert not lead_of().in_handoff


def test_a_reply_in_the_chat_of_the_other_lead_is_a_takeover_too(account, other):
    contact = lead_of().card.kommo_contact_id
    message = chat_replies.Said("internal", 77, other, contact, int(timezone.now().timestamp()), "Oi, aqui é a Ana")
    assert chat_replies.hear(account, [message], now=timezone.now())
    assert lead_of().handoff_reason == "a person replied in the chat"
