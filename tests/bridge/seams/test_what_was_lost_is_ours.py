"""What Kommo made of a write whose answer was lost is nobody's edit, in whatever form; what a person edited is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.models import Account, Card
from leads.models import Event
from tests.bridge.mapped import map_every_type, read_back, shown, type_in
from tests.conftest import drain, lead_of, record, rested
from tests.heard import carded, hear, hook

LONG_NAME = "Ana Maria Souza Prado de Albuquerque e Lima"
TOLD = {"monetary": 7.129, "date_time": "2026-12-24T18:30:31-03:00"}
STAFF, OURS = 11087201, 11087123


@pytest.fixture
def fields(account, pipeline, kommo):
    return map_every_type(pipeline, kommo, account)


@pytest.fixture
def kommo_id(account, pipeline, kommo, fields):
    """A card to which a write was applied whose answer was lost, in an account that cuts what it is sent."""
    kommo.post("options", {"names_end_after": 20, "other_number_forms": True})
    kommo_id = carded(account, pipeline)
    # As if it had been made a while ago.
    earlier = int((timezone.now() - timedelta(minutes=5)).timestamp())
    for card in Card.objects.all():
        card.observed["updated_at"] = earlier
        card.save()
    kommo.fault("drop_after", count=1, path="/api/v4/leads", method="PATCH")
    record(pipeline, name=LONG_NAME, custom=TOLD)
    drain(account)
    assert lead_of().card.in_doubt
    return kommo_id


def edits():
    return lead_of().events.filter(kind=Event.Kind.STAFF_EDIT)


@pytest.mark.parametrize("by", ["webhook", "poll"])
def test_in_whatever_form_it_is_ours(account, pipeline, kommo, kommo_id, fields, by):
    assert kommo.lead(kommo_id)["name"] == LONG_NAME[:20]
    hear(account, hook(kommo_id, "update")) if by == "webhook" else read_back(account)
    for _ in range(2):
        drain(rested(account))
        read_back(account)
    assert not edits().exists()
    assert (lead_of().name, lead_of().custom) == (LONG_NAME, TOLD)
    assert lead_of().card.state == Card.State.IN_SYNC

    record(pipeline, name="Bia", custom={"monetary": 8})
    drain(account)
    assert (kommo.lead(kommo_id)["name"], shown(kommo, kommo_id, fields["monetary"])) == ("Bia", [{"value": "8.00"}])


def test_what_a_person_edited_after_it_is_theirs(account, kommo, kommo_id):
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Dona Ana", "user_id": STAFF})
    hear(account, hook(kommo_id, "update"))
    drain(rested(account))
    assert (kommo.lead(kommo_id)["name"], lead_of().name) == ("Dona Ana", "Dona Ana")


def test_what_our_own_user_edited_long_after_it_is_a_persons(account, kommo, kommo_id):
    assert Account.objects.get().kommo_user_id == OURS
    later = int((timezone.now() + timedelta(minutes=2)).timestamp())
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Dona Ana", "user_id": OURS, "updated_at": later})
    hear(account, hook(kommo_id, "update"))
    drain(rested(account))
    assert (kommo.lead(kommo_id)["name"], lead_of().name) == ("Dona Ana", "Dona Ana")


def test_what_no_write_of_ours_touched_is_a_persons_whoever_it_was(account, kommo, kommo_id, fields):
    type_in(kommo, kommo_id, fields["text"], {"value": "theirs"})
    hear(account, hook(kommo_id, "update"))
    drain(rested(account))
    assert lead_of().custom["text"] == "theirs"
