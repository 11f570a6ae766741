"""In Kommo only what is proven to be the person's is emptied, and what was done and what was not is told."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone, translation

from bridge.accounts.connection import client_for
from bridge.cards import outbox
from bridge.delivery import erasing_in_kommo
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card, Forgetting
from bridge.reasons import in_words
from leads import addresses, erasure, interaction_values, interactions
from leads.models import Event, FurtherAddress, JoinedLead, Lead, Pipeline
from leads.phone import parse
from tests.conftest import MARIA, drain, lead_of, record, rested
from tests.heard import hear

JOAO, BIA = "+5581988880000", "+5581977770000"
OF_JOAO = parse(JOAO, region="BR").key
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


# --- What is somebody else's, and what stays


def left(row=None):
    """What is told to be left in Kommo, whole: the timeline has all of it."""
    row = row or Forgetting.objects.get()
    events = Event.objects.filter(lead=row.card.lead_id, kind=Event.Kind.ERASED, reason__startswith="left in Kommo: ")
    return "; ".join(event.reason.removeprefix("left in Kommo: ") for event in events.order_by("id"))


def edit(kommo, contact_id, *, phones=(), emails=(), **fields):
    values = {"PHONE": phones, "EMAIL": emails}
    changed = [{"field_code": code, "values": [{"value": v} for v in found]} for code, found in values.items() if found]
    kommo.post(f"contacts/{contact_id}/edit", {"custom_fields_values": changed, **fields})


def lead_in_another_pipeline(kommo_pipeline_id, **known):
    other = Pipeline.objects.create(slug="other", name="Other", kommo_pipeline_id=kommo_pipeline_id)
    at = dict.fromkeys(("stage_set_at", "created_at", "updated_at"), timezone.now())
    return Lead.objects.create(pipeline=other, **known, **at)


def emails_of(account, contact_id):
    [contact] = client_for(account).contacts(ids=[contact_id])
    return [entry["value"] for entry in contact.email_values]


@pytest.fixture
def bia(account, pipeline, maria):
    """Bia's lead lives on; she has Maria's e-mail, as people of one house do."""
    record(pipeline, BIA, name="Bia Rocha", email="Maria@Example.com")
    drain(account)
    return lead_of(BIA)


def test_a_contact_that_was_merged_into_a_living_leads_keeps_its_name_and_e_mail(account, maria, bia, kommo):
    hers = bia.card.kommo_contact_id
    kommo.post(f"contacts/{maria.card.kommo_contact_id}/merge", {"into": hers})
    name = contacts(kommo)[hers]["name"]
    emails = emails_of(account, hers)
    assert MARIA in contacts(kommo)[hers]["phones"]

    erase(maria)
    forget(account)

    assert contacts(kommo)[hers]["phones"] == [BIA]
    assert (contacts(kommo)[hers]["name"], emails_of(account, hers)) == (name, emails)
    assert f"the person's own number on contact {hers}" in reasons(maria)
    assert not [line for line in reasons(maria) if line.startswith("name") or "own e-mail" in line]
    for part in (
        f"a number of contact {hers} stays: lead {bia.pk} here has it too",
        f"an e-mail of contact {hers} stays: lead {bia.pk} here has it too",
        f"contact {hers} is the contact of lead {bia.pk} here",
        f"the name of contact {hers} stays: look whose it is",
    ):
        assert part in left()


@pytest.fixture
def caio(account, pipeline, maria):
    """Caio's lead lives on; by what he is known no contact in Kommo shows."""
    now, lid = timezone.now(), addresses.parse("lid", "7788990011@lid", region="BR")
    known = interaction_values.Interaction(phone=None, occurred_at=now, facts={"name": "Caio"}, addresses=(lid,))
    found = interactions.record(known, pipeline=pipeline, now=now).lead
    drain(account)
    return Lead.objects.select_related("card").get(pk=found.pk)


def merged_into_marias(kommo, maria, contact_id):
    """Staff merge a contact into Maria's, which then shows whose the other one was; return Maria's."""
    hers = maria.card.kommo_contact_id
    kommo.post(f"contacts/{contact_id}/merge", {"into": hers})
    edit(kommo, hers, name="Caio", emails=["caio@fam.example"])
    return hers


