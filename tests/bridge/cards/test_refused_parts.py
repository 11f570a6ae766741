"""One refused part costs no other part of the card, says why it waits, and goes again when its cause changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.models import Account, Card, Catalogue
from tests.bridge.mapped import map_every_type, read_back, shown, type_in
from tests.conftest import amount, drain, drain_later, lead_of, record, rested

BILL, QUALIFIED, PIPELINE = 392804, 89709467, 11672895
GOOD = {"qualification_score": 90, "context": {"conversation_stage": "qualificação"}, "bill_value": 900}


@pytest.fixture
def fields(account, pipeline, kommo):
    return map_every_type(pipeline, kommo, account)


def carded(account, pipeline, **facts):
    record(pipeline, **facts)
    drain(account)
    return lead_of().card.kommo_lead_id


def drained(account):
    rested(Account.objects.get(pk=account.pk))
    drain(account)
    return lead_of().card


def look_again(account):
    account.refresh_from_db()
    return catalogue.look_again(account, client_for(account), now=timezone.now())


def require(kommo, *, field_id, stages):
    import requests

    body = {"required_statuses": [{"pipeline_id": PIPELINE, "status_id": stage} for stage in stages]}
    assert requests.patch(f"{kommo.url}/_sandbox/fields/{field_id}", json=body, timeout=10).ok


@pytest.mark.parametrize("language", ["en", "ru", "pt"])
def test_a_text_that_is_too_long_costs_nothing_else(account, pipeline, kommo, fields, language):
    kommo.post("options", {"text_limit": 20, "language": language})
    kommo_id = carded(account, pipeline, name="Maria", custom={"text": "x" * 60}, **GOOD)
    lead, card = kommo.lead(kommo_id), lead_of().card

    assert (lead["name"], lead["status_id"]) == ("Maria", QUALIFIED)
    assert amount(lead["fields"]["Valor Conta Energia"]) == "900"
    assert (card.state, "Um text" in card.waiting_reason) == (Card.State.BLOCKED, True)

    # What comes later arrives, and the refused part is not sent again as it is.
    record(pipeline, name="Maria Souza")
    drain(account)
    sent = len(kommo.writes())
    assert kommo.lead(kommo_id)["name"] == "Maria Souza"
    drained(account)
    assert len(kommo.writes()) == sent
    # A fact that fits is another one.
    record(pipeline, custom={"text": "curto"})
    drain(account)
    assert shown(kommo, kommo_id, fields["text"]) == [{"value": "curto"}]
    assert lead_of().card.state == Card.State.IN_SYNC


def test_a_limit_that_is_lifted_is_found_out_within_a_day(account, pipeline, kommo, fields):
    kommo.post("options", {"text_limit": 20})
    kommo_id = carded(account, pipeline, custom={"text": "x" * 60})
    kommo.post("options", {"text_limit": 256})
    assert look_again(account) == 0
    Catalogue.objects.update(fetched_at=timezone.now() - timedelta(days=1))
    Card.objects.update(refused_parts={
        part: {**entry, "on": "2026-01-01"} for part, entry in lead_of().card.refused_parts.items()
    })  # fmt: skip
    assert look_again(account) == 1
    drained(account)
    assert shown(kommo, kommo_id, fields["text"]) == [{"value": "x" * 60}]


def test_a_stage_that_asks_for_a_field_waits_alone_and_moves_once_staff_fill_it_in(account, pipeline, kommo, fields):
    kommo.post("options", {"enforce_required_statuses": True})
    require(kommo, field_id=fields["monetary"], stages=[QUALIFIED])
    kommo_id = carded(account, pipeline, name="Maria")
    record(pipeline, name="Maria Souza", **GOOD)
    drain(account)
    lead, card = kommo.lead(kommo_id), lead_of().card
    assert lead["name"] == "Maria Souza" and lead["status_id"] != QUALIFIED
    assert (card.state, "stage" in card.waiting_reason) == (Card.State.BLOCKED, True)

    type_in(kommo, kommo_id, fields["monetary"], {"value": "10"})
    read_back(account)
    drained(account)
    assert kommo.lead(kommo_id)["status_id"] == QUALIFIED
    assert lead_of().card.state == Card.State.IN_SYNC


def test_a_stage_that_asks_for_a_field_moves_when_the_field_is_no_longer_asked_for(account, pipeline, kommo, fields):
    kommo.post("options", {"enforce_required_statuses": True})
    kommo_id = carded(account, pipeline, name="Maria")
    require(kommo, field_id=fields["monetary"], stages=[QUALIFIED])
    record(pipeline, **GOOD)
    drain(account)
    assert kommo.lead(kommo_id)["status_id"] != QUALIFIED
    look_again(account)
    require(kommo, field_id=fields["monetary"], stages=[])
    look_again(account)
    drained(account)
    assert kommo.lead(kommo_id)["status_id"] == QUALIFIED


def test_a_new_card_with_a_field_that_is_refused_gets_there_without_it(account, pipeline, kommo, fields):
    kommo.post("options", {"text_limit": 20})
    record(pipeline, name="Maria", custom={"text": "x" * 60, "numeric": 5})
    record(pipeline, "+5581988887777", name="João", custom={"text": "curto"})
    drain(account)
    assert sorted(lead["name"] for lead in kommo.leads()) == ["João", "Maria"]
    assert lead_of().card.state == Card.State.BLOCKED
    assert lead_of("+5581988887777").card.state == Card.State.IN_SYNC


def test_a_phone_kind_the_account_has_not_is_left_out(account, pipeline, kommo):
    # Our copy of the account still has it.
    kommo.post("options", {"missing_phone_kinds": "MOB,WORK,WORKDD,OTHER"})
    kommo.post("options", {"missing_phone_kinds": "MOB"})
    kommo_id = carded(account, pipeline, name="Maria")
    assert kommo.lead(kommo_id)["contacts"][0]["phones"] == ["+5581999990000"]
    assert lead_of().card.state == Card.State.IN_SYNC


def test_losing_bridge_id_costs_nothing_but_its_proof(account, pipeline, kommo):
    import requests

    requests.delete(f"{kommo.url}/_sandbox/fields/{account.bridge_id_field_id}", timeout=10)
    kommo_id = carded(account, pipeline, name="Maria")
    assert kommo.lead(kommo_id)["name"] == "Maria"
    assert lead_of().card.state == Card.State.IN_SYNC
    # A create whose answer is lost is still looked up before it is repeated: by phone.
    kommo.fault("drop_after", count=1, path="/api/v4/leads/complex", method="POST")
    record(pipeline, "+5581988887777", name="João")
    drain(account)
    drained(account)
    drained(account)
    assert [lead["name"] for lead in kommo.leads()].count("João") == 1
    from bridge.doctor import examine

    findings = [finding for finding in examine(timezone.now(), ask_kommo=False) if "Bridge ID" in finding.message]
    assert findings and findings[0].remedy


LONG_NAME = "Maria Aparecida da Conceição Souza"


class TestANameThatIsRefused:
    @pytest.fixture(autouse=True)
    def _short_names_only(self, kommo, account):
        kommo.post("options", {"name_limit": 20})

    def test_costs_a_new_card_nothing_else(self, account, pipeline, kommo):
        kommo_id = carded(account, pipeline, name=LONG_NAME, **GOOD)
        lead, card = kommo.lead(kommo_id), lead_of().card
        assert lead["status_id"] == QUALIFIED
        assert amount(lead["fields"]["Valor Conta Energia"]) == "900"
        assert lead["contacts"][0]["phones"] == ["+5581999990000"]
        assert (card.state, "“name”" in card.waiting_reason) == (Card.State.BLOCKED, True)

        # The name Kommo gave instead is nobody's, and the one that was refused is not sent again as it is.
        read_back(account)
        record(pipeline, qualification_score=95)
        drain(account)
        sent = len(kommo.writes())
        drained(account)
        assert len(kommo.writes()) == sent
        assert lead_of().name == LONG_NAME
        assert not lead_of().events.filter(kind="staff_edit").exists()

        record(pipeline, name="Ana Lima")
        drain(account)
        assert kommo.lead(kommo_id)["name"] == lead_of().name == "Ana Lima"
        assert lead_of().card.state == Card.State.IN_SYNC

    def test_leaves_the_name_the_card_has(self, account, pipeline, kommo):
        kommo_id = carded(account, pipeline, name="Maria")
        record(pipeline, name=LONG_NAME, **GOOD)
        drain(account)
        assert (kommo.lead(kommo_id)["name"], kommo.lead(kommo_id)["status_id"]) == ("Maria", QUALIFIED)
        assert lead_of().card.state == Card.State.BLOCKED

    def test_is_forgotten_once_a_person_has_named_the_card(self, account, pipeline, kommo):
        kommo_id = carded(account, pipeline, name=LONG_NAME)
        kommo.post(f"leads/{kommo_id}/edit", {"name": "Dona Maria, do sobrado azul"})
        read_back(account)
        drained(account)
        assert kommo.lead(kommo_id)["name"] == lead_of().name == "Dona Maria, do sobrado azul"
        assert lead_of().card.state == Card.State.IN_SYNC

    def test_costs_no_other_card_of_its_batch_anything(self, account, pipeline, kommo):
        record(pipeline, name=LONG_NAME)
        record(pipeline, "+5581988887777", name="João")
        drain(account)
        # An answer that takes a batch in part names no culprit: whom it leaves out is looked up for a while first.
        drain_later(account, minutes=10)
        assert lead_of().card.kommo_lead_id
        assert lead_of("+5581988887777").card.state == Card.State.IN_SYNC


@pytest.mark.parametrize("path", ["name", "_embedded.contacts.0.name"])
# A choice that is not there may be an old copy of the account: that one is sent once more first.
@pytest.mark.parametrize(("code", "times"), [("InvalidType", 1), ("NotSupportedChoice", 2), ("NotBlank", 1)])
def test_a_name_is_left_out_whatever_it_is_refused_for(account, pipeline, kommo, path, code, times):
    kommo.fault("400_named", item="Maria", path_named=path, code=code, count=times)
    kommo_id = carded(account, pipeline, name="Maria", **GOOD)
    assert kommo.lead(kommo_id)["status_id"] == QUALIFIED
    assert lead_of().card.state == Card.State.BLOCKED


def test_an_archived_pipeline_blocks_new_cards_until_it_is_back(account, pipeline, kommo):
    kommo.post("options", {"archived_refuses_writes": True})
    kommo.post(f"pipelines/{PIPELINE}/archive", {"archived": True})
    record(pipeline, name="Maria")
    drain(account)
    assert lead_of().card.state == Card.State.BLOCKED
    look_again(account)
    kommo.post(f"pipelines/{PIPELINE}/archive", {"archived": False})
    look_again(account)
    card = drained(account)
    assert (card.state, len(kommo.leads())) == (Card.State.IN_SYNC, 1)


def test_a_refused_tag_leaves_the_others(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    kommo.fault("400_named", item="objecao_ruim", path_named="tags_to_add.1.name", code="InvalidType")
    record(pipeline, context={"objections": ["boa", "ruim"]})
    drain(account)
    assert kommo.lead(kommo_id)["tags"] == ["objecao_boa"]
    assert lead_of().card.state == Card.State.BLOCKED


def test_filters_that_are_ignored_do_not_walk_through_the_account(account, pipeline, kommo):
    kommo.post("populate", {"leads": 600})
    kommo.post("options", {"ignored_filters": "custom_fields_values"})
    kommo.fault("drop_after", count=1, path="/api/v4/leads/complex", method="POST")
    record(pipeline, name="Maria")
    drain(account)
    before = len(kommo.journal())
    for _ in range(2):
        drained(account)
    looks = [call for call in kommo.journal()[before:] if call["method"] == "GET" and call["path"] == "/api/v4/leads"]
    assert len(looks) <= 3
    assert [lead["name"] for lead in kommo.leads()].count("Maria") == 1
    account.refresh_from_db()
    assert account.traits["value_filter"] == "ignored"
