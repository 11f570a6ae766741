"""Somebody who was erased here and not in Kommo writes again: the card is theirs again, and brings nothing back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import connection as connections
from bridge.delivery import contacts
from bridge.inbound import reconciliation
from bridge.models import Card, WebhookEvent, WebhookItem
from bridge.webhooks.reading_webhooks import process_inbox
from leads import erasure
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead
from tests.bridge.mapped import map_every_type, type_in
from tests.bridge.test_erasure import hook_of_contact, hook_of_lead, kept_files, left, post_hooks  # noqa: F401
from tests.conftest import drain, lead_of, record, rested

# As staff had it, in the name, a text field, and in the contact.
WORDS = ("quitéria", "sobral", "telhadocolonial", "77431")


def compare(account):
    account.refresh_from_db()
    client = connections.client_for(account)
    reconciliation.Comparison(account, client, None, "poll").everything()


def write_again(pipeline, text="voltei", **report):
    """Let her write, after whatever happened so far."""
    at = timezone.now() + timedelta(seconds=1)
    message = Message(Direction.INBOUND, id=f"m-{text}", sent_at=at, text=text)
    return record(pipeline, message=message, occurred_at=at, **report).lead


@pytest.fixture
def left_in_kommo(account, pipeline, kommo):
    """Return Kommo's id of her card, with a name, a price and a text of before, and the id of the text's field."""
    field_id = map_every_type(pipeline, kommo, account)["text"]
    account.refresh_from_db()
    kommo.post("options", {"duplicate_control": False})
    lead = record(pipeline, name="Quitéria Sobral", custom={"text": "telhadocolonial"}).lead
    drain(account)
    kommo_id = Card.objects.get().kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", {"price": 77431})
    assert "telhadocolonial" in str(kommo.lead(kommo_id))
    erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now())
    assert left(WORDS) == []
    return kommo_id, field_id


@pytest.mark.parametrize("merges", [True, False], ids=["Kommo merges the new lead into it", "it is found by phone"])
def test_the_card_is_theirs_again_and_nothing_of_it_is_taken_in(account, pipeline, kommo, left_in_kommo, merges):
    kommo_id, _ = left_in_kommo
    kommo.post("options", {"duplicate_control": merges})
    write_again(pipeline)

    drain(rested(account))

    card = lead_of().card
    assert (card.kommo_lead_id, card.state) == (kommo_id, Card.State.IN_SYNC)
    assert left(WORDS) == []
    assert "Sobral" in kommo.lead(kommo_id)["name"]


def test_nor_by_what_goes_on_afterwards(account, pipeline, kommo, left_in_kommo):
    kommo_id, _ = left_in_kommo
    write_again(pipeline)
    drain(rested(account))
    contact = lead_of().card.kommo_contact_id
    kommo.post(f"leads/{kommo_id}/edit", {"tags_to_add": [{"name": "vip"}]})
    post_hooks(account, hook_of_lead(kommo_id, "Quitéria Sobral"), hook_of_contact(contact, "Quitéria Sobral"))
    process_inbox(account.pk)
    compare(account)
    drain(rested(account))
    Card.objects.update(contact_due_at=timezone.now() - timedelta(minutes=1))
    contacts.deliver_due(account, connections.client_for(account), now=timezone.now())

    assert left(WORDS) == []
    assert "vip" in lead_of().card.observed["tags"]
    # Somebody else's webhooks stay whole.
    assert WebhookItem.objects.count() == WebhookEvent.objects.count() == 2


def test_what_staff_write_there_since_is_taken_over(account, pipeline, kommo, left_in_kommo):
    kommo_id, field_id = left_in_kommo
    write_again(pipeline)
    drain(rested(account))

    kommo.post(f"leads/{kommo_id}/edit", {"name": "Dona Nova"})
    type_in(kommo, kommo_id, field_id, {"value": "laje"})
    compare(account)

    lead = lead_of()
    assert (lead.name, lead.custom) == ("Dona Nova", {"text": "laje"})
    assert left(("quitéria", "telhadocolonial", "77431")) == []
    # Typed once more, it is a person's word of today.
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Quitéria Sobral"})
    compare(account)
    assert lead_of().name == "Quitéria Sobral"


def test_what_they_tell_anew_is_written_and_stands(account, pipeline, kommo, left_in_kommo):
    kommo_id, _field_id = left_in_kommo
    # One as before, one otherwise.
    write_again(pipeline, name="Quitéria Sobral", custom={"text": "laje"})
    drain(rested(account))
    write_again(pipeline, "mais")
    drain(rested(account))
    compare(account)

    lead = lead_of()
    assert (lead.name, lead.custom) == ("Quitéria Sobral", {"text": "laje"})
    assert (lead.card.kommo_lead_id, lead.card.observed["name"]) == (kommo_id, "Quitéria Sobral")
    assert "laje" in str(kommo.lead(kommo_id)) and "telhadocolonial" not in str(kommo.lead(kommo_id))
    assert not lead.events.filter(kind=Event.Kind.STAFF_EDIT, data__has_key="name").exists()
    assert left(("telhadocolonial", "77431")) == []


def test_a_second_erasure_forgets_by_what_it_was_known_too(account, pipeline, left_in_kommo):
    write_again(pipeline)
    drain(rested(account))
    assert lead_of().card.of_before
    erasure.erase(lead_of(), by=Lead.Actor.AGENT, now=timezone.now())
    assert not Card.objects.exclude(of_before=None).exists()


def test_a_deal_that_staff_have_made_since_is_taken_in_whole(account, pipeline, kommo, left_in_kommo):
    kommo_id, _ = left_in_kommo
    kommo.post(f"leads/{kommo_id}/delete")
    later = int((timezone.now() + timedelta(seconds=2)).timestamp())
    made = kommo.post("leads", {"name": "Dona Nova", "phone": "+5581999990000"})
    kommo.post(f"leads/{made['id']}/edit", {"created_at": later})
    write_again(pipeline)
    drain(rested(account))
    assert (lead_of().name, lead_of().card.kommo_lead_id) == ("Dona Nova", made["id"])
