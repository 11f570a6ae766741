from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from bridge import inbox_rounds
from bridge.intakes import inbox, reading_calls
from bridge.models import IntakeCall, IntakeItem, WorkLease
from leads import erasure
from leads.interaction_values import Direction
from leads.interaction_values import Message as Said
from leads.models import Event, Lead, Message, Pipeline, Stage
from tests.bridge.intakes.bodies import body
from tests.conftest import due_calls, record

MARIA, JOAO = "+5581991234567", "+5581991234568"
JID, LID = "558191234567@s.whatsapp.net", "104729384756011@lid"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
Result = IntakeItem.Result


@dataclass(frozen=True)
class Namesake:
    """An address by its key alone."""

    key: str


@pytest.fixture(autouse=True)
def noon(time_machine):
    time_machine.move_to(NOW, tick=False)


def lead(phone: str = MARIA) -> Lead:
    return Lead.objects.get(phone=phone)


def conversation(phone: str = MARIA) -> list[tuple[str, str]]:
    return [(row.direction, row.text) for row in Message.objects.filter(lead__phone=phone)]


def results() -> list[str]:
    return [item.result for item in IntakeItem.objects.order_by("id")]


def inbound(number: int = 1, phone: str = "558191234567", text: str = "", **more) -> dict:
    at = more.pop("at", 1795521570 + number)
    return body(
        "evolution/01",
        data__key__id=f"3A{phone[-4:]}{number:08d}",
        data__key__remoteJid=f"{phone}@s.whatsapp.net",
        data__key__remoteJidAlt=None,
        data__message={"conversation": text or f"mensagem {number}"},
        data__messageTimestamp=at,
        **more,
    )


def test_a_message_makes_a_lead_with_its_name_and_its_conversation(way_in):
    way_in().tell(body("evolution/01"))
    assert (lead().name, lead().stage.key) == ("Maria Souza", "new")
    assert lead().last_inbound_at == datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)
    row = Message.objects.get()
    assert (row.direction, row.channel, row.state, row.message_id) == (
        "inbound", "evolution-1", "received", "3A4F5D1E2B3C4A5B6C7D",
    )  # fmt: skip
    event = lead().events.get(kind=Event.Kind.INTERACTION)
    assert (event.actor, event.data["message"]["text"]) == ("lead", "Boa tarde, vi o anúncio da energia solar")


def test_every_sample_of_evolution_in_order(way_in):
    way_in().tell(*(body(f"evolution/{number:02d}") for number in range(1, 7)))
    assert conversation() == [
        ("inbound", "Boa tarde, vi o anúncio da energia solar"),
        ("staff", "Maria, aqui é a Ana. Te ligo em cinco minutos."),
        ("outbound", "Olá Maria! Qual é o valor médio da sua conta de luz?"),
        ("inbound", "minha conta de luz"),
    ]
    assert conversation(JOAO) == [("inbound", "Pode ser na quinta às 10h")]
    sent = Message.objects.get(direction="outbound")
    assert (sent.state, sent.read_at is not None) == ("delivered", True)
    assert lead().in_handoff and not lead(JOAO).in_handoff
    assert IntakeCall.objects.exclude(state="processed").count() == 0


def test_the_same_in_any_order_and_twice(way_in):
    way = way_in()
    bodies = [body(f"evolution/{number:02d}") for number in range(1, 7)]
    for order in random.Random(7).sample(list(itertools.permutations(range(6))), 4):
        way.tell(*(bodies[place] for place in order))
        way.tell(*(bodies[place] for place in order))
    assert len(conversation()) == 4 and len(conversation(JOAO)) == 1
    assert Event.objects.filter(kind=Event.Kind.INTERACTION).count() == 5
    assert lead().in_handoff and lead().handoff_since == datetime(2026, 11, 24, 11, 59, 50, tzinfo=UTC)


def test_staff_who_write_on_the_phone_take_over(way_in):
    way = way_in()
    way.tell(body("evolution/01"))
    assert not lead().in_handoff
    way.tell(body("evolution/03"))
    assert (lead().in_handoff, lead().handoff_source) == (True, Lead.HandoffSource.CHAT)
    assert lead().last_staff_at == datetime(2026, 11, 24, 11, 59, 50, tzinfo=UTC)