@pytest.mark.parametrize("is_read_again", [False, True])
def test_a_contact_that_kommo_shows_on_a_living_leads_card_is_theirs_too(account, maria, caio, kommo, is_read_again):
    hers = merged_into_marias(kommo, maria, caio.card.kommo_contact_id)
    if is_read_again:
        # As a look at his card leaves it: today's main contact, and the one he had first.
        Card.objects.filter(pk=caio.card.pk).update(
            kommo_contact_id=hers, own_contact_id=caio.card.own_contact_id or caio.card.kommo_contact_id
        )

    erase(maria)
    forget(account)

    assert (contacts(kommo)[hers]["name"], contacts(kommo)[hers]["phones"]) == ("Caio", [])
    assert emails_of(account, hers) == ["caio@fam.example"]
    assert reasons(maria)[0] == f"the person's own number on contact {hers}"
    assert f"contact {hers} is the contact of lead {caio.pk} here; the name of contact {hers} stays" in left()


def test_so_is_another_contact_of_the_persons_that_is_found_by_the_number(account, maria, kommo):
    """A card of another pipeline, of which no contact is known here."""
    there = kommo.post("leads", {"name": "Loja da Ju", "phone": MARIA})
    contact = there["contacts"][0]["id"]
    lead = lead_in_another_pipeline(79, name="Ju")
    Card.objects.filter(lead=lead).delete()
    Card.objects.create(lead=lead, account=account, kommo_lead_id=there["id"], state=Card.State.IN_SYNC)

    erase(maria)
    forget(account)

    assert (contacts(kommo)[contact]["name"], contacts(kommo)[contact]["phones"]) == ("Loja da Ju", [])
    assert f"contact {contact} is the contact of lead {lead.pk} here" in left()
    assert contacts(kommo)[maria.card.kommo_contact_id]["name"] == FORGOTTEN


def test_so_is_one_on_a_card_that_a_living_lead_left_behind_when_it_was_joined(account, maria, caio, kommo):
    there = kommo.post("leads", {"name": "Caio de antes", "phone": JOAO})
    contact = there["contacts"][0]["id"]
    edit(kommo, contact, phones=[MARIA])
    JoinedLead.objects.create(former_id=uuid4(), lead=caio, joined_at=timezone.now(), kommo_lead_id=there["id"])

    erase(maria)
    forget(account)

    assert (contacts(kommo)[contact]["name"], contacts(kommo)[contact]["phones"]) == ("Caio de antes", [])
    assert f"contact {contact} is the contact of lead {caio.pk} here" in left()


def test_the_card_of_a_lead_that_is_erased_as_well_keeps_nothing(account, maria, caio, kommo):
    hers = merged_into_marias(kommo, maria, caio.card.kommo_contact_id)

    erase(caio)
    erase(maria)
    forget(account)

    assert (contacts(kommo)[hers]["name"], contacts(kommo)[hers]["phones"]) == (FORGOTTEN, [])
    assert emails_of(account, hers) == []


def test_a_second_number_on_somebody_elses_contact_goes_and_nothing_else(account, maria, kommo):
    """Staff keep a wife's number with her husband, who is no lead here."""
    joao = kommo.post("leads", {"name": "João Souza", "phone": JOAO})["contacts"][0]["id"]
    edit(kommo, joao, phones=[JOAO, "(81) 99999-0000"], emails=["joao@example.org", "MARIA@example.com"])
    kommo.post(f"contacts/{maria.card.kommo_contact_id}/delete")

    erase(maria)
    forget(account)

    assert (contacts(kommo)[joao]["name"], contacts(kommo)[joao]["phones"]) == ("João Souza", [JOAO])
    assert emails_of(account, joao) == ["joao@example.org"]
    assert reasons(maria)[:2] == [
        f"the person's own number on contact {joao}", f"the person's own e-mail on contact {joao}"
    ]  # fmt: skip
    assert f"contact {joao} has 2 more numbers or addresses" in left()
    assert f"the name of contact {joao} stays" in left()


