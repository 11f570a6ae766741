"""Others stand on a card too: a spouse, an accountant. Their number finds the lead, and nobody is taken for them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.models import Card
from leads import addresses, erasure, interaction_values, interactions, optout
from leads.models import Lead, OptOut, Pipeline
from leads.phone import parse
from tests.conftest import drain, lead_of, record
from tests.heard import hear, hook

NINA, RUI, TECA = "+5584988112233", "+5584977445566", "+5584966778899"
OF_RUI = parse(RUI, region="BR").key
LID = "lid:5566778899@lid"


def erase(lead):
    return erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())


def opt_out(lead):
    return optout.opt_out(Lead.objects.get(pk=lead.pk), by=Lead.Actor.STAFF, reason="asked", now=timezone.now())


def lead_in(slug, **known):
    other = Pipeline.objects.create(slug=slug, name=slug)
    at = dict.fromkeys(("stage_set_at", "created_at", "updated_at"), timezone.now())
    return Lead.objects.create(pipeline=other, name=slug, **known, **at)


def beside(account, kommo, lead, **contact):
    """Staff link another contact to the lead's card, and it is read; return the contact's id."""
    card = Card.objects.get(lead=lead)
    own = card.own_contact_id or card.kommo_contact_id
    shown = kommo.post(f"leads/{card.kommo_lead_id}/main_contact", contact)["contacts"]
    kommo.post(f"leads/{card.kommo_lead_id}/main_contact", {"contact_id": own})
    hear(account, hook(card.kommo_lead_id, "update"))
    return next(iter({contact["id"] for contact in shown} - {own}))


def of_lid(account, pipeline):
    """A lead that is known by WhatsApp's hidden id alone, and has a card."""
    now, lid = timezone.now(), addresses.parse("lid", LID.removeprefix("lid:"), region="BR")
    reported = interaction_values.Interaction(phone=None, occurred_at=now, facts={"name": "Lia"}, addresses=(lid,))
    lead = interactions.record(reported, pipeline=pipeline, now=now).lead
    drain(account)
    return Lead.objects.get(pk=lead.pk)


@pytest.fixture
def nina(account, pipeline, kommo):
    record(pipeline, NINA, name="Nina")
    drain(account)
    return lead_of(NINA)


@pytest.fixture
def three(account, nina, kommo):
    """Rui is a lead of his own, and stands beside Nina on her card, and beside Teca on hers in a third pipeline."""
    contact_id = beside(account, kommo, nina, name="Rui", phone=RUI)
    rui, teca = lead_in("rui", phone=RUI, phone_key=OF_RUI), lead_in("teca", phone=TECA, phone_key=TECA)
    card = Card.objects.create(
        lead=teca, account=account, state="in_sync", kommo_lead_id=880_001, kommo_contact_id=880_002
    )
    card.other_contacts.create(kommo_contact_id=contact_id)
    teca.further_addresses.create(
        pipeline=teca.pipeline, key=OF_RUI, value=RUI, seen_in=str(contact_id), first_seen_at=timezone.now()
    )
    return {"nina": nina, "rui": rui, "teca": teca}


@pytest.mark.parametrize("who", ["nina", "rui", "teca"])
def test_whoever_stands_on_several_cards_joins_nobody_in_an_erasure(three, who):
    erase(three[who])
    assert list(Lead.objects.exclude(erased_at=None)) == [three[who]]


@pytest.mark.parametrize("who", ["nina", "rui", "teca"])
def test_nor_in_a_wish_for_no_follow_ups(three, who):
    opt_out(three[who])
    assert list(Lead.objects.exclude(opted_out_at=None)) == [three[who]]
    assert set(optout.since(Lead.objects.all())) == {three[who].pk}
    assert OptOut.objects.count() == 1
    optout.take_back(Lead.objects.get(pk=three[who].pk), reason="a mistake", now=timezone.now())
    assert not optout.since(Lead.objects.all())


def test_a_wish_told_before_is_not_theirs_beside_whom_the_person_stands(account, nina, kommo):
    optout.opt_out_number(parse(RUI, region="BR"), by=Lead.Actor.STAFF, reason="asked", now=timezone.now())
    beside(account, kommo, nina, name="Rui", phone=RUI)
    assert not optout.since(Lead.objects.all())
    assert Lead.objects.get().opted_out_at is None