def test_a_pipeline_that_does_not_pause_for_people_goes_on(way_in, pipeline):
    pipeline.chat_reply_pauses = False
    pipeline.save()
    way_in().tell(body("evolution/01"), body("evolution/03"))
    assert not lead().in_handoff and conversation()[-1][0] == "staff"


def test_what_a_person_wrote_before_the_lead_was_given_back_takes_nothing_over(way_in):
    from leads import handoff

    way = way_in()
    way.tell(body("evolution/01"), body("evolution/03"))
    handoff.resume(lead(), by=Lead.Actor.STAFF, reason="given back", now=timezone.now())
    way.tell(body("evolution/03", data__key__id="3A-another", data__messageTimestamp=1795521580))
    assert not lead().in_handoff


def test_the_agent_is_not_taken_for_staff_whatever_tells_first_that_it_sent(way_in):
    """An own send can be shown as if it came from the phone (evolution-api#1340)."""
    way = way_in()
    as_if = body("evolution/04", event="messages.upsert")
    way.tell(body("evolution/01"), body("evolution/04"), as_if)
    assert not lead().in_handoff
    way.tell(body("evolution/04", event="messages.upsert", data__key__id="3EBX"))
    way.tell(body("evolution/04", data__key__id="3EBX"))
    assert not lead().in_handoff
    assert [direction for direction, _ in conversation()] == ["inbound", "outbound", "outbound"]


def test_a_takeover_by_another_message_stays_when_one_turns_out_to_be_the_agents(way_in):
    way = way_in()
    way.tell(body("evolution/01"), body("evolution/04", event="messages.upsert"))
    way.tell(body("evolution/03", data__messageTimestamp=1795521598))
    way.tell(body("evolution/04"))
    assert lead().in_handoff


def reported(direction: Direction, text: str, **more) -> Said:
    return Said(direction, text=text, sent_at=more.pop("sent_at", NOW - timedelta(seconds=20)), **more)


@pytest.mark.parametrize("id", ["3A4F5D1E2B3C4A5B6C7D", "false_558191234567@c.us_3A4F5D1E2B3C4A5B6C7D", ""])
@pytest.mark.parametrize("first", ["intake", "report"])
def test_a_message_by_intake_and_by_report_is_one(way_in, pipeline, id, first):
    way = way_in()
    message = reported(Direction.INBOUND, "Boa tarde, vi o anúncio da energia solar", id=id)
    if first == "intake":
        way.tell(body("evolution/01"))
    record(pipeline, "81991234567", message=message, name="Maria de Souza")
    if first == "report":
        way.tell(body("evolution/01"))
    assert len(conversation()) == 1
    assert lead().name == "Maria de Souza"
    messages_told = [event.data.get("message") for event in lead().events.filter(kind=Event.Kind.INTERACTION)]
    assert len([message for message in messages_told if message]) == 1


@pytest.mark.parametrize("id", ["3EB0A1B2C3D4E5F60718A9", "own-17", ""])
@pytest.mark.parametrize("first", ["intake", "report"])
@pytest.mark.parametrize("event", ["send.message", "messages.upsert"])
def test_what_the_agent_reports_as_its_own_is_its_own(way_in, pipeline, id, first, event):
    way = way_in()
    way.tell(body("evolution/01"))
    message = reported(Direction.OUTBOUND, "Olá Maria! Qual é o valor médio da sua conta de luz?", id=id)
    if first == "intake":
        way.tell(body("evolution/04", event=event))
    record(pipeline, "81991234567", message=message)
    if first == "report":
        way.tell(body("evolution/04", event=event))
    ours = [turn for turn in conversation() if turn[0] != "inbound"]
    assert {direction for direction, _ in ours} == {"outbound"}
    assert len(ours) == (2 if id == "own-17" and event == "send.message" else 1)
    assert not lead().in_handoff


