"""A contact's name follows its lead's, whatever becomes of a call, and a person's name for it stands."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.delivery import contacts
from bridge.kommo.client import KommoClient
from bridge.models import Card, Delivery, Trouble
from leads import interactions
from leads.addresses import parse as address
from leads.interaction_values import Interaction
from tests.conftest import drain, lead_of, record
from tests.heard import hear, hook

PHONES = [f"+5581999990{number:03d}" for number in range(5)]


@pytest.fixture
def named(account, pipeline, kommo):
    """Five cards whose leads have just been given a name."""
    for phone in PHONES:
        record(pipeline, phone)
    drain(account)
    for phone in PHONES:
        record(pipeline, phone, name=f"Ana {phone[-1]}")
    drain(account)
    return account


def deliver(account, **later):
    contacts.deliver_due(account, client_for(account), now=timezone.now() + timedelta(**later))


def contact_names(kommo):
    return [contact["name"] for contact in kommo.get("leads")["contacts"]]


def waiting():
    return Card.objects.filter(contact_due_at__isnull=False).count()


def test_names_travel_in_one_call_and_are_on_record(named, kommo):
    before = len(kommo.answered())
    deliver(named, seconds=3)
    calls = [call["method"] for call in kommo.answered()[before:]]
    assert (calls, sorted(contact_names(kommo)), waiting()) == (["GET", "PATCH"], [f"Ana {n}" for n in range(5)], 0)
    assert Delivery.objects.filter(operation="contact", outcome="delivered").count() == 5


@pytest.mark.parametrize("mode", ["400_named", "400"])
def test_a_name_kommo_refuses_keeps_no_other_waiting(named, kommo, monkeypatch, mode):
    if mode == "400_named":
        kommo.fault("400_named", path="/api/v4/contacts", item="Ana 3", path_named="name")
    else:
        # Which of them it is, Kommo does not say.
        kommo.fault("400", path="/api/v4/contacts", item="Ana 3")
    deliver(named, seconds=3)

    assert sorted(contact_names(kommo)) == sorted([PHONES[3], "Ana 0", "Ana 1", "Ana 2", "Ana 4"])
    refused = Delivery.objects.get(operation="contact", outcome="refused")
    assert (refused.card.lead.phone, waiting()) == (PHONES[3], 0)
    assert refused.error
    assert refused.card.lead.events.filter(kind="delivery", data__outcome="refused").exists()


def test_our_own_name_whose_answer_was_lost_is_no_persons(named, pipeline, kommo):
    kommo.fault("drop_after", count=1, method="PATCH", path="/api/v4/contacts")
    deliver(named, seconds=3)
    assert (sorted(contact_names(kommo))[0], waiting()) == ("Ana 0", 5)
    assert Delivery.objects.filter(operation="contact", outcome="unknown").count() == 5

    record(pipeline, PHONES[0], name="Bia")
    drain(named)
    deliver(named, minutes=2)
    assert sorted(contact_names(kommo)) == ["Ana 1", "Ana 2", "Ana 3", "Ana 4", "Bia"]
    assert (lead_of(PHONES[0]).card.observed_contact, waiting()) == ({"name": "Bia"}, 0)


def test_whoever_dies_over_names_leaves_them_for_a_minute_later(named, kommo, monkeypatch):
    def die(*_, **__):
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(KommoClient, "update_contacts", die)
        with pytest.raises(SystemExit):
            deliver(named, seconds=3)
    deliver(named, seconds=20)
    assert sorted(contact_names(kommo)) == PHONES
    deliver(named, seconds=90)
    assert (sorted(contact_names(kommo))[0], waiting()) == ("Ana 0", 0)


def test_a_name_a_person_gave_the_contact_stands(named, kommo):
    [contact] = [each_contact for each_contact in kommo.get("leads")["contacts"] if each_contact["name"] == PHONES[0]]
    kommo.post(f"contacts/{contact['id']}/edit", {"name": "Dona Ana"})
    deliver(named, seconds=3)
    assert sorted(contact_names(kommo)) == ["Ana 1", "Ana 2", "Ana 3", "Ana 4", "Dona Ana"]


@pytest.mark.parametrize("before", [PHONES[0], "Ana 0"], ids=["never named by us", "named by us"])
def test_it_stands_however_often_the_lead_is_called_otherwise_afterwards(named, pipeline, kommo, before):
    if before == "Ana 0":
        deliver(named, seconds=3)
    [contact] = [each_contact for each_contact in kommo.get("leads")["contacts"] if each_contact["name"] == before]
    kommo.post(f"contacts/{contact['id']}/edit", {"name": "Dona Ana"})
    for name in ("Ana Prado", "Ana Prado Lima", "Ana P. Lima"):
        record(pipeline, PHONES[0], name=name)
        drain(named)
        deliver(named, minutes=5)
        assert "Dona Ana" in contact_names(kommo)


@pytest.mark.parametrize(
    ("ours", "kept"),
    [
        ("José Conceição", unicodedata.normalize("NFD", "José Conceição")),
        ("Ana Prado", "  Ana\u00a0 Prado\n"),
        ("Ana 🌻 Prado", "Ana Prado"),
    ],
    ids=["composed otherwise", "other spaces", "no emoji"],
)
def test_our_own_name_in_the_form_that_kommo_keeps_is_no_persons(named, pipeline, kommo, ours, kept):
    record(pipeline, PHONES[0], name=ours)
    drain(named)
    deliver(named, minutes=5)
    [card] = Card.objects.filter(lead__phone=PHONES[0])
    kommo.post(f"contacts/{card.kommo_contact_id}/edit", {"name": kept})
    record(pipeline, PHONES[0], name="Ana Lima")
    drain(named)
    deliver(named, minutes=5)
    assert "Ana Lima" in contact_names(kommo)


def test_whom_a_person_calls_as_we_did_again_is_ours_to_correct_again(named, pipeline, kommo):
    deliver(named, seconds=3)
    [contact] = [each_contact for each_contact in kommo.get("leads")["contacts"] if each_contact["name"] == "Ana 0"]
    kommo.post(f"contacts/{contact['id']}/edit", {"name": "Dona Ana"})
    record(pipeline, PHONES[0], name="Ana Prado")
    drain(named)
    deliver(named, minutes=5)
    kommo.post(f"contacts/{contact['id']}/edit", {"name": "Ana 0"})
    record(pipeline, PHONES[0], name="Ana Lima")
    drain(named)
    deliver(named, minutes=5)
    assert "Ana Lima" in contact_names(kommo)


def test_a_long_wait_that_kommo_asked_for_is_kept(named, kommo):
    kommo.fault("429", path="/api/v4/contacts", retry_after=600)
    deliver(named, seconds=3)
    assert Card.objects.filter(contact_due_at__gt=timezone.now() + timedelta(minutes=9)).count() == 5


@pytest.mark.parametrize("mode", ["402", "403", "404", "302"])
def test_contacts_that_are_refused_rest_alone_and_say_so(named, pipeline, kommo, mode):
    kommo.fault(mode, path="/api/v4/contacts")
    deliver(named, seconds=3)
    named.refresh_from_db()
    assert (named.state, Trouble.objects.get().subject, waiting()) == ("active", "contacts", 5)
    calls = len(kommo.journal())
    deliver(named, seconds=30)
    assert len(kommo.journal()) == calls

    kommo.delete("faults")
    deliver(named, minutes=20)
    assert (sorted(contact_names(kommo))[0], waiting(), Trouble.objects.count()) == ("Ana 0", 0, 0)


def test_two_hundred_and_fifty_names_travel_at_once_and_halves_where_that_is_too_much(named, kommo):
    assert contacts.BATCH_SIZE == 250
    kommo.fault("504", path="/api/v4/contacts", method="PATCH", count=1)
    deliver(named, seconds=3)
    patches = [
        len(call["body"]) for call in kommo.journal() if call["method"] == "PATCH" and "contacts" in call["path"]
    ]
    assert (patches, waiting()) == ([5, 2, 3], 0)


HUSBAND = "+5581988881111"
STRANGE = "Ana D'Ávila & Filhos\u200b " + "Prado " * 20


def edit(kommo, contact_id, **changes):
    kommo.post(f"contacts/{contact_id}/edit", changes)


def called(account, pipeline, name):
    record(pipeline, PHONES[0], name=name)
    drain(account)
    deliver(account, minutes=5)


def contact_of(kommo):
    contact_id = lead_of(PHONES[0]).card.own_contact_id or lead_of(PHONES[0]).card.kommo_contact_id
    return next(contact for contact in kommo.get("leads")["contacts"] if contact["id"] == contact_id)


@pytest.mark.parametrize(
    ("known", "form"),
    [
        ("when it is made", {"escapes_html": True}),
        ("when it is made", {"names_end_after": 30}),
        ("later", {"escapes_html": True}),
        ("later", {"names_end_after": 30}),
        # Cut, and nobody told us of it: it might be a person's.
        ("later, and the answer is lost", {"escapes_html": True}),
    ],
)
def test_in_whatever_form_kommo_keeps_our_name_it_is_ours(account, pipeline, kommo, known, form):
    kommo.post("options", form)
    record(pipeline, PHONES[0], **({"name": STRANGE} if known == "when it is made" else {}))
    drain(account)
    if known == "later, and the answer is lost":
        kommo.fault("drop_after", count=1, method="PATCH", path="/api/v4/contacts")
    if known != "when it is made":
        called(account, pipeline, STRANGE)
    called(account, pipeline, "Bia Lima")
    assert contact_of(kommo)["name"] == "Bia Lima"


@pytest.mark.parametrize("theirs", ["Dona Ana", "Ana D'Avila & Filhos", "ANA"])
def test_what_a_person_made_of_a_strange_name_is_theirs(account, pipeline, kommo, theirs):
    kommo.post("options", {"escapes_html": True, "names_end_after": 30})
    record(pipeline, PHONES[0], name=STRANGE)
    drain(account)
    edit(kommo, contact_of(kommo)["id"], name=theirs)
    named_by_them = contact_of(kommo)["name"]
    for name in ("Bia", "Caio"):
        called(account, pipeline, name)
        assert contact_of(kommo)["name"] == named_by_them


@pytest.mark.parametrize("spelling", ["+55 81 99999-0000", "(81) 99999-0000"])
def test_a_number_in_place_of_a_name_is_nobodys_name(account, pipeline, kommo, spelling):
    record(pipeline, PHONES[0])
    drain(account)
    edit(kommo, contact_of(kommo)["id"], name=spelling)
    called(account, pipeline, "Bia Lima")
    assert contact_of(kommo)["name"] == "Bia Lima"


def test_a_contact_that_was_made_without_a_number_gets_it(account, pipeline, kommo):
    def says(*addresses):
        interaction = Interaction(
            phone=None,
            addresses=tuple(address(kind, value, region="BR") for kind, value in addresses),
            occurred_at=timezone.now(),
            facts={"name": "Ana"},
        )
        return interactions.record(interaction, pipeline=pipeline, now=timezone.now()).lead

    lead = says(("instagram", "ana.prado"))
    drain(account)
    assert [contact["phones"] for contact in kommo.get("leads")["contacts"]] == [[]]
    pipeline.refresh_from_db()
    assert says(("instagram", "ana.prado"), ("phone", PHONES[0])) == lead
    drain(account)
    deliver(account, minutes=5)
    assert contact_of(kommo)["phones"] == [PHONES[0]]
    # Taken away by a person, it is not put there again.
    edit(kommo, contact_of(kommo)["id"], custom_fields_values=[{"field_code": "PHONE", "values": None}])
    called(account, pipeline, "Ana Lima")
    assert (contact_of(kommo)["name"], contact_of(kommo)["phones"]) == ("Ana Lima", [])


def test_a_number_that_a_person_took_away_stays_away(account, pipeline, kommo):
    record(pipeline, PHONES[0], name="Ana")
    drain(account)
    edit(kommo, contact_of(kommo)["id"], custom_fields_values=[{"field_code": "PHONE", "values": None}])
    called(account, pipeline, "Ana Lima")
    assert (contact_of(kommo)["name"], contact_of(kommo)["phones"]) == ("Ana Lima", [])


@pytest.mark.parametrize("theirs", [{"name": "João"}, {"name": "João", "phone": HUSBAND}, {"name": "Ana"}])
def test_whoever_is_the_main_contact_now_gets_neither_name_nor_number_of_the_person(account, pipeline, kommo, theirs):
    record(pipeline, PHONES[0], name="Ana")
    drain(account)
    card = lead_of(PHONES[0]).card
    kommo.post(f"leads/{card.kommo_lead_id}/main_contact", theirs)
    hear(account, hook(card.kommo_lead_id, "update", pipeline_id=11672895))
    called(account, pipeline, "Ana Lima")
    own, other = sorted(kommo.get("leads")["contacts"], key=lambda contact: contact["id"])
    assert (own["name"], own["phones"]) == ("Ana Lima", [PHONES[0]])
    assert (other["name"], other["phones"]) == (theirs["name"], [theirs["phone"]] if "phone" in theirs else [])


def test_a_name_that_the_answer_leaves_out_is_told_as_refused(named, kommo):
    kommo.fault("partial", count=1, share=0.4, method="PATCH", path="/api/v4/contacts")
    deliver(named, seconds=3)
    outcomes = Delivery.objects.filter(operation="contact").order_by("pk").values_list("outcome", flat=True)
    assert (list(outcomes), len(set(PHONES) & set(contact_names(kommo)))) == (["delivered"] * 2 + ["refused"] * 3, 3)