def test_an_e_mail_that_a_living_lead_of_another_pipeline_has_too_is_kept(account, maria, kommo):
    lead = lead_in_another_pipeline(77, name="Casa", email="MARIA@example.com", phone=BIA, phone_key=BIA)
    own = maria.card.kommo_contact_id

    erase(maria)
    forget(account)

    assert contacts(kommo)[own]["phones"] == []
    assert emails_of(account, own) == ["maria@example.com"]
    assert contacts(kommo)[own]["name"] == "Maria Souza"
    assert f"an e-mail of contact {own} stays: lead {lead.pk} here has it too" in left()
    assert Forgetting.objects.get().state == Forgetting.State.LEFT


def test_what_was_not_there_is_not_said_to_have_been_erased(account, pipeline, kommo):
    lead = record(pipeline, name="Rui").lead
    drain(account)
    erase(lead)
    forget(account)
    assert reasons(lead)[0] == f"name and phone of contact {lead.card.kommo_contact_id}"


def test_other_contacts_with_their_number_are_emptied_by_the_same_rules(account, maria, kommo):
    twice = kommo.post("leads", {"name": "Maria S.", "phone": "81 99999-0000"})
    with_joao = kommo.post("leads", {"name": "João e Maria", "phone": JOAO})["contacts"][0]["id"]
    edit(kommo, with_joao, phones=[JOAO, "+55 (81) 9999-0000"])
    near = kommo.post("leads", {"name": "Zé", "phone": "+5511999990000"})["contacts"][0]["id"]
    again = twice["contacts"][0]["id"]

    erase(maria)
    forget(account)

    by_id = contacts(kommo)
    assert (by_id[again]["name"], by_id[again]["phones"]) == (FORGOTTEN, [])
    assert (by_id[with_joao]["name"], by_id[with_joao]["phones"]) == ("João e Maria", [JOAO])
    assert (by_id[near]["name"], by_id[near]["phones"]) == ("Zé", ["+5511999990000"])
    assert f"name and phone of contact {again}" in reasons(maria)
    assert f"lead {twice['id']} is another of their contact's" in left()


def test_what_stays_is_named_and_its_values_are_not(account, maria, kommo):
    kommo_id, own = maria.card.kommo_lead_id, maria.card.kommo_contact_id
    catalogue = client_for(account)
    name = next(
        field for field in catalogue.custom_fields("leads") if field.type == "text" and field.name != "Bridge ID"
    )
    kommo.post(
        f"leads/{kommo_id}/edit",
        {
            "price": 4500,
            "custom_fields_values": [{"field_id": name.id, "values": [{"value": "segredo-um"}]}],
            "_embedded": {"tags": [{"name": "segredo-dois"}]},
        },
    )
    position = next(field for field in catalogue.custom_fields("contacts") if field.code == "POSITION")
    values = [{"field_id": position.id, "values": [{"value": "segredo-tres"}]}]
    catalogue.update_contacts([{"id": own, "custom_fields_values": values}])
    kommo.post(f"leads/{kommo_id}/note", {"text": "segredo-quatro"})
    kommo.post(f"leads/{kommo_id}/message", {"text": "segredo-cinco"})

    erase(maria)
    forget(account)

    row = Forgetting.objects.get()
    assert row.state == Forgetting.State.LEFT
    for part in (
        f"lead {kommo_id} has filled fields: “{name.name}”",
        f"lead {kommo_id} has a price",
        f"lead {kommo_id} has tags (1)",
        f"lead {kommo_id} has notes (1)",
        f"contact {own} has filled fields: “{position.name}”",
        f"contact {own} has chats: what was said there stays",
    ):
        assert part in left()
    assert "segredo" not in left() + row.problem
    assert row.problem.startswith("left in Kommo: ")


