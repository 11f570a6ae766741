"""Leads that turn out to be one person become one, and nothing of either is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import handoff, joining, stage_moves
from leads.addresses import parse
from leads.interaction_values import Direction, Interaction, Message
from leads.interaction_values import Meeting as ToldMeeting
from leads.interactions import record_all
from leads.models import Event, FurtherAddress, JoinedLead, Lead, Meeting, NameWord, ProbablySame, Stage
from leads.models import Message as Row
from leads.name_words import words
from tests.conftest import MARIA

LID, INSTAGRAM = ("lid", "987654321@lid"), ("instagram", "maria")


def tell(pipeline, *address_pairs, at=None, text="", message_id="", now=None, **facts):
    """Report an interaction of whoever these addresses are of, the one it was written from first."""
    now = now or timezone.now()
    message = Message(Direction.INBOUND, id=message_id, text=text, sent_at=at or now) if text or message_id else None
    context = facts.pop("context", {})
    named = tuple(parse(kind, value, region="BR") for kind, value in address_pairs)
    interaction = Interaction(None, at or now, facts=facts, context=context, message=message, addresses=named)
    [recorded] = record_all([interaction], pipeline=pipeline, now=now)
    return recorded.lead


def test_the_older_lead_stays_with_what_both_knew(pipeline):
    now = timezone.now()
    older = tell(pipeline, LID, at=now - timedelta(hours=3), text="oi", name="Maria", email="old@example.com")
    booked = ToldMeeting("scheduled", id="evt_1", starts_at=now + timedelta(days=2))
    younger = tell(
        pipeline,
        ("phone", MARIA),
        at=now - timedelta(hours=1),
        text="sou eu",
        email="new@example.com",
        context={"meeting": booked, "objections": ["preço"]},
    )
    assert (Lead.objects.count(), younger.stage.key) == (2, "meeting_scheduled")

    lead = tell(pipeline, LID, ("phone", MARIA), text="agora os dois")

    assert lead.pk == older.pk
    lead = Lead.objects.get()
    assert (lead.phone, lead.name, lead.email) == (MARIA, "Maria", "new@example.com")
    assert (lead.stage.key, lead.meeting_id) == ("meeting_scheduled", "evt_1")
    assert [objection.name for objection in lead.objections.all()] == ["preço"]
    assert sorted(lead.messages.values_list("text", flat=True)) == ["agora os dois", "oi", "sou eu"]
    assert lead.events.filter(kind=Event.Kind.INTERACTION).count() == 3
    assert lead.stays.filter(left_at=None).count() == 1
    event = lead.events.get(kind=Event.Kind.JOINED)
    assert (event.data["lead"], event.reason) == (str(younger.pk), joining.REASON)
    assert JoinedLead.objects.get(former_id=younger.pk).lead == lead
    assert [address["kind"] for address in lead.addresses] == ["lid", "phone"]
    assert tell(pipeline, ("phone", MARIA)).pk == tell(pipeline, LID).pk == lead.pk


def test_two_who_share_words_of_their_names_are_found_by_the_name_that_stays(pipeline):
    tell(pipeline, LID, name="Maria Souza")
    tell(pipeline, ("phone", MARIA), name="Maria Lima")

    lead = tell(pipeline, LID, ("phone", MARIA))

    assert set(NameWord.objects.values_list("lead", "word")) == {(lead.pk, word) for word in words(lead.name)}


def test_a_name_joins_nobody(pipeline):
    tell(pipeline, LID, name="Maria Souza")
    tell(pipeline, INSTAGRAM, name="Maria Souza")
    assert Lead.objects.count() == 2


def test_a_place_a_person_chose_and_a_person_who_has_the_lead_stay(pipeline):
    older = tell(pipeline, LID, text="oi")
    stage_moves.move(older, Stage.objects.get(key="qualifying"), by=Lead.Actor.STAFF, reason="x", now=timezone.now())
    younger = tell(pipeline, INSTAGRAM, text="oi")
    stage_moves.move(younger, Stage.objects.get(key="qualified"), by=Lead.Actor.BRIDGE, reason="x", now=timezone.now())
    handoff.pause(younger, source="admin", by=Lead.Actor.STAFF, reason="meu", now=timezone.now())

    tell(pipeline, INSTAGRAM, LID)

    lead = Lead.objects.get()
    assert (lead.stage.key, lead.stage_set_by, lead.handoff_reason) == ("qualifying", "staff", "meu")


def test_wishes_hold_and_the_same_message_and_meeting_count_once(pipeline):
    now = timezone.now()
    for place, who in enumerate((LID, INSTAGRAM)):
        starts_at = now + timedelta(days=2 + place)
        booked = ToldMeeting("scheduled", id="evt_1", starts_at=starts_at)
        lead = tell(pipeline, who, message_id="m1", text="oi", now=now, context={"meeting": booked})
    Lead.objects.filter(pk=lead.pk).update(opted_out_at=now)

    tell(pipeline, INSTAGRAM, LID)

    lead = Lead.objects.get()
    assert (lead.opted_out_at, Row.objects.count(), Meeting.objects.count()) == (now, 1, 1)


def test_staff_may_say_that_two_are_two(pipeline):
    now = timezone.now()
    first, other = tell(pipeline, LID), tell(pipeline, INSTAGRAM)
    ProbablySame.objects.create(older=first, younger=other, first_seen_at=now, last_seen_at=now, are_two=True)
    assert tell(pipeline, LID, INSTAGRAM).pk == first.pk
    assert Lead.objects.count() == 2


# Three people and all their addresses; a report names some of one person's.
PEOPLE = (
    (("lid", "111111111@lid"), ("phone", "+5581999990001"), ("instagram", "ana")),
    (("lid", "222222222@lid"), ("whatsapp", "558199990002@c.us"), ("telegram", "bia"), ("external", "crm-2")),
    (("phone", "+5581999990003"), ("phone", "+5581999990033"), ("email", "caio@example.com")),
)
REPORTS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sets(st.integers(0, 3), min_size=1, max_size=3), st.integers(0, 10_000), st.booleans()
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(REPORTS)
def test_any_interleaving_ends_with_one_lead_a_person_and_nothing_lost(pipeline, reports):
    with transaction.atomic():
        _play(pipeline, reports)
        transaction.set_rollback(True)


def _play(pipeline, reports):
    now = timezone.now()
    reports_of: dict[int, list[tuple[int, int]]] = {}
    known: dict[int, set[str]] = {}
    for number, (person, places, minute, by_jid) in enumerate(reports):
        own = PEOPLE[person]
        named = [own[place % len(own)] for place in sorted(places, reverse=by_jid)]
        at = now - timedelta(minutes=20_000 - minute)
        lead = tell(pipeline, *named, at=at, message_id=f"m{number}", text=str(number), name=f"Nome {chr(97 + number)}")
        known.setdefault(person, set()).add(str(lead.pk))
        reports_of.setdefault(person, []).append((minute, number))
    everybody = {person: tell(pipeline, *PEOPLE[person]) for person in reports_of}

    assert Lead.objects.count() == len(everybody)
    for person, lead in everybody.items():
        lead = Lead.objects.get(pk=lead.pk)
        texts = set(lead.messages.values_list("text", flat=True))
        assert texts == {str(number) for _, number in reports_of[person]}
        assert lead.events.filter(kind=Event.Kind.INTERACTION).count() == len(reports_of[person]) + 1
        # Of names of the same minute the one told last stands.
        newest = max(reports_of[person])
        minutes = [minute for minute, _ in reports_of[person]]
        if minutes.count(newest[0]) == 1:
            assert lead.name == f"Nome {chr(97 + newest[1])}"
        keys = {parse(kind, value, region="BR").key for kind, value in PEOPLE[person]}
        assert set(lead.address_keys) == keys
        former = known[person] - {str(lead.pk)}
        assert {str(joined.former_id) for joined in lead.joined.all()} >= former
        assert lead.stays.filter(left_at=None).count() == 1
    rows = FurtherAddress.objects.values_list("key", flat=True)
    assert len(set(rows)) == len(rows)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_reports_at_the_same_moment_end_with_one_lead(transactional_db, round_):
    import threading

    from django.db import connection, connections

    from leads.models import Pipeline

    if connection.vendor == "sqlite":
        pytest.skip("one writer at a time")
    pipeline = Pipeline.objects.get(slug="solar")
    reports = [[LID], [("phone", MARIA)], [LID, ("phone", MARIA)], [INSTAGRAM, LID], [("phone", MARIA), INSTAGRAM]]
    start, failed = threading.Barrier(len(reports)), []

    def report(address_pairs):
        start.wait()
        try:
            for _ in range(5):
                try:
                    tell(pipeline, *address_pairs, text="oi")
                    break
                except Exception as error:  # a deadlock: the caller tries again, as the API does
                    failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=report, args=(address_pairs,)) for address_pairs in reports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell(pipeline, LID, INSTAGRAM, ("phone", MARIA))

    assert Lead.objects.count() == 1, failed
    assert Row.objects.count() == len(reports) + 0