def test_a_short_word_said_twice_is_two_messages_by_either_road(way_in, pipeline):
    way = way_in()
    way.tell(inbound(1, text="sim"), inbound(2, text="sim"))
    for _ in range(2):
        record(pipeline, "81991234567", message=reported(Direction.INBOUND, "sim"))
    assert conversation() == [("inbound", "sim")] * 2


def test_the_name_of_a_profile_fills_in_and_changes_nothing(way_in, pipeline):
    way = way_in()
    record(pipeline, "81991234567", name="Maria Antônia")
    way.tell(body("evolution/01"))
    assert lead().name == "Maria Antônia"
    way.tell(inbound(5, phone="558191234568", data__pushName="João ☀️"), inbound(6, phone="558191234568"))
    assert lead(JOAO).name == "João ☀️"
    record(pipeline, "81991234568", name="João Pereira", occurred_at=NOW - timedelta(hours=1))
    assert lead(JOAO).name == "João Pereira"


def test_a_file_without_words_stands_as_its_kind(way_in):
    way_in().tell(body("evolution/05", data__message={"audioMessage": {"ptt": True, "url": "https://x/a.enc"}}))
    row = Message.objects.get()
    assert (row.text, row.kind, row.attachments[0]["reference"]) == ("áudio", "audio", "https://x/a.enc")
    assert lead().events.get(kind=Event.Kind.INTERACTION).data["message"]["text"] == "áudio"


def test_who_asks_to_stop_is_not_written_to_any_more(way_in):
    way_in().tell(inbound(1, text="parar"))
    assert lead().opted_out_at is not None


def test_groups_statuses_reactions_and_edits_make_no_lead(way_in):
    way_in().tell(
        body("evolution/01", data__key__remoteJid="1203630@g.us", data__key__remoteJidAlt=None),
        body("evolution/01", data__key__remoteJid="status@broadcast"),
        body("evolution/01", data__message={"reactionMessage": {"text": "👍"}}),
        body("evolution/01", data__message={"protocolMessage": {"type": "REVOKE"}}),
        body("evolution/01", event="contacts.update"),
    )
    assert not Lead.objects.exists()
    assert results() == [Result.IGNORED] * 5


@pytest.mark.parametrize("junk", [b"no json", b"[]", b"7", b'{"event": "messages.upsert", "data": '])
def test_what_cannot_be_read_costs_nothing_else(way_in, junk):
    way_in().tell(junk, body("evolution/01"))
    assert lead() and IntakeCall.objects.get(state="failed").error


def test_a_status_that_overtakes_its_message_waits_for_it(way_in, time_machine):
    way = way_in()
    way.tell(body("evolution/06"))
    assert IntakeCall.objects.get().state == "received"
    way.tell(body("evolution/04"))
    time_machine.shift(timedelta(seconds=6))
    reading_calls.read_all()
    assert Message.objects.get().state == "delivered"
    assert not IntakeCall.objects.exclude(state="processed").exists()


def test_a_status_of_a_message_nobody_knows_is_waited_for_a_minute(way_in, time_machine):
    way = way_in()
    way.tell(body("evolution/06"))
    time_machine.shift(timedelta(seconds=61))
    reading_calls.read_all()
    assert (IntakeCall.objects.get().state, results()) == ("processed", [Result.NOT_FOUND])


def test_a_status_takes_no_message_back(way_in):
    way = way_in()
    way.tell(body("evolution/04"), body("evolution/06"), body("evolution/06", data__status="SERVER_ACK"))
    row = Message.objects.get()
    assert (row.state, row.read_at is not None) == ("delivered", True)


def test_what_was_read_can_be_read_again_and_changes_nothing(way_in):
    way = way_in()
    way.tell(*(body(f"evolution/{number:02d}") for number in range(1, 7)))
    before = (conversation(), conversation(JOAO), Event.objects.count())
    assert inbox.reprocess(IntakeCall.objects.all(), now=timezone.now()) == 6
    reading_calls.read_all()
    assert (conversation(), conversation(JOAO), Event.objects.count()) == before
    assert Result.KNOWN in results()