@pytest.mark.parametrize("fault", ["400", "403", "404"])
@pytest.mark.parametrize("path", ["notes", "tasks", "talks"])
def test_a_look_at_the_rest_that_is_refused_undoes_nothing(account, maria, kommo, fault, path):
    where = f"/api/v4/leads/{maria.card.kommo_lead_id}/notes" if path == "notes" else f"/api/v4/{path}"
    kommo.fault(fault, path=where, method="GET")
    erase(maria)
    forget(account)
    assert contacts(kommo)[maria.card.kommo_contact_id]["phones"] == []
    assert "not everything could be looked through in Kommo" in left()
    assert f"the name of lead {maria.card.kommo_lead_id}" in reasons(maria)


def test_a_look_at_the_rest_that_fails_in_passing_is_taken_again_and_what_was_done_is_proven_once(
    account, maria, kommo, impatient
):
    kommo.fault("500", count=1, path="/api/v4/talks", method="GET")
    erase(maria)
    forget(account)
    assert Forgetting.objects.get().state == Forgetting.State.DUE
    rested(account)
    forget(account, minutes=2)
    own, kommo_id = maria.card.kommo_contact_id, maria.card.kommo_lead_id
    assert reasons(maria) == [f"name, phone and e-mail of contact {own}", f"the name of lead {kommo_id}"]
    assert Forgetting.objects.get().state == Forgetting.State.DONE


def test_one_that_keeps_failing_is_told(account, maria, kommo, impatient):
    kommo.fault("500", path="/api/v4/talks", method="GET")
    erase(maria)
    forget(account)
    rested(account)
    forget(account, minutes=20)
    assert "not everything could be looked through in Kommo" in left()


def test_the_calls_for_an_erasure_are_few_however_many_contacts_have_the_number(account, maria, kommo):
    for number in range(25):
        kommo.post("leads", {"name": f"Maria {number}", "phone": MARIA})
    before = len(kommo.journal())
    erase(maria)
    forget(account)
    assert len(kommo.journal()) - before < 50
    row = Forgetting.objects.get()
    assert row.state == Forgetting.State.LEFT
    assert len(row.problem) <= 500
    assert row.problem.endswith("; and more, which the timeline names")
    assert "has the person's number as well: erase it there" in left()


def test_the_cards_of_a_person_in_two_pipelines_are_one_matter(account, maria, kommo):
    """Whichever is first empties what the other one would look for."""
    lead = lead_in_another_pipeline(78, name="Maria B2B", phone=MARIA, phone_key=maria.phone_key)
    there = kommo.post("leads", {"name": "Maria B2B", "phone": MARIA})
    contact = there["contacts"][0]["id"]
    Card.objects.filter(lead=lead).delete()
    Card.objects.create(
        lead=lead, account=account, kommo_lead_id=there["id"], kommo_contact_id=contact, state=Card.State.IN_SYNC
    )

    erase(maria)
    forget(account)

    assert MARIA not in str(kommo.get("leads"))
    assert {row.state for row in Forgetting.objects.all()} == {Forgetting.State.DONE}
    for row in (maria, lead):
        assert [line for line in reasons(row) if line.endswith(f"contact {contact}")] == [
            f"name and phone of contact {contact}"
        ]


def test_tried_again_after_staff_have_cleared_the_rest_it_ends_well(account, maria, kommo):
    kommo_id, own = maria.card.kommo_lead_id, maria.card.kommo_contact_id
    kommo.post(f"leads/{kommo_id}/edit", {"price": 4500})
    erase(maria)
    forget(account)
    assert left() == f"lead {kommo_id} has a price"
    kommo.post(f"leads/{kommo_id}/edit", {"price": 0})

    erasing_in_kommo.try_again(Forgetting.objects.all(), now=timezone.now())
    forget(account)

    assert Forgetting.objects.get().state == Forgetting.State.DONE
    assert reasons(maria) == [
        f"name, phone and e-mail of contact {own}",
        f"the name of lead {kommo_id}",
        f"left in Kommo: lead {kommo_id} has a price",
    ]


def test_a_refusal_half_way_is_not_said_to_be_one_of_everything(account, maria, kommo):
    kommo.fault("400", path="/api/v4/leads", method="PATCH")
    erase(maria)
    forget(account)
    assert reasons(maria)[0] == f"name, phone and e-mail of contact {maria.card.kommo_contact_id}"
    assert Forgetting.objects.get().problem.startswith("not everything erased in Kommo: Kommo answers 400")


