"""In Kommo only what is proven to be the person's is emptied, and what was done and what was not is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.cards import outbox
from bridge.delivery import erasing_in_kommo
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card, Forgetting
from leads import erasure
from leads.models import Event, Lead
from tests.conftest import MARIA, drain, lead_of, record, rested

JOAO, BIA = "+5581988880000", "+5581977770000"
FORGOTTEN = erasing_in_kommo.FORGOTTEN


@pytest.fixture
def maria(account, pipeline, kommo):
    """Maria's lead, with a card and a contact in Kommo."""
    record(pipeline, name="Maria Souza", email="maria@example.com")
    drain(account)
    return lead_of()


def erase(lead, *, elsewhere=True):
    return erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now(), elsewhere=elsewhere)


def forget(account, **later):
    Account.objects.filter(pk=account.pk).update(retry_at=None)
    account.refresh_from_db()
    erasing_in_kommo.deliver_due(account, client_for(account), now=timezone.now() + timedelta(**later))


def contacts(kommo):
    return {contact["id"]: contact for contact in kommo.get("leads")["contacts"]}


def reasons(lead):
    rows = Event.objects.filter(lead=lead, kind=Event.Kind.ERASED).order_by("id")
    return [row.reason.removeprefix("personal data erased in Kommo: ") for row in rows][1:]


def test_a_relative_who_is_the_main_contact_by_now_is_left_alone(account, maria, kommo):
    kommo_id, own = maria.card.kommo_lead_id, maria.card.kommo_contact_id
    kommo.post(f"leads/{kommo_id}/main_contact", {"name": "João Souza", "phone": JOAO})

    erase(maria)
    forget(account)

    by_id = contacts(kommo)
    [joao] = [contact for contact in by_id.values() if contact["id"] != own]
    assert (joao["name"], joao["phones"]) == ("João Souza", [JOAO])
    assert (by_id[own]["name"], by_id[own]["phones"]) == (FORGOTTEN, [])
    assert reasons(maria) == [f"name, phone and e-mail of contact {own}", f"the name of lead {kommo_id}"]
    assert Forgetting.objects.get().state == Forgetting.State.DONE


def test_a_contact_that_was_merged_away_is_found_by_its_phone_and_anothers_number_stays(account, maria, kommo):
    own = maria.card.kommo_contact_id
    other = kommo.post("leads", {"name": "João Souza", "phone": JOAO})["contacts"][0]["id"]
    kommo.post(f"contacts/{own}/merge", {"into": other})

    erase(maria)
    forget(account)

    assert contacts(kommo)[other]["phones"] == [JOAO]
    row = Forgetting.objects.get()
    assert row.state == Forgetting.State.LEFT
    assert f"contact {other} has 1 more numbers or addresses" in row.problem
    assert f"the person's own number on contact {other}" in reasons(maria)
    assert (row.phone, row.email) == ("", "")


def test_nothing_is_claimed_of_a_contact_nobody_can_prove(account, maria, kommo):
    own = maria.card.kommo_contact_id
    kommo.post(f"contacts/{own}/edit", {"custom_fields_values": [{"field_code": "PHONE", "values": [{"value": JOAO}]}]})

    erase(maria)
    forget(account)

    assert contacts(kommo)[own]["phones"] == [JOAO]
    assert contacts(kommo)[own]["name"] == "Maria Souza"
    assert reasons(maria)[0] == f"the name of lead {maria.card.kommo_lead_id}"
    assert "no contact has the person's number" in reasons(maria)[1]
    assert Forgetting.objects.get().state == Forgetting.State.LEFT


def test_a_create_whose_answer_was_lost_is_looked_up_before_its_card_is_let_go(account, pipeline, kommo):
    kommo.fault("drop_after", path="/api/v4/leads/complex", method="POST")
    record(pipeline, name="Maria Souza")
    drain(account)
    lead = lead_of()
    assert lead.card.kommo_lead_id is None

    erase(lead)
    rested(account)
    forget(account, minutes=1)

    [card] = kommo.leads()
    assert card["name"] == FORGOTTEN
    assert [contact["name"] for contact in card["contacts"]] == [FORGOTTEN]
    assert "Maria" not in str(kommo.get("leads")) and MARIA not in str(kommo.get("leads"))
    assert Card.objects.get().kommo_lead_id == card["id"]
    assert Forgetting.objects.get().state == Forgetting.State.DONE


def test_of_a_create_in_doubt_the_ids_are_learnt_also_when_kommo_keeps_the_rest(account, pipeline, kommo):
    kommo.fault("drop_after", path="/api/v4/leads/complex", method="POST")
    record(pipeline, name="Maria Souza")
    drain(account)
    lead = lead_of()

    erase(lead, elsewhere=False)
    rested(account)
    forget(account, minutes=1)

    [card] = kommo.leads()
    assert card["name"] == "Maria Souza"
    assert Card.objects.get().kommo_lead_id == card["id"]