def test_a_message_without_an_id_is_known_again_when_its_call_is_read_again(way_in):
    way = way_in()
    way.tell(body("evolution/01", data__key__id=None))
    inbox.reprocess(IntakeCall.objects.all(), now=timezone.now())
    reading_calls.read_all()
    assert len(conversation()) == 1


def test_a_call_that_always_fails_is_parked_and_costs_no_other(way_in, monkeypatch, time_machine):
    real = reading_calls._interaction

    def fail(heard, now):
        if "mau" in heard.news.text:
            raise ValueError("boom")
        return real(heard, now)

    monkeypatch.setattr(reading_calls, "_interaction", fail)
    way = way_in()
    way.tell(inbound(1), inbound(2, text="mau"), inbound(3))
    assert len(conversation()) == 2
    for _ in range(8):
        time_machine.shift(timedelta(seconds=31))
        reading_calls.read_all()
    assert IntakeCall.objects.get(state="failed").error.startswith("parked")


class Killed(BaseException):
    pass


@pytest.fixture
def deadly(monkeypatch):
    """Let a call that tells of somebody called so kill its worker."""
    read = reading_calls.source_kinds.read

    def read_or_die(kind, told_body):
        if "mata" in str(told_body):
            raise Killed
        return read(kind, told_body)

    monkeypatch.setattr(reading_calls.source_kinds, "read", read_or_die)


def survive() -> bool:
    # The next worker takes over what a dead one had.
    WorkLease.objects.all().delete()
    try:
        reading_calls.read_all()
    except Killed:
        return False
    return True


def test_a_call_that_kills_its_worker_holds_nobody_else_up(way_in, deadly):
    way = way_in()
    way.call(inbound(1, text="mata"))
    assert not survive()
    # What comes meanwhile, by whatever way, is read before the worker dies of it again.
    way.call(inbound(2))
    way.call(inbound(3, phone="558191234568"))

    assert not survive()

    assert conversation() == [("inbound", "mensagem 2")]
    assert conversation(JOAO) == [("inbound", "mensagem 3")]
    for _ in range(4):
        survive()
    assert IntakeCall.objects.get(state="failed").error.startswith("parked")


def test_what_was_begun_with_it_is_read_before_it_is_begun_again(way_in, deadly):
    way = way_in()
    calls = [inbound(number, text="mata" if number == 60 else "") for number in range(1, 81)]
    for each_body in calls:
        way.call(each_body)
    # All at once, then those 62 of which it is one, then the other 18 before it dies of a smaller part.
    assert [survive() for _ in range(3)] == [False] * 3

    assert ("inbound", "mensagem 80") in conversation()
    assert len(conversation()) > 70


def test_where_mail_never_ends_what_was_begun_is_read_all_the_same(way_in, monkeypatch, time_machine):
    way = way_in()
    way.call(inbound(1))
    IntakeCall.objects.update(attempts=1)
    monkeypatch.setattr(inbox_rounds, "ROWS_PER_ROUND", 1)
    way.call(inbound(2))
    assert [call.attempts for call in inbox.take(timezone.now())] == [1]
    assert IntakeCall.objects.order_by("id").first().attempts == 1

    time_machine.shift(timedelta(minutes=11))
    way.call(inbound(3))

    # The second one was begun as well, and a third is there: those that were passed for so long come first.
    assert {call.attempts for call in inbox.take(timezone.now())} == {2}


def test_people_are_told_apart_in_one_walk(pipeline, monkeypatch):
    class Counted(str):
        asked = 0

        def __hash__(self):
            Counted.asked += 1
            return super().__hash__()

    asked = []
    for many in (100, 400):
        news = [
            reading_calls.Heard(None, None, place, addresses=(Namesake(Counted(f"whatsapp:{place % 2}")),))
            for place in range(many)
        ]
        Counted.asked = 0
        parts = list(reading_calls._rounds(news))
        asked.append(Counted.asked)
        assert [heard.place for part in parts for heard in part] == list(range(many))
        assert {len(part) for part in parts} == {2}
    assert asked[1] < 5 * asked[0]


