"""One person, one card: a card that comes before the phone, and leads that turn out to be one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.delivery import contacts
from bridge.models import Card, Delivery
from followups.models import Enrollment
from leads.models import JoinedLead, Lead, ProbablySame
from tests.bridge.admin.conftest import staff as somebody
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import MARIA, drain

agent, staff = agent_with_a_key, somebody
LID, INSTAGRAM = {"kind": "lid", "value": "987654321@lid"}, {"kind": "instagram", "value": "maria"}


def report(agent, *addresses, direction="inbound", **lead):
    body = {"lead": {"addresses": list(addresses), **lead}, "message": {"direction": direction, "text": "oi"}}
    return agent.post("interactions/", body).json()["lead"]


def contact_of(kommo, kommo_id):
    [in_kommo] = kommo.lead(kommo_id)["_embedded"]["contacts"]
    return next(contact for contact in kommo.get("leads")["contacts"] if contact["id"] == in_kommo["id"])


def phones(contact):
    fields = contact["custom_fields_values"] or []
    return [value["value"] for field in fields if field.get("field_code") == "PHONE" for value in field["values"]]


def test_a_lead_without_a_phone_has_a_card_which_gets_its_phone_later(account, agent, kommo):
    report(agent, LID, name="Maria")
    drain(account)
    [card] = Card.objects.all()
    assert (kommo.lead(card.kommo_lead_id)["name"], phones(contact_of(kommo, card.kommo_lead_id))) == ("Maria", [])

    report(agent, LID, phone=MARIA)
    drain(account)
    contacts.deliver_due(account, client_for(account), now=timezone.now() + timedelta(seconds=3))

    assert phones(contact_of(kommo, card.kommo_lead_id)) == [MARIA]
    assert len(kommo.leads()) == 1
    assert Delivery.objects.filter(operation="contact", outcome="delivered").count() == 1


@pytest.mark.parametrize("first", ["with the card", "without a card"])
def test_the_card_of_either_is_the_card_of_both(account, agent, kommo, first):
    if first == "with the card":
        old = report(agent, LID, name="Maria")
        drain(account)
    else:
        old = report(agent, LID, name="Maria")
        Card.objects.filter(lead=old["id"]).delete()
    new = report(agent, INSTAGRAM, email="maria@example.com")
    if first == "without a card":
        drain(account)
    else:
        Card.objects.filter(lead=new["id"]).update(last_error="never sent")

    joined = report(agent, LID, INSTAGRAM, qualification_score=82)
    drain(account)

    [lead], [card] = Lead.objects.all(), Card.objects.all()
    assert str(lead.pk) == joined["id"] == old["id"]
    assert (card.lead, card.state, len(kommo.leads())) == (lead, "in_sync", 1)
    assert agent.get(f"leads/{new['id']}/").json()["id"] == old["id"]
    assert agent.get(f"leads/{new['id']}/timeline/").status_code == 200
    agent.post(f"leads/{new['id']}/handoff/", {"reason": "x"})
    assert not agent.get("agent/may-reply/", address="instagram:maria").json()["may_reply"]


def test_two_cards_are_joined_by_a_person_alone_and_kommo_is_left_as_it_is(account, agent, kommo, staff):
    old = report(agent, LID, name="Maria")
    new = report(agent, INSTAGRAM, name="Maria S", direction="outbound")
    report(agent, LID, direction="outbound")
    drain(account)
    cards = {str(card.lead_id): card for card in Card.objects.all()}
    before = kommo.lead(cards[new["id"]].kommo_lead_id)

    assert {report(agent, LID, INSTAGRAM)["id"] for _ in range(2)} == {old["id"]}

    pair = ProbablySame.objects.get()
    assert (Lead.objects.count(), pair.evidence) == (2, ["instagram:maria", "lid:987654321@lid"])
    address = reverse("admin:leads_probablysame_changelist")
    assert address in staff.get(reverse("admin:index")).content.decode()
    assert "987654321@lid" in staff.get(address).content.decode()
    staff.post(address, {"action": "join", "_selected_action": [pair.pk]})

    [lead], [card] = Lead.objects.all(), Card.objects.all()
    assert (str(lead.pk), card.kommo_lead_id) == (old["id"], cards[old["id"]].kommo_lead_id)
    assert not ProbablySame.objects.exists()
    assert JoinedLead.objects.get().kommo_lead_id == before["id"]
    assert Enrollment.objects.filter(lead=lead, state="waiting").count() <= 1
    drain(account)
    report(agent, INSTAGRAM, LID, name="Maria Souza")
    drain(account)
    assert kommo.lead(before["id"]) == before
    assert (len(kommo.leads()), Lead.objects.count()) == (2, 1)


def test_two_people_stay_two_once_staff_have_said_so(account, agent, kommo, staff):
    report(agent, LID)
    report(agent, INSTAGRAM)
    drain(account)
    report(agent, LID, INSTAGRAM)
    pair = ProbablySame.objects.get()
    address = reverse("admin:leads_probablysame_changelist")
    staff.post(address, {"action": "keep_apart", "_selected_action": [pair.pk]})
    report(agent, INSTAGRAM, LID)
    assert ProbablySame.objects.get().are_two
    assert Lead.objects.count() == 2


def test_somebody_whose_name_comes_later_is_called_by_it_on_the_card(account, agent, kommo):
    report(agent, LID)
    drain(account)
    [card] = Card.objects.all()

    report(agent, LID, name="Maria Souza")
    drain(account)
    contacts.deliver_due(account, client_for(account), now=timezone.now() + timedelta(seconds=3))

    assert kommo.lead(card.kommo_lead_id)["name"] == "Maria Souza"
    assert contact_of(kommo, card.kommo_lead_id)["name"] == "Maria Souza"
