"""People take a lead over in Kommo and give it back, on real processes."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack, eventually, new_phone

QUALIFYING, QUALIFIED, HANDOFF = 89709463, 89709467, 90421387
IN_QUALIFICATION = {"conversation_stage": "qualificação"}
# The road is one webhook, one reading and one row; nothing of it waits for a poll.
EACH_WAY_SECONDS = 3.0


@pytest.fixture
def lead(stack: Stack):
    phone = new_phone()
    lead_id = stack.tell(phone, name="Maria", context={"conversation_stage": "estágio_1_apresentar_soluções"})["lead"][
        "id"
    ]
    return phone, lead_id, stack.synced(lead_id)["kommo_lead_id"]


def may_reply(stack: Stack, phone: str) -> bool:
    return bool(stack.call("GET", f"agent/may-reply/?phone={phone.removeprefix('+')}").json()["may_reply"])


def test_a_card_in_human_care_silences_the_agent_and_moving_it_on_gives_the_lead_back(stack: Stack, lead):
    phone, lead_id, kommo_id = lead
    assert may_reply(stack, phone)

    stack.kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})

    def silent() -> None:
        assert not may_reply(stack, phone)

    eventually(silent, within_seconds=EACH_WAY_SECONDS)
    assert stack.lead(lead_id)["stage"] == "human_handoff"
    since = stack.journal_end()
    # What is said meanwhile is kept, and moves nothing.
    stack.tell(phone, qualification_score=95, context={"conversation_stage": "qualificação"})
    assert stack.lead(lead_id)["qualification_score"] == 95

    stack.kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFYING})

    def speaking() -> None:
        assert may_reply(stack, phone)

    eventually(speaking, within_seconds=EACH_WAY_SECONDS)
    assert stack.lead(lead_id)["stage"] == "qualifying"
    moves = [card_write for card_write in stack.card_writes(since=since) if kommo_id in card_write["lead_ids"]]
    assert moves == []


def test_a_card_handed_back_goes_on_and_one_that_is_taken_back_stays_while_the_agent_repeats_itself(stack: Stack, lead):
    phone, lead_id, kommo_id = lead

    def stands(status_id: int) -> None:
        assert stack.kommo.get(f"leads/{kommo_id}")["status_id"] == status_id

    for status_id, stage in ((HANDOFF, "human_handoff"), (QUALIFYING, "qualifying")):
        stack.kommo.post(f"leads/{kommo_id}/move", {"status_id": status_id})

        def heard(stage: str = stage) -> None:
            assert stack.lead(lead_id)["stage"] == stage

        eventually(heard)

    assert stack.tell(phone, qualification_score=82, context=IN_QUALIFICATION)["decision"]["changed"]
    eventually(lambda: stands(QUALIFIED))

    stack.kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFYING})

    def taken_back() -> None:
        assert stack.lead(lead_id)["stage"] == "qualifying"

    eventually(taken_back)
    for score in (82, 90):
        assert not stack.tell(phone, qualification_score=score, context=IN_QUALIFICATION)["decision"]["changed"]
    stands(QUALIFYING)
    # What is new moves it on, forward.
    stack.tell(phone, qualification_score=20, context=IN_QUALIFICATION)

    def disqualified() -> None:
        assert stack.lead(lead_id)["stage"] == "disqualified"

    eventually(disqualified)


def test_the_seller_finds_a_note_and_a_task_on_the_card_once(stack: Stack, lead):
    _, _, kommo_id = lead
    stack.kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})

    def note_and_task_are_there() -> None:
        shown = stack.kommo.get(f"leads/{kommo_id}")
        assert (len(shown["notes"]), len(shown["tasks"])) == (1, 1)

    eventually(note_and_task_are_there)


def test_a_lead_that_staff_make_in_kommo_is_the_one_the_person_writes_to(stack: Stack):
    phone = new_phone()
    made = stack.kommo.post("leads", {"name": "Ana de Kommo", "phone": phone, "status_id": QUALIFYING})
    kommo_id = made.get("id") or made["lead"]["id"]

    def known() -> None:
        answer = stack.call("GET", f"leads/?phone={phone.removeprefix('+')}").json()
        assert [row["kommo_lead_id"] for row in answer["results"]] == [kommo_id]

    eventually(known)
    stack.tell(phone, name="Ana Lima")

    def renamed() -> None:
        assert stack.card(phone)["name"] == "Ana Lima"

    eventually(renamed)
    assert stack.card(phone)["id"] == kommo_id

    stack.tell(phone, qualification_score=82, context=IN_QUALIFICATION)

    def qualified() -> None:
        assert stack.card(phone)["status_id"] == QUALIFIED

    eventually(qualified)