def test_a_transaction_takes_no_more_people_than_it_should():
    crowd = [reading_calls.Heard(None, None, place, addresses=(Namesake(f"{place}"),)) for place in range(1000)]

    assert [len(part) for part in reading_calls._rounds(crowd)] == [reading_calls.MOST_AT_ONCE] * 5


def test_nothing_is_lost_when_the_database_goes_away_in_the_middle(way_in, monkeypatch, time_machine):
    way = way_in()
    for number in range(3):
        way.call(inbound(number))
    with monkeypatch.context() as context:

        def away(*_: object, **__: object) -> None:
            raise OperationalError("server closed the connection")

        context.setattr(reading_calls, "_settle", away)
        reading_calls.read_all()
    time_machine.shift(timedelta(seconds=31))
    reading_calls.read_all()
    assert len(conversation()) == 3
    assert not IntakeCall.objects.exclude(state="processed").exists()


def test_the_workers_clock_asks_for_it(way_in):
    way = way_in()
    assert not [call for call in due_calls() if "intakes" in call[0]]
    way.call(body("evolution/01"))
    assert ("bridge.tasks.read_intakes", ()) in due_calls()


def test_the_statements_do_not_grow_with_the_messages(way_in, account, django_assert_max_num_queries):
    way = way_in()
    counts = []
    for people in (20, 200):
        bodies = [inbound(people * 10 + number, phone=f"5581987{number:06d}") for number in range(people)]
        for each_body in bodies:
            way.call(each_body)
        with django_assert_max_num_queries(70) as captured:
            reading_calls.read_all()
        counts.append(len(captured))
    # What is new in a larger round is the look at who is new to it.
    assert counts[1] <= counts[0] + 5


# --- Who says that they are somebody


def test_many_messages_of_one_person_in_a_call_cost_each_the_same_and_are_kept_as_they_are_read(way_in, monkeypatch):
    loaded = []
    read, record_all = Message.from_db.__func__, reading_calls.record_all
    monkeypatch.setattr(Message, "from_db", classmethod(lambda cls, *args: loaded.append(1) or read(cls, *args)))

    def dying(interactions, **more):
        if interactions[0].message.text == "written 25":
            raise KeyboardInterrupt
        return record_all(interactions, **more)

    monkeypatch.setattr(reading_calls, "record_all", dying)
    calls = [inbound(number, text=f"written {number}")["data"] for number in range(1, 41)]
    assert way_in().call({"event": "messages.upsert", "data": calls}) == 200
    with pytest.raises(KeyboardInterrupt):
        reading_calls.read_all()
    # The database was not held all the while, and the next one goes on from there.
    assert Message.objects.count() == 24
    monkeypatch.setattr(reading_calls, "record_all", record_all)
    loaded.clear()
    IntakeCall.objects.update(due_at=timezone.now())
    reading_calls.read_all()
    assert Message.objects.count() == 40
    assert len(loaded) < 3 * 40


def visitor(number: int, text: str, **sender) -> dict:
    """A message in a website's chat, by whoever typed something into its form."""
    return body(
        "chatwoot/01", id=number, source_id=f"web-{number}", content=text, conversation__channel="Channel::WebWidget",
        conversation__contact_inbox=None, created_at=int(timezone.now().timestamp()) - 60 + number,
        sender={"type": "contact", **sender},
    )  # fmt: skip


def test_nobody_becomes_somebody_by_typing_their_number_into_a_form(way_in, pipeline):
    other = Pipeline.objects.create(slug="clinic", name="Clinic")
    Stage.objects.create(pipeline=other, key="new", name="New", rank=1)
    maria = record(pipeline, MARIA, name="Maria").lead
    joao = record(other, JOAO, name="João").lead
    way = way_in("chatwoot")

    way.tell(
        visitor(1, "parar", id=7, phone_number=MARIA, email="someone@example.com"),
        visitor(2, "parar", id=8, phone_number=JOAO),
        visitor(3, "oi", id=9, phone_number=MARIA, email="someone@example.com"),
    )

    for lead in (maria, joao):
        lead.refresh_from_db()
        assert (lead.opted_out_at, lead.last_inbound_at) == (None, None)
    strangers = Lead.objects.exclude(pk__in=[maria.pk, joao.pk])
    assert strangers.count() == 3
    assert set(strangers.values_list("phone", flat=True)) == {None}


