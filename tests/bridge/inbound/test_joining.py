"""Joining a lead that is in Kommo is adopting it, by every road; an odd lead costs no other; a person has one card."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts.connection import client_for
from bridge.api import representation
from bridge.delivery import read_before_write
from bridge.inbound import leads_begun_in_kommo, people_on_cards
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card
from leads.models import Event, FieldMapping, FurtherAddress, Lead, Pipeline, Stage, TagRule
from leads.phone import parse
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import MARIA, amount, drain, lead_of, record, rested
from tests.heard import HANDOFF, NEW, QUALIFIED, carded, hear, hook
from tests.lived_in import AFTER_SALES, BILL, INSTALLING, LINK, WHATSAPP, value

PLACE = 11672895
agent = agent_with_a_key
ANA = "+5581977770000"


def may_reply(phone: str) -> bool:
    return bool(representation.may_reply(parse(phone, region="BR").key, None, timezone.now())["may_reply"])


def bill(lead: dict) -> str:
    [values] = [field["values"] for field in lead["custom_fields_values"] if field["field_id"] == BILL]
    return amount(values[0]["value"])


def made_by_staff(kommo, **body) -> int:
    return kommo.post("leads", {"name": "Maria VIP", "phone": MARIA, **body})["id"]


def stands_as_staff_left_it(kommo, kommo_id: int) -> None:
    now = kommo.lead(kommo_id)
    assert (now["name"], now["status_id"]) == ("Maria VIP", HANDOFF)
    assert not may_reply(MARIA)


# --- Joining


def test_a_lead_staff_made_in_the_place_of_a_deleted_one_stands_as_they_made_it(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria", bill_value=500)
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete"))
    other = made_by_staff(kommo, status_id=HANDOFF)
    hear(account, hook(other, "add", pipeline_id=PLACE))
    drain(account)
    stands_as_staff_left_it(kommo, other)
    # What theirs lacks, and the conversation has told, is there.
    assert bill(kommo.lead(other)) == "500"


def test_what_ours_was_merged_into_stands_as_it_is(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    field = {"field_id": account.bridge_id_field_id, "values": [{"value": str(lead_of().pk)}]}
    other = kommo.post("leads", {"name": "Maria VIP", "status_id": HANDOFF, "custom_fields_values": [field]})["id"]
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete"), hook(other, "update", pipeline_id=PLACE))
    drain(account)
    assert lead_of().card.kommo_lead_id == other
    stands_as_staff_left_it(kommo, other)


def test_what_lives_on_in_another_pipeline_is_told_and_not_touched(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    field = {"field_id": account.bridge_id_field_id, "values": [{"value": str(lead_of().pk)}]}
    place = {"pipeline_id": AFTER_SALES, "status_id": INSTALLING}
    other = kommo.post("leads", {"name": "Instalação", "custom_fields_values": [field], **place})["id"]
    before = kommo.lead(other)
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete"))
    record(pipeline, name="Maria Souza", bill_value=900)
    drain(rested(account))
    assert kommo.lead(other) == before
    assert f"lead {other}" in lead_of().events.get(kind=Event.Kind.STAFF_TOLD).reason


def test_who_was_in_kommo_before_we_heard_of_them_keeps_place_name_and_values(account, pipeline, kommo):
    other = made_by_staff(kommo, status_id=HANDOFF, custom_fields_values=[value(BILL, "777")])
    record(pipeline, name="Maria", bill_value=500)
    drain(account)
    stands_as_staff_left_it(kommo, other)
    assert bill(kommo.lead(other)) == "777"
    assert len(kommo.leads()) == 1
    # What the conversation says anew is newer.
    record(pipeline, bill_value=600)
    drain(account)
    assert bill(kommo.lead(other)) == "600"


def test_a_lead_that_is_made_in_a_stage_of_people_pauses_the_agent_and_tells_no_seller(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Ana", "phone": ANA, "status_id": HANDOFF})["id"]
    hear(account, hook(made, "add", pipeline_id=PLACE))
    drain(account) if Card.objects.filter(state__in=Card.PENDING).exists() else None
    assert not may_reply(ANA)
    assert (kommo.lead(made)["notes"], kommo.lead(made)["tasks"]) == ([], [])
    kommo.post(f"leads/{made}/move", {"status_id": NEW})
    hear(account, hook(made, "update"))
    assert may_reply(ANA)


def test_a_rule_that_makes_a_stage_one_of_people_holds_for_who_stands_there(account, pipeline, kommo):
    carded(account, pipeline, name="Maria")
    stage = Stage.objects.get(key="new")
    stage.pauses_agent = True
    stage.save()
    assert not may_reply(MARIA)
    stage.pauses_agent = False
    stage.save()
    assert may_reply(MARIA)


# --- What is found is wanted


def test_a_field_that_is_mapped_later_keeps_what_stands_there(account, pipeline, kommo):
    made = kommo.post(
        "leads", {"name": "Ana", "phone": ANA, "custom_fields_values": [value(LINK, "https://of.staff/1")]}
    )["id"]
    hear(account, hook(made, "add", pipeline_id=PLACE))
    before = kommo.lead(made)
    for attribute, field_id in (("custom.site", LINK), ("meeting_link", None)):
        FieldMapping.objects.filter(pipeline=pipeline, attribute="meeting_link").delete()
        FieldMapping.objects.create(
            pipeline=pipeline, attribute=attribute, kommo_field="x", type="url", kommo_field_id=field_id
        )
    TagRule.objects.create(pipeline=pipeline, attribute="custom.site", template="site_{value}", position=9)
    tasks.poll(account.pk)
    tasks.poll(account.pk, full=True)
    assert not Card.objects.filter(state__in=Card.PENDING).exists()
    record(pipeline, ANA, bill_value=None, custom={"pets": 1})
    drain(rested(account))
    assert kommo.lead(made) == before
    assert Lead.objects.get(phone=ANA).custom == {"site": "https://of.staff/1", "pets": 1}


def test_only_what_the_conversation_took_back_is_emptied(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    kommo.post(f"leads/{kommo_id}/edit", {"tags_to_add": [{"name": "fluxo_vip"}]})
    hear(account, hook(kommo_id, "update"))
    record(pipeline, bill_value=None, chosen_flow=None)
    drain(account)
    now = kommo.lead(kommo_id)
    assert BILL not in {field["field_id"] for field in now["custom_fields_values"]}
    assert [tag["name"] if isinstance(tag, dict) else tag for tag in now["tags"]] == ["fluxo_vip"]


# --- One odd lead costs no other


@pytest.fixture
def odd_and_taken_over(account, pipeline, kommo):
    """Two cards: one holds an absurd number, the other was just taken over; no webhook told of either."""
    odd = carded(account, pipeline, name="Maria", bill_value=500)
    record(pipeline, ANA, name="Ana")
    drain(account)
    other = lead_of(ANA).card.kommo_lead_id
    kommo.post(f"leads/{odd}/edit", {"custom_fields_values": [value(BILL, "5581999990000")]})
    kommo.post(f"leads/{other}/move", {"status_id": HANDOFF})
    return odd, other


def test_an_absurd_number_stands_in_kommo_and_stops_no_poll(account, pipeline, kommo, odd_and_taken_over):
    odd, _ = odd_and_taken_over
    tasks.poll(account.pk)
    assert not may_reply(ANA)
    record(pipeline, name="Maria Souza")
    drain(account)
    assert bill(kommo.lead(odd)) == "5581999990000"
    assert lead_of().bill_value == 500


@pytest.mark.parametrize("road", ["poll", "webhook", "full", "before a move"])
def test_a_lead_that_cannot_be_adopted_is_kept_with_its_error_and_costs_no_other(
    road, account, pipeline, kommo, odd_and_taken_over, monkeypatch
):
    from bridge.inbound import adoption

    odd, other = odd_and_taken_over
    locked = adoption.locked

    def fails_for_one(card_id):
        card = locked(card_id)
        if card.kommo_lead_id == odd:
            raise RuntimeError("this lead is odd")
        return card

    monkeypatch.setattr(adoption, "locked", fails_for_one)
    if road == "webhook":
        hear(account, hook(odd, "update"), hook(other, "update"))
    elif road == "before a move":
        read_before_write.read_again(client_for(account), None, list(Card.objects.all()))
    else:
        tasks.poll(account.pk, full=road == "full")
    assert not may_reply(ANA)
    assert "this lead is odd" in lead_of().card.last_error


def test_a_text_that_is_no_id_of_ours_is_nobodys(account, pipeline, kommo):
    field = {"field_id": account.bridge_id_field_id, "values": [{"value": "x" * 36}]}
    kommo.post("leads", {"name": "Ana", "phone": ANA, "custom_fields_values": [field]})
    tasks.poll(account.pk)
    assert Lead.objects.filter(phone=ANA).exists()


def test_rows_that_cannot_be_read_cost_no_page(account, pipeline, kommo):
    carded(account, pipeline, name="Maria")
    kommo.post("options", {"odd_rows": True})
    kommo.post(f"leads/{lead_of().card.kommo_lead_id}/move", {"status_id": HANDOFF})
    tasks.poll(account.pk)
    assert not may_reply(MARIA)
    assert Account.objects.get().polled_at > timezone.now() - timedelta(minutes=1)


# --- One person, one card


def test_the_person_is_known_by_every_number_of_every_contact(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Ana", "phones": ["+558133334444", ANA], "status_id": HANDOFF})["id"]
    hear(account, hook(made, "add", pipeline_id=PLACE))
    kommo.post(f"leads/{made}/main_contact", {"name": "Marido", "phone": "+5581966665555"})
    hear(account, hook(made, "update"))
    for phone in ("+558133334444", ANA, "+5581966665555"):
        assert not may_reply(phone)
        record(pipeline, phone, name="Ana Souza")
    drain(rested(account))
    assert Lead.objects.count() == len(kommo.leads()) == 1


def test_a_number_that_staff_correct_or_add_is_the_persons(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Ana", "phone": "+5581911112222"})["id"]
    hear(account, hook(made, "add", pipeline_id=PLACE))
    contact = Card.objects.get().kommo_contact_id
    kommo.post(
        f"contacts/{contact}/edit", {"custom_fields_values": [{"field_code": "PHONE", "values": [{"value": ANA}]}]}
    )
    hear(account, f"contacts[update][0][id]={contact}")
    record(pipeline, ANA, name="Ana")
    drain(rested(account))
    assert len(kommo.leads()) == 1
    assert Lead.objects.get().phone == ANA


def test_a_phone_in_a_field_of_the_lead_is_the_persons(account, pipeline, kommo):
    Pipeline.objects.update(phone_field="whatsapp")
    Pipeline.objects.get().rules_changed()
    made = kommo.post("leads", {"name": "Ana", "custom_fields_values": [value(WHATSAPP, "81 97777-0000")]})["id"]
    record(pipeline, ANA, name="Ana")
    drain(account)
    assert lead_of(ANA).card.kommo_lead_id == made
    assert len(kommo.leads()) == 1


def test_the_card_that_the_agents_own_tables_know_is_linked(account, pipeline, kommo, agent):
    mine = kommo.post("leads", {"name": "Ana do site", "status_id": QUALIFIED})["id"]
    hear(account, hook(mine, "add", pipeline_id=PLACE))
    unknown = kommo.post("leads", {"name": "Bia do site"})["id"]
    assert agent.says(ANA, name="Ana", kommo_lead_id=mine).json()["lead"]["kommo_lead_id"] == mine
    assert agent.says("+5581966660000", kommo_lead_id=unknown).status_code == 201
    assert agent.says("+5581955550000", kommo_lead_id=99).status_code == 201
    drain(account)
    assert lead_of(ANA).card.kommo_lead_id == mine
    assert lead_of("+5581966660000").card.kommo_lead_id == unknown
    assert len(kommo.leads()) == 3


def test_a_report_is_told_why_the_card_it_names_is_not_taken(account, pipeline, kommo, agent):
    carded(account, pipeline, name="Maria")
    marias = lead_of().card.kommo_lead_id
    theirs = agent.says(ANA, name="Ana", kommo_lead_id=marias).json()
    assert theirs["ignored"] == [
        {"field": "lead.kommo_lead_id", "reason": f"lead {marias} is the card of another lead here"}
    ]
    assert lead_of(ANA).card.named_lead_id is None
    [other] = agent.says(MARIA, kommo_lead_id=marias + 999).json()["ignored"]
    assert f"the card is lead {marias}" in other["reason"]
    assert agent.says(MARIA, kommo_lead_id=marias).json()["ignored"] == []
    drain(account)
    assert len({Card.objects.get(lead=lead_of(phone)).kommo_lead_id for phone in (ANA, MARIA)}) == 2


@pytest.mark.parametrize("there", ["never", "deleted"])
def test_a_card_kommo_does_not_have_is_told_asked_for_once_and_keeps_nobody_from_theirs(
    account, pipeline, kommo, agent, there
):
    absent = 4711
    if there == "deleted":
        absent = kommo.post("leads", {"name": "Outra"})["id"]
        kommo.post(f"leads/{absent}/delete")
    assert agent.says(ANA, name="Ana", kommo_lead_id=absent).json()["ignored"] == []
    before = len(kommo.journal())
    drain(account)
    card = lead_of(ANA).card
    assert card.kommo_lead_id not in (None, absent)
    assert card.named_lead_id is None
    [events] = lead_of(ANA).events.filter(data__has_key=people_on_cards.ABSENT)
    assert f"named lead {absent}, which Kommo does not have" in events.reason
    asked = [call for call in kommo.journal()[before:] if str(absent) in str(call["query"])]
    assert len(asked) == 1


def test_whoever_names_it_again_before_there_is_a_card_is_told_at_once(account, pipeline, kommo, agent):
    kommo.post("leads", {"name": "Ana", "phone": ANA, "incoming": True})
    agent.says(ANA, name="Ana", kommo_lead_id=4711)
    drain(account)
    assert lead_of(ANA).card.kommo_lead_id is None
    [again] = agent.says(ANA, kommo_lead_id=4711).json()["ignored"]
    assert again == {"field": "lead.kommo_lead_id", "reason": "Kommo has no lead 4711, or does not show it"}
    assert lead_of(ANA).card.named_lead_id is None


def test_an_import_knows_no_number_twice(pipeline):
    lead = record(pipeline, ANA).lead
    FurtherAddress.objects.create(
        lead=lead, pipeline=pipeline, value=MARIA, key=MARIA, seen_in="1", first_seen_at=timezone.now()
    )
    assert record(pipeline, MARIA, name="Ana").lead == lead
    assert Lead.objects.count() == 1


# --- Several leads of one person

LOST = 143


def compare(account) -> None:
    Account.objects.update(compared_at=None)
    tasks.poll(account.pk, True)


def found(kommo, **body) -> int:
    return kommo.post("leads", {"name": "Ana", "phone": ANA, **body})["id"]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    ("theirs", "other", "is_silent"),
    [
        ({"status_id": HANDOFF}, {"status_id": NEW}, True),
        ({"status_id": HANDOFF}, {"status_id": LOST}, True),
        ({"status_id": QUALIFIED, "price": 900}, {"status_id": LOST, "price": 100}, False),
    ],
    ids=["human care before open", "human care before lost", "open before lost"],
)
def test_whoever_has_several_leads_is_known_by_the_one_that_matters_now(
    account, pipeline, kommo, first, theirs, other, is_silent
):
    old = {"custom_fields_values": [value(BILL, 777)], "tags": ["fluxo_usina"], **other}
    made = [found(kommo, **facts) for facts in ((theirs, old) if first == 0 else (old, theirs))]
    before = kommo.leads()
    compare(account)
    drain(rested(account))
    assert kommo.leads() == before
    [card] = Card.objects.all()
    assert card.kommo_lead_id == made[first]
    assert may_reply(ANA) is not is_silent

    # What the other deal shows is not told of this one.
    record(pipeline, ANA, name="Ana Souza")
    drain(rested(account))
    assert kommo.lead(made[1 - first]) in before
    assert BILL not in {field["field_id"] for field in kommo.lead(made[first])["custom_fields_values"] or ()}
    assert len(kommo.leads()) == 2


def test_a_second_lead_that_comes_into_human_care_silences_the_agent_who_has_not_spoken_yet(account, pipeline, kommo):
    found(kommo, status_id=NEW)
    second = found(kommo, status_id=QUALIFIED)
    compare(account)
    assert may_reply(ANA)
    kommo.post(f"leads/{second}/move", {"status_id": HANDOFF})
    hear(account, hook(second, "status"))
    assert not may_reply(ANA)


def test_a_card_by_which_somebody_was_spoken_with_stays_theirs(account, pipeline, kommo):
    record(pipeline, ANA, name="Ana")
    drain(account)
    card = lead_of(ANA).card
    second = found(kommo, status_id=HANDOFF)
    hear(account, hook(second, "add", pipeline_id=PLACE))
    assert Card.objects.get().kommo_lead_id == card.kommo_lead_id


@pytest.mark.parametrize("made_at", [1_600_000_000, 0, 99_999_999_999_999, -5])
def test_a_lead_is_as_old_as_its_card_and_never_of_tomorrow(account, pipeline, kommo, made_at):
    reply = LeadReply.read(kommo.lead(found(kommo)) | {"created_at": made_at})
    before = timezone.now()
    leads_begun_in_kommo.take_in(account, [reply], client_for(account), None, now=before)
    expected = datetime.fromtimestamp(made_at, UTC) if made_at == 1_600_000_000 else before
    assert Lead.objects.get().created_at == expected
