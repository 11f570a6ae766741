"""From an interaction over HTTP to the card in Kommo, on real processes."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack, eventually, new_phone

NEW, QUALIFYING, QUALIFIED, MEETING = 89709459, 89709463, 89709467, 89709595
MEETING_BOOKED = {"id": "evt_1", "status": "scheduled", "starts_at": "2030-03-12T14:00:00-03:00"}
IN_QUALIFICATION = {"conversation_stage": "qualificação"}


def test_the_first_message_creates_the_card_with_contact_and_phone(stack: Stack):
    phone = new_phone()

    answer = stack.tell(phone, message={"id": f"first-{phone}", "direction": "inbound", "text": "Oi"})
    lead = stack.synced(answer["lead"]["id"])

    card = stack.card(phone)
    assert (card["status_id"], card["pipeline_name"]) == (NEW, "Funil de Vendas")
    assert card["id"] == lead["kommo_lead_id"]


def test_a_name_learned_later_reaches_card_and_contact(stack: Stack):
    phone = new_phone()
    lead_id = stack.tell(phone)["lead"]["id"]
    stack.synced(lead_id)

    stack.tell(phone, name="Maria Souza")

    def both_named() -> None:
        card = stack.card(phone)
        assert (card["name"], card["contacts"][0]["name"]) == ("Maria Souza", "Maria Souza")

    eventually(both_named)


@pytest.mark.parametrize("conversation_stage", ["estágio_1_apresentar_soluções", "ESTAGIO 2 aguardando_escolha"])
def test_presented_solutions_move_the_card_to_qualification(stack: Stack, conversation_stage: str):
    phone = new_phone()

    answer = stack.tell(phone, context={"conversation_stage": conversation_stage})
    stack.synced(answer["lead"]["id"])

    assert answer["decision"]["stage"] == "qualifying"
    assert stack.card(phone)["status_id"] == QUALIFYING


def test_met_criteria_move_the_card_to_qualified(stack: Stack):
    phone = new_phone()
    stack.tell(phone, context={"conversation_stage": "estágio_1_apresentar_soluções"})

    answer = stack.tell(phone, bill_value="R$ 4.500,00", qualification_score=82, context=IN_QUALIFICATION)
    stack.synced(answer["lead"]["id"])

    assert "82" in answer["decision"]["reason"]
    assert stack.card(phone)["status_id"] == QUALIFIED


@pytest.mark.parametrize(
    "facts", [{"qualification_score": 35}, {"qualification_score": 90, "bill_value": 180}], ids=["score", "bill"]
)
def test_a_failed_criterion_moves_the_card_to_disqualified(stack: Stack, facts: dict[str, int]):
    phone = new_phone()

    answer = stack.tell(phone, context=IN_QUALIFICATION, **facts)
    stack.synced(answer["lead"]["id"])

    assert answer["decision"]["stage"] == "disqualified"
    assert stack.card(phone)["status_name"] == "DESQUALIFICADO"


def test_a_booked_meeting_moves_the_card_and_talk_does_not_take_it_back(stack: Stack):
    phone = new_phone()
    answer = stack.tell(phone, context={"meeting": MEETING_BOOKED})
    stack.synced(answer["lead"]["id"])
    assert stack.card(phone)["status_id"] == MEETING

    stack.tell(phone, context=IN_QUALIFICATION, qualification_score=90, name="Hugo")
    stack.synced(answer["lead"]["id"])

    card = stack.card(phone)
    assert (card["status_id"], card["name"]) == (MEETING, "Hugo")


def test_talk_of_a_meeting_books_none(stack: Stack):
    phone = new_phone()

    answer = stack.tell(phone, context={"conversation_stage": "agendamento"})
    stack.synced(answer["lead"]["id"])

    assert stack.card(phone)["status_id"] == NEW


def test_one_interaction_that_changes_everything_is_one_write_and_its_repetition_none(stack: Stack):
    phone = new_phone()
    lead_id = stack.tell(phone)["lead"]["id"]
    kommo_id = stack.synced(lead_id)["kommo_lead_id"]
    since = stack.journal_end()
    everything = {
        "name": "Ana Lima",
        "bill_value": 4500,
        "chosen_flow": "Instalação Usina Própria",
        "qualification_score": 82,
        "context": IN_QUALIFICATION | {"objections_raised": ["preço"]},
    }

    stack.tell(phone, **everything)
    stack.synced(lead_id)
    stack.tell(phone, **everything)
    # What was reported after it has arrived: had the repetition caused a write, it would have gone before.
    stack.synced(stack.tell(new_phone())["lead"]["id"])
    stack.synced(lead_id)

    writes = [card_write for card_write in stack.card_writes(since=since) if kommo_id in card_write["lead_ids"]]
    assert [write["method"] for write in writes] == ["PATCH"]
    card = stack.card(phone)
    assert (card["name"], card["status_id"]) == ("Ana Lima", QUALIFIED)
    # Fields by the account's own options, tags by the pipeline's rules.
    shown = {name: value for name, value in card["fields"].items() if name != "Bridge ID"}
    assert shown == {"Valor Conta Energia": "4500", "Solução Solar": "Usina Própria"}
    assert set(card["tags"]) == {"fluxo_instalação_usina_própria", "objecao_preço"}
    # Once an edit made now has been heard of, so have our own echoes, and they were taken for nobody's edit.
    stack.kommo.post(f"leads/{kommo_id}/edit", {"name": "Ana Lima Reis"})

    def heard() -> None:
        assert stack.lead(lead_id)["name"] == "Ana Lima Reis"

    eventually(heard)
    edits = [row["reason"] for row in stack.timeline(lead_id) if row["actor"] in ("staff", "kommo")]
    assert edits == ["changed in Kommo: name"]


def test_a_changed_flow_replaces_its_tag_and_leaves_those_of_staff(stack: Stack):
    phone = new_phone()
    lead_id = stack.tell(phone, chosen_flow="Aluguel de Lote")["lead"]["id"]
    kommo_id = stack.synced(lead_id)["kommo_lead_id"]
    stack.kommo.post(f"leads/{kommo_id}/edit", {"tags_to_add": [{"name": "VIP"}]})

    stack.tell(phone, chosen_flow="Compra com Desconto")
    stack.synced(lead_id)

    assert set(stack.card(phone)["tags"]) == {"VIP", "fluxo_compra_com_desconto"}


def test_a_lead_that_kommo_does_not_take_yet_says_so_and_arrives_with_all_its_data(stack: Stack):
    phone = new_phone()
    stack.kommo.fault("500", count=100, path="/api/v4/leads/complex")
    try:
        lead_id = stack.tell(phone, name="Rita")["lead"]["id"]

        def warned() -> None:
            lead = stack.lead(lead_id)
            assert lead["kommo_lead_id"] is None
            assert lead["sync"] == "retrying"
            assert lead["waiting"]["reason"]

        eventually(warned)
        stack.tell(phone, bill_value=900)
    finally:
        stack.clear_faults()

    stack.synced(lead_id)
    card = stack.card(phone)
    assert (card["name"], card["fields"]["Valor Conta Energia"]) == ("Rita", "900")


def test_a_burst_of_a_hundred_new_leads_takes_two_creates_and_no_update(stack: Stack):
    stack.synced(stack.tell(new_phone())["lead"]["id"])
    since = stack.journal_end()
    phones = [new_phone() for _ in range(100)]

    answer = stack.call("POST", "interactions/batch/", [{"lead": {"phone": phone, "name": "Lead"}} for phone in phones])

    assert [item["status"] for item in answer.json()] == [201] * 100
    for item in answer.json():
        stack.synced(item["body"]["lead"]["id"])
    assert [card_write["path"] for card_write in stack.card_writes(since=since)] == ["/api/v4/leads/complex"] * 2