def test_a_second_number_on_their_own_contact_carries_the_wish_and_the_erasure(account, nina, kommo):
    own, rui = nina.card.kommo_contact_id, lead_in("rui", phone=RUI, phone_key=OF_RUI)
    values = [{"value": NINA}, {"value": RUI}]
    kommo.post(f"contacts/{own}/edit", {"custom_fields_values": [{"field_code": "PHONE", "values": values}]})
    hear(account, f"contacts[update][0][id]={own}")
    opt_out(rui)
    assert Lead.objects.filter(opted_out_at=None).count() == 0
    erase(rui)
    assert Lead.objects.filter(erased_at=None).count() == 0


def test_what_was_written_from_that_number_is_written_by_the_person(pipeline, three):
    record(pipeline, RUI, name="Nina", occurred_at=timezone.now())
    Lead.objects.filter(pk=three["nina"].pk).update(written_from=OF_RUI)
    opt_out(three["nina"])
    assert set(Lead.objects.exclude(opted_out_at=None)) == {three["nina"], three["rui"]}


def test_nobody_with_an_address_is_called_by_the_number_beside_them(account, pipeline, kommo):
    lia = of_lid(account, pipeline)
    own = lia.card.kommo_contact_id
    beside(account, kommo, lia, name="Rui", phone=RUI)
    rui = lead_in("rui", phone=RUI, phone_key=OF_RUI)
    lia, card = Lead.objects.get(pk=lia.pk), Card.objects.get(lead=lia)
    assert (lia.phone, lia.phone_key, card.own_contact_id or card.kommo_contact_id) == (None, LID, own)
    # It finds her all the same.
    assert record(pipeline, RUI, name="Lia").lead == lia
    erase(rui)
    assert list(Lead.objects.filter(erased_at=None)) == [lia]


def test_they_are_by_the_number_on_their_own_contact(account, pipeline, kommo):
    lia = of_lid(account, pipeline)
    own = lia.card.kommo_contact_id
    beside(account, kommo, lia, name="Rui", phone=RUI)
    kommo.post(f"contacts/{own}/edit", {"custom_fields_values": [{"field_code": "PHONE", "values": [{"value": TECA}]}]})
    hear(account, f"contacts[update][0][id]={own}")
    assert Lead.objects.get(pk=lia.pk).phone == TECA


@pytest.mark.parametrize("is_there_at_once", [True, False])
@pytest.mark.parametrize("lives", [True, False])
def test_a_card_whose_contact_has_no_number_is_nobodys_that_lives_here(
    account, pipeline, kommo, lives, is_there_at_once
):
    if lives:
        lead_in("rui", phone=RUI, phone_key=OF_RUI)
    made = kommo.post("leads", {"name": "Sem número"})["id"]
    shown = kommo.post(f"leads/{made}/main_contact", {"name": "Alguém"})["contacts"]
    if is_there_at_once:
        kommo.post(f"leads/{made}/main_contact", {"name": "Rui", "phone": RUI})
        kommo.post(f"leads/{made}/main_contact", {"contact_id": shown[0]["id"]})
    hear(account, hook(made, "add", pipeline_id=pipeline.kommo_pipeline_id))
    lead = Lead.objects.get(pipeline=pipeline)
    if not is_there_at_once:
        beside(account, kommo, lead, name="Rui", phone=RUI)
    lead.refresh_from_db()
    assert lead.phone == (None if lives else RUI)
    assert record(pipeline, RUI).lead == lead


@pytest.mark.parametrize("number", [NINA, None])
def test_who_is_there_by_their_card_alone_is_erased_for_their_own_number_and_not_for_one_beside_it(
    account, pipeline, kommo, number
):
    erase(record(pipeline, RUI, name="Rui").lead)
    made = kommo.post("leads", {"name": "De alguém"})["id"]
    hear(account, hook(made, "add", pipeline_id=pipeline.kommo_pipeline_id))
    lead = Lead.objects.get(card__kommo_lead_id=made)
    if number:
        kommo.post(f"leads/{made}/main_contact", {"name": "Rui", "phone": RUI})
        kommo.post(f"leads/{made}/main_contact", {"name": "Nina", "phone": number})
    else:
        kommo.post(f"leads/{made}/main_contact", {"name": "Rui", "phone": RUI})
    hear(account, hook(made, "update"))
    lead.refresh_from_db()
    assert (lead.erased_at is None, lead.phone) == (bool(number), number)
    assert not lead.further_addresses.exists()