def test_whoever_was_never_in_kommo_is_told_so(account, pipeline, kommo):
    lead = record(pipeline, name="Maria Souza").lead
    erase(lead)
    forget(account)
    assert reasons(lead) == [erasing_in_kommo.NOBODY_THERE]
    assert not kommo.leads()


def test_a_lead_that_is_gone_keeps_nobody_elses_erasure_waiting(account, maria, pipeline, kommo):
    record(pipeline, BIA, name="Bia")
    drain(account)
    bia = lead_of(BIA)
    kommo.post(f"leads/{maria.card.kommo_lead_id}/delete")
    erase(maria)
    erase(bia)
    forget(account)

    by_id = contacts(kommo)
    assert {by_id[lead.card.kommo_contact_id]["name"] for lead in (maria, bia)} == {FORGOTTEN}
    assert kommo.lead(bia.card.kommo_lead_id)["name"] == FORGOTTEN
    assert {row.state for row in Forgetting.objects.all()} == {Forgetting.State.DONE}


def test_a_name_on_its_way_and_an_erasure_are_apart(account, maria, pipeline, kommo):
    record(pipeline, BIA, name="Bia")
    drain(account)
    kommo.post(f"contacts/{maria.card.kommo_contact_id}/delete")
    erase(maria)
    record(pipeline, BIA, name="Beatriz")
    drain(account)
    Card.objects.filter(lead__phone=BIA).update(contact_due_at=timezone.now() - timedelta(minutes=1))
    drain(account)
    assert contacts(kommo)[lead_of(BIA).card.kommo_contact_id]["name"] == "Beatriz"
    assert Forgetting.objects.get().state == Forgetting.State.LEFT


@pytest.mark.parametrize("dies_after", ["update_contacts", "update_leads"])
def test_whoever_dies_over_it_is_followed_by_somebody_who_ends_it(account, maria, kommo, monkeypatch, dies_after):
    honest = getattr(KommoClient, dies_after)

    def dying(self, *args, **kwargs):
        honest(self, *args, **kwargs)
        raise SystemExit

    erase(maria)
    with monkeypatch.context() as patched:
        patched.setattr(KommoClient, dies_after, dying)
        with pytest.raises(SystemExit):
            forget(account)
    forget(account)
    assert Forgetting.objects.get().state == Forgetting.State.DUE, "put off first"
    forget(account, minutes=2)

    assert Forgetting.objects.get().state == Forgetting.State.DONE
    assert "Maria" not in str(kommo.get("leads")) and MARIA not in str(kommo.get("leads"))
    assert f"the name of lead {maria.card.kommo_lead_id}" in reasons(maria)


def test_a_refusal_is_left_to_a_person_without_kommos_words(account, maria, kommo):
    kommo.fault("400", path="/api/v4/contacts", method="PATCH")
    erase(maria)
    forget(account)
    row = Forgetting.objects.get()
    assert (row.state, row.problem) == (
        Forgetting.State.LEFT,
        "not erased in Kommo: Kommo answers 400; erase it there by hand",
    )
    assert erasing_in_kommo.done_by_hand([row], who="ada", now=timezone.now()) == 1
    assert Forgetting.objects.get().state == Forgetting.State.DONE
    assert reasons(maria)[-1] == "personal data erased in Kommo by hand: ada"


@pytest.mark.parametrize("mode", ["500", "429", "drop_before", "timeout"])
def test_trouble_on_the_way_is_no_end(account, maria, kommo, mode, impatient):
    kommo.fault(mode, count=1, path="/api/v4/contacts")
    erase(maria)
    forget(account)
    assert Forgetting.objects.get().state == Forgetting.State.DUE
    rested(account)
    forget(account, minutes=2)
    assert Forgetting.objects.get().state == Forgetting.State.DONE


def test_it_waits_for_a_write_that_may_still_arrive(account, maria, kommo):
    erase(maria)
    Card.objects.update(write_settles_at=timezone.now() + timedelta(seconds=20))
    forget(account)
    assert Forgetting.objects.get().state == Forgetting.State.DUE
    forget(account, seconds=30)
    assert Forgetting.objects.get().state == Forgetting.State.DONE


def test_in_shadow_it_waits_and_wakes_nobody(account, maria):
    Account.objects.update(state=Account.State.SHADOW)
    erase(maria)
    forget(account)
    assert Forgetting.objects.get().state == Forgetting.State.DUE
    assert outbox.accounts_with_work(now=timezone.now()) == []


def test_everybody_with_the_same_number_in_any_pipeline_is_asked_for(account, maria, kommo):
    erase(maria, elsewhere=False)
    assert not Forgetting.objects.exists()
    # Later, when nobody knows the number any more.
    erase(Lead.objects.get())
    forget(account)
    assert MARIA not in str(kommo.get("leads"))