def test_a_number_that_is_nobody_elses_is_taken_from_a_form_and_stays(way_in, pipeline):
    way = way_in("chatwoot")
    for number, text in ((1, "oi"), (2, "tudo bem?")):
        way.tell(visitor(number, text, id=7, phone_number=MARIA, email="maria@example.com"))
    assert conversation() == [("inbound", "oi"), ("inbound", "tudo bem?")]
    assert lead().email == "maria@example.com"


# --- People who were erased


def test_of_a_person_who_was_erased_nothing_is_kept(way_in, time_machine):
    way = way_in()
    way.tell(body("evolution/01"), body("evolution/03"), body("evolution/01", event="presence.update"))
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    assert not IntakeCall.objects.exclude(body=b"").exists()
    rows = Message.objects.values_list("text", "message_id", "author", "attachments")
    assert set(map(str, rows)) == {"('', '', '', [])"}
    # What is told again of the time before is not kept either.
    way.tell(body("evolution/01"), body("evolution/03"), inbound(1))
    assert Lead.objects.count() == 1 and Message.objects.count() == 2
    assert results()[-3:] == [Result.FORGOTTEN] * 3
    assert not IntakeCall.objects.exclude(body=b"").exists()


@pytest.mark.parametrize(
    "late",
    [
        body("evolution/06"),
        body("evolution/06", data__status="DELETED"),
        body("evolution/06", data__keyId="3EB0SOMETHINGELSE"),
        body("evolution/01", event="contacts.update", data=[{"remoteJid": "558191234567@s.whatsapp.net"}]),
        body("evolution/01", event="presence.update", data={"id": "104729384756011@lid"}),
        {"event": "call", "text": "ligue para (81) 99123-4567"},
        [{"from": "+55 81 9123-4567"}],
        "maria@example.com",
        {"contact": {"mail": "MARIA@Example.com"}},
    ],
)
def test_nor_is_anything_that_names_them_and_is_no_message(way_in, late, time_machine):
    way = way_in()
    way.tell(inbound(1), body("evolution/01", data__key__remoteJid=LID, data__key__remoteJidAlt=JID))
    Lead.objects.update(email="maria@example.com")
    way.tell(body("evolution/04"), inbound(1, phone="558191234568"))
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    living = IntakeCall.objects.exclude(body=b"")
    assert living.count() == 1
    way.tell(late)
    time_machine.shift(timedelta(minutes=2))
    way.tell({"event": "presence.update", "data": {"id": "558191234568@s.whatsapp.net"}})
    assert IntakeCall.objects.filter(state="received").count() == 0
    assert living.count() == 2 and Lead.objects.filter(erased_at=None).count() == 1


def beside_a_message_of_somebody_else(status_id: str) -> dict:
    """A call as Meta gathers them: a message of João's, and a receipt with Maria's number in it."""
    tree = body("whatsapp_cloud/01")
    value = tree["entry"][0]["changes"][0]["value"]
    value["contacts"] = [{"profile": {"name": "João"}, "wa_id": "558191234568"}]
    value["messages"][0] |= {"from": "558191234568", "from_user_id": None, "id": f"wamid.J{status_id}"}
    receipt = {"id": status_id, "status": "read", "timestamp": "1795521600", "recipient_id": "558191234567"}
    tree["entry"][0]["changes"].append({"value": {"statuses": [receipt]}, "field": "messages"})
    return tree


def test_a_receipt_of_theirs_beside_a_message_of_somebody_else_is_not_kept(way_in, time_machine):
    way_in().tell(inbound(1))
    cloud = way_in("whatsapp_cloud")
    cloud.tell(beside_a_message_of_somebody_else("wamid.BEFORE"))
    time_machine.shift(timedelta(minutes=2))
    reading_calls.read_all()
    assert b"558191234567" in bytes(IntakeCall.objects.get(intake=cloud.intake).body)

    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    assert not IntakeCall.objects.exclude(body=b"").exists()

    cloud.tell(beside_a_message_of_somebody_else("wamid.AFTER"))
    time_machine.shift(timedelta(minutes=2))
    reading_calls.read_all()
    assert not IntakeCall.objects.exclude(body=b"").exists()
    # The receipt was waited for, so the message was met again.
    assert results()[-2:] == [Result.KNOWN, Result.FORGOTTEN]
    assert len(conversation(JOAO)) == 2