@pytest.mark.parametrize("language", ["pt-br", "es"])
def test_what_stays_is_told_in_the_readers_language(account, maria, bia, kommo, language):
    kommo_id, hers = maria.card.kommo_lead_id, bia.card.kommo_contact_id
    kommo.post(f"contacts/{maria.card.kommo_contact_id}/merge", {"into": hers})
    kommo.post(f"leads/{kommo_id}/edit", {"price": 4500, "_embedded": {"tags": [{"name": "a"}, {"name": "b"}]}})
    kommo.post(f"leads/{kommo_id}/note", {"text": "oi"})
    erase(maria)
    forget(account)
    with translation.override(language):
        pieces = in_words(left()).split("; ")
    assert len(pieces) == 7
    english = {"stays", "look", "has", "here", "the", "with"}
    assert not [piece for piece in pieces if english & set(piece.replace(":", "").split())]


# --- A spouse's contact beside the person's, on one card


@pytest.fixture
def raul(account, maria, kommo):
    """Staff link Raul's contact to Maria's card: by his number, too, her lead is found. Return the contact's id."""
    kommo_id, own = maria.card.kommo_lead_id, maria.card.kommo_contact_id
    kommo.post(f"leads/{kommo_id}/main_contact", {"name": "Raul", "phone": JOAO, "email": "raul@rel.example"})
    [contact_id] = contacts(kommo).keys() - {own}
    kommo.post(f"leads/{kommo_id}/main_contact", {"contact_id": own})
    hear(account, f"leads[update][0][id]={kommo_id}")
    assert FurtherAddress.objects.get(key=OF_JOAO).lead == maria
    return contact_id


def test_a_spouses_contact_on_the_persons_card_stays_whole(account, maria, raul, kommo):
    erase(maria)
    forget(account)

    assert (contacts(kommo)[raul]["name"], contacts(kommo)[raul]["phones"]) == ("Raul", [JOAO])
    assert emails_of(account, raul) == ["raul@rel.example"]
    assert contacts(kommo)[maria.card.kommo_contact_id]["name"] == FORGOTTEN
    assert not erasure.is_unwelcome(OF_JOAO)


@pytest.mark.parametrize("is_hers", [True, False])
def test_nobody_is_erased_with_their_spouse_by_a_number_on_one_card(account, maria, raul, is_hers):
    his = lead_in_another_pipeline(81, name="Raul", phone=JOAO, phone_key=OF_JOAO)

    erase(maria if is_hers else his)

    living = Lead.objects.get(erased_at=None)
    assert living == (his if is_hers else maria)
    assert living.name == ("Raul" if is_hers else "Maria Souza")
    rows = Event.objects.filter(kind=Event.Kind.ERASED, reason__startswith="not erased: ")
    assert rows.get().reason == f"not erased: lead {living.pk} is probably the same person"


def test_whoever_wrote_from_that_number_is_the_person_in_every_pipeline(account, maria, raul):
    his = lead_in_another_pipeline(81, name="Maria B2B", phone=JOAO, phone_key=OF_JOAO)
    Lead.objects.filter(pk=maria.pk).update(written_from=OF_JOAO)

    erase(his)

    assert not Lead.objects.filter(erased_at=None).exists()


@pytest.mark.parametrize("is_main", [True, False])
def test_a_lead_that_talks_is_not_erased_for_the_number_of_an_erased_person_on_its_card(
    account, maria, caio, kommo, is_main
):
    kommo_id, own = caio.card.kommo_lead_id, caio.card.kommo_contact_id
    erase(maria, elsewhere=False)
    kommo.post(f"leads/{kommo_id}/main_contact", {"contact_id": maria.card.kommo_contact_id})
    if not is_main:
        kommo.post(f"leads/{kommo_id}/main_contact", {"contact_id": own})
    hear(account, f"leads[update][0][id]={kommo_id}")

    caio.refresh_from_db()
    assert (caio.erased_at, caio.name, caio.phone) == (None, "Caio", None)
    assert not FurtherAddress.objects.filter(key=parse(MARIA, region="BR").key).exists()
