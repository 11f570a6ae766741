"""What of a report is not taken up is said in the answer; an answer of the lead is never lost for a fact beside it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Event, Lead, Meeting
from tests.leads.model_fills import NO_NAMES, NOTHING

WROTE = {"id": "m1", "direction": "inbound", "text": "Sim, quero"}


def ignored(answer):
    return {entry["field"]: entry["reason"] for entry in answer.json()["ignored"]}


@pytest.mark.parametrize("fact", ["name", "email", "chosen_flow", "bill_value"])
@pytest.mark.parametrize("word", ["null", "N/A", "não informado", "-", "undefined"])
def test_a_word_for_nothing_clears_nothing_and_is_told(agent, fact, word):
    agent.says(name="Maria Souza", email="maria@example.com", chosen_flow="Aluguel de Lote", bill_value=900)
    before = agent.get(f"leads/{Lead.objects.get().pk}/").json()

    answer = agent.says(**{fact: word})

    assert answer.status_code == 200
    assert "stands for nothing" in ignored(answer)[f"lead.{fact}"]
    assert agent.get(f"leads/{Lead.objects.get().pk}/").json()[fact] == before[fact]


@pytest.mark.parametrize("word", NOTHING[::7])
def test_further_facts_objections_and_stages_are_heard_the_same_way(agent, word):
    context = {"objections_raised": ["preço", word], "conversation_stage": word}
    answer = agent.says(custom={"roof": word, "kwh": 540}, context=context)

    lead = Lead.objects.get()
    assert {"lead.custom.roof", "context.objections_raised", "context.conversation_stage"} == set(ignored(answer))
    assert (lead.custom, lead.conversation_stage) == ({"kwh": 540}, "")
    assert [objection.name for objection in lead.objections.all()] == ["preço"]


def test_nothing_but_words_for_nothing_raises_no_objection_and_takes_none_back(agent):
    agent.says(context={"objections_raised": ["preço"]})

    agent.says(context={"objections_raised": ["nenhuma", "N/A"]})

    assert [objection.name for objection in Lead.objects.get().objections.all()] == ["preço"]


@pytest.mark.parametrize("text", ["null", "-", "N/A", "."])
def test_what_the_lead_wrote_is_never_nothing(agent, text):
    answer = agent.says(message={"direction": "inbound", "text": text})

    assert answer.json()["ignored"] == []
    assert Event.objects.get(kind=Event.Kind.INTERACTION).data["message"]["text"] == text


@pytest.mark.parametrize("name", NO_NAMES[:8])
def test_what_is_no_name_replaces_none(agent, name):
    agent.says(name="Maria Souza")

    answer = agent.says(name=name)

    assert Lead.objects.get().name == "Maria Souza"
    assert "lead.name" in ignored(answer)


def test_a_good_name_is_not_replaced_by_a_worse_one_and_by_a_better_it_is(agent):
    agent.says(name="Maria Souza")
    assert "tells less" in ignored(agent.says(name="Maria"))["lead.name"]
    agent.says(name="Maria\nClara Souza")

    assert Lead.objects.get().name == "Maria Clara Souza"


def test_an_answer_of_the_lead_counts_beside_an_address_that_is_none(agent):
    answer = agent.says(message=WROTE, name="Maria", email="maria arroba example")

    assert answer.status_code == 201
    assert "lead.email" in ignored(answer)
    lead = Lead.objects.get()
    assert (lead.name, lead.email) == ("Maria", "")
    assert lead.last_inbound_at is not None


def test_without_a_message_the_address_is_refused_and_what_is_wrong_besides_always(agent):
    assert agent.says(email="maria arroba example").status_code == 400
    assert agent.says(message=WROTE, email="maria arroba example", qualification_score=150).status_code == 400
    assert agent.says(message=WROTE, email=5).status_code == 400
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    ("score", "kept"), [(0.85, None), (0.5, None), (0, 0), (1, 1), (8.5, 8.5), (85, 85), (100, 100)]
)
def test_a_score_from_0_to_1_is_no_score_of_this_scale(agent, score, kept):
    answer = agent.says(qualification_score=score)

    assert Lead.objects.get().qualification_score == kept
    assert ("lead.qualification_score" in ignored(answer)) is (kept is None)


def test_null_clears_unless_staff_say_that_it_means_unknown(agent, pipeline):
    agent.says(name="Maria", bill_value=900, chosen_flow="Aluguel de Lote")
    pipeline.null_means_unknown = True
    pipeline.save()

    answer = agent.says(name=None, bill_value=None, chosen_flow="")
    assert set(ignored(answer)) == {"lead.name", "lead.bill_value", "lead.chosen_flow"}
    assert Lead.objects.get().bill_value == 900

    pipeline.null_means_unknown = False
    pipeline.save()
    assert agent.says(bill_value=None).json()["ignored"] == []
    assert Lead.objects.get().bill_value is None


def test_older_news_is_told_in_the_answer_on_the_timeline_and_in_a_batch(agent):
    now = timezone.now()
    agent.post("interactions/", {"lead": {"phone": "81999990000", "name": "Maria"}, "occurred_at": now.isoformat()})
    older = {
        "lead": {"phone": "81999990000", "name": "Joana"},
        "context": {"conversation_stage": "qualificação"},
        "occurred_at": (now - timedelta(hours=1)).isoformat(),
    }

    answer = agent.post("interactions/", older)
    [item] = agent.post("interactions/batch/", [older | {"message": {"id": "m9", "direction": "outbound"}}]).json()

    assert set(ignored(answer)) == {"lead.name"}
    assert "older than" in ignored(answer)["lead.name"]
    assert item["body"]["ignored"][0]["field"] == "lead.name"
    events = Event.objects.filter(kind=Event.Kind.INTERACTION, data__has_key="ignored")
    assert {event.data["ignored"][0]["field"] for event in events} == {"lead.name"}


def test_what_is_concluded_dates_from_the_report_and_not_from_the_message(agent):
    agent.says(
        message={"direction": "outbound", "text": "Oi"}, context={"conversation_stage": "estágio_1_apresentar_soluções"}
    )
    earlier = (timezone.now() - timedelta(seconds=20)).isoformat()

    answer = agent.says(
        message={"direction": "inbound", "text": "4.500", "sent_at": earlier},
        qualification_score=90,
        context={"conversation_stage": "qualificação"},
    )

    assert answer.json()["ignored"] == []
    assert answer.json()["decision"]["stage"] == "qualified"


@pytest.mark.parametrize(
    "text",
    [
        rb"oi \ud83d",
        rb"\ude00 oi",
        rb"a\ud83db",
        rb"\ud83d\ud83d\ude00",
        b"oi \xed\xa0\xbd",
        b"\xed\xb8\x80",
        rb"\\\ud83d",
        b"oi \xf0\x9f",
        b"oi \xf0\x9f\x98",
        b"oi \xf0\x9f\x98...",
        b"\xe2\x82",
        "😀€".encode()[:-1],
    ],
)
def test_half_a_character_costs_nothing_else(agent, text):
    body = b'{"lead": {"phone": "81999990000"}, "message": {"direction": "inbound", "text": "' + text + b'"}}'

    single = agent.post("interactions/", body)
    batch = agent.post("interactions/batch/", b"[" + body + b', {"lead": {"phone": "81999990001"}}]')

    assert single.status_code == 201
    assert [answer["status"] for answer in batch.json()] == [200, 201]
    assert "\ufffd" in Event.objects.filter(kind=Event.Kind.INTERACTION).first().data["message"]["text"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "cp1252"])
def test_a_body_in_another_encoding_is_told_so(agent, encoding):
    sentence = "José, só à tarde. Você é de Mossoró?"
    body = f'{{"lead": {{"phone": "81999990000"}}, "message": {{"direction": "inbound", "text": "{sentence}"}}}}'

    answer = agent.post("interactions/", body.encode(encoding))

    assert (answer.status_code, "not JSON" in answer.json()["detail"]) == (400, True)
    assert not Event.objects.filter(kind=Event.Kind.INTERACTION).exists()


@pytest.mark.parametrize("text", [rb"\ud83d\ude00", rb"\\ud83d", "😀".encode(), rb"\u00e9"])
def test_a_whole_character_and_a_backslash_stay(agent, text):
    body = b'{"lead": {"phone": "81999990000"}, "message": {"direction": "inbound", "text": "' + text + b'"}}'

    assert agent.post("interactions/", body).status_code == 201
    assert "\ufffd" not in Event.objects.get(kind=Event.Kind.INTERACTION).data["message"]["text"]


@pytest.mark.parametrize("switch", [True, False])
def test_a_colleagues_message_silences_the_agent_as_a_reply_in_the_chat_does(agent, pipeline, switch):
    pipeline.chat_reply_pauses = switch
    pipeline.save()
    agent.says(message={"direction": "outbound", "text": "Oi"})

    answer = agent.says(message={"direction": "staff", "text": "Aqui é o Pedro, da loja"})

    assert answer.json()["agent"]["may_reply"] is not switch
    assert agent.get("agent/may-reply/", phone="81999990000").json()["may_reply"] is not switch


def test_a_colleagues_message_of_before_the_agent_was_given_the_lead_back_silences_nobody(agent):
    wrote = timezone.now().isoformat()
    agent.says(message={"direction": "staff", "text": "oi"})
    agent.delete(f"leads/{Lead.objects.get().pk}/handoff/")

    answer = agent.says(message={"id": "late", "direction": "staff", "text": "até", "sent_at": wrote})

    assert answer.json()["agent"]["may_reply"] is True


# --- Words of a list


SPELT = {
    "CANCELLED": "cancelled",
    " Cancelled ": "cancelled",
    "canceled": "cancelled",
    "No-Show": "no_show",
    "no show": "no_show",
    "NO_SHOW": "no_show",
    "noshow": "no_show",
    "Completed": "completed",
    "\tScheduled\n": "scheduled",
    "RESCHEDULED": "rescheduled",
}
UNKNOWN_WORDS = ["Confirmada", "confirmed", "cancelada", "agendada!", "scheduled,cancelled", "maybe", "não"]
IN_TWO_DAYS = (timezone.now() + timedelta(days=2)).isoformat()


@pytest.mark.parametrize("word", SPELT)
def test_a_word_of_a_list_is_read_in_any_case_and_with_blanks(agent, word):
    answer = agent.says(context={"meeting": {"id": "evt", "status": word, "starts_at": IN_TWO_DAYS}})

    assert answer.json()["ignored"] == []
    assert Meeting.objects.get().status == SPELT[word]


@pytest.mark.parametrize("word", ["INBOUND", " inbound ", "Inbound"])
def test_a_direction_too(agent, word):
    agent.says(message={"direction": word, "text": "oi"})
    assert Lead.objects.get().last_inbound_at is not None


@pytest.mark.parametrize("word", UNKNOWN_WORDS)
def test_an_unknown_word_beside_a_message_costs_the_meeting_and_not_the_message(agent, word):
    meeting = {"id": "evt", "status": word, "starts_at": IN_TWO_DAYS}
    answer = agent.says(message=WROTE, context={"meeting": meeting}, name="Maria")

    assert answer.status_code == 201
    assert list(ignored(answer)) == ["context.meeting.status"]
    lead = Lead.objects.get()
    assert (lead.name, lead.meeting_status) == ("Maria", "")
    assert lead.last_inbound_at is not None
    assert agent.says(context={"meeting": meeting}).status_code == 400


@pytest.mark.parametrize("starts_at", ["amanhã às 14h", "2030-03-12", "14:00", "2030-13-45T14:00:00", "quinta"])
def test_a_time_that_is_none_beside_a_message_books_nothing(agent, starts_at):
    for number, status in enumerate(("scheduled", "Agendada")):
        meeting = {"id": "evt", "status": status, "starts_at": starts_at}
        answer = agent.says(message=WROTE | {"id": f"m{number}"}, context={"meeting": meeting})
        assert "context.meeting.starts_at" in ignored(answer)
    lead = Lead.objects.get()
    assert (lead.stage.key, lead.meeting_status) == ("new", "")
    assert lead.last_inbound_at is not None


@pytest.mark.parametrize("starts_at", ["", None, "null", "a definir"])
def test_a_time_nobody_knows_is_a_booking_without_one(agent, starts_at):
    agent.says(context={"meeting": {"id": "evt", "status": "scheduled", "starts_at": starts_at}})
    assert Meeting.objects.get().starts_at is None


@pytest.mark.parametrize("status", [None, "", "null", "N/A", "nenhuma", "-"])
def test_a_form_of_a_meeting_that_is_not_filled_in_is_no_meeting(agent, status):
    meeting = {"id": None, "status": status, "starts_at": None, "link": None}
    answer = agent.says(name="Maria", context={"meeting": meeting})

    assert answer.status_code == 201
    assert list(ignored(answer)) == ["context.meeting.status"]
    assert not Meeting.objects.exists()


def test_a_form_of_a_message_that_is_not_filled_in_is_no_message(agent):
    answer = agent.says(name="Maria", message={"id": None, "direction": None, "sent_at": None, "text": None})

    assert answer.status_code == 201
    assert Lead.objects.get().name == "Maria"


@pytest.mark.parametrize("slug", ["SOLAR", " solar ", "", "null", "n/a", None])
def test_a_pipeline_in_another_spelling_is_that_one_and_no_name_is_the_usual_one(agent, slug):
    answer = agent.post("interactions/", {"lead": {"phone": "81999990000"}, "pipeline": slug})
    assert answer.json()["lead"]["pipeline"] == "solar"


@pytest.mark.parametrize(
    "asked", ["stage=NEW", "stage= new ", "sync=Pending", "sync= PENDING", "stage=New&sync=pending"]
)
def test_lists_are_asked_for_in_any_case(agent, asked):
    agent.says(name="Maria")
    assert len(agent.get(f"leads/?{asked}").json()["results"]) == 1


@pytest.mark.parametrize("zone", ["Brasília", "GMT-3", "America/Sao_Paolo", -3, ["America/Manaus"]])
def test_a_time_zone_that_is_none_is_told_and_takes_the_place_of_none(agent, zone):
    agent.says(custom={"time_zone": "America/Manaus"})
    answer = agent.says(custom={"time_zone": zone, "kwh": 540})
    assert ignored(answer)["lead.custom.time_zone"].endswith("is no time zone such as America/Sao_Paulo")
    assert Lead.objects.get().custom == {"time_zone": "America/Manaus", "kwh": 540}
    agent.says(custom={"time_zone": None})
    assert "time_zone" not in Lead.objects.get().custom