def test_what_names_somebody_who_is_back_is_kept(way_in, time_machine):
    way = way_in()
    way.tell(body("evolution/01"))
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    time_machine.shift(timedelta(minutes=5))
    way.tell(inbound(9, at=int(timezone.now().timestamp())), body("evolution/06", data__keyId="3EB0SOMETHINGELSE"))
    time_machine.shift(timedelta(minutes=2))
    reading_calls.read_all()
    assert results()[-2:] == [Result.TAKEN, Result.NOT_FOUND]
    assert IntakeCall.objects.exclude(body=b"").count() == 2


def test_an_erasure_finds_what_named_them_without_being_theirs_in_any_spelling(way_in, pipeline):
    way = way_in()
    record(pipeline, MARIA, name="Maria")
    way.tell({"event": "presence.update", "data": {"id": JID}}, {"event": "call", "text": "+55 (81) 99123.4567"})
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    assert not IntakeCall.objects.exclude(body=b"").exists()


def test_a_message_told_again_by_its_other_id_alone_is_known_for_an_erased_one(way_in, pipeline):
    message = Said(Direction.INBOUND, id="agent-1", text="oi", other_id="3A0000FIRST")
    record(pipeline, MARIA, message=message)
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    again = Said(Direction.INBOUND, id="chat-77", text="oi", other_id="3A0000FIRST")
    with pytest.raises(erasure.ForgottenError):
        record(pipeline, MARIA, message=again, at=timezone.now() + timedelta(hours=1))


def test_a_person_who_was_erased_and_writes_again_begins_anew(way_in, time_machine):
    way = way_in()
    way.tell(body("evolution/01"))
    erasure.erase(lead(), by=Lead.Actor.STAFF, now=timezone.now())
    time_machine.shift(timedelta(minutes=5))
    way.tell(inbound(9, at=int(timezone.now().timestamp())))
    assert conversation() == [("inbound", "mensagem 9")]


# --- People without a number


def hidden(number: int, alt: str | None = None, **more) -> dict:
    return inbound(number, **more) | {
        "data": inbound(number, **more)["data"]
        | {"key": {"remoteJid": LID, "remoteJidAlt": alt, "fromMe": False, "id": f"3AHIDDEN{number}"}}
    }


def test_a_person_known_by_a_hidden_id_alone_is_a_lead_and_gets_the_number_later(way_in):
    way = way_in()
    way.tell(hidden(1))
    only = Lead.objects.get()
    assert (only.phone, only.addresses[0]) == (None, {"kind": "lid", "value": LID})
    way.tell(hidden(2, alt="558191234567@s.whatsapp.net"))
    only = Lead.objects.get()
    assert only.phone == MARIA and only.messages.count() == 2
    way.tell(inbound(3), body("evolution/03"))
    assert Lead.objects.get().in_handoff and Message.objects.count() == 4


def test_hidden_and_known_messages_of_one_round_are_one_person(way_in):
    way_in().tell(hidden(1), hidden(2, alt="558191234567@s.whatsapp.net"), inbound(3), hidden(4))
    assert Lead.objects.get().messages.count() == 4


def test_a_person_without_a_number_writes_through_the_cloud_api_and_instagram(way_in):
    way_in("whatsapp_cloud").tell(body("whatsapp_cloud/02"))
    way_in("chatwoot").tell(
        body("chatwoot/01", sender__phone_number=None, conversation__channel="Channel::Instagram",
             conversation__contact_inbox__source_id="17841400", conversation__meta__sender__phone_number=None)
    )  # fmt: skip
    kinds = [{address["kind"] for address in lead.addresses} for lead in Lead.objects.order_by("created_at", "pk")]
    assert {"bsuid"} in kinds and {"instagram", "external"} in kinds
