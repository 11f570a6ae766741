"""Several writes of one account under way at once: of different cards, no more than allowed, each settled by itself."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import room_for_leads
from bridge.accounts.connection import client_for
from bridge.accounts.rate_limit import DatabasePace
from bridge.cards import account_lease, gathering, outbox
from bridge.delivery import person_look_up
from bridge.delivery.draining import LONGEST_DRAIN, MOST_UNSETTLED, Drain
from bridge.errors import KommoHeldError
from bridge.kommo import transport
from bridge.kommo.client import KommoClient
from bridge.kommo.parallel_calls import Abreast
from bridge.kommo.throttle import Lane, LocalPace, Permit
from bridge.models import Account, Card, Delivery
from tests.conftest import drain, record, rested

pytestmark = pytest.mark.usefixtures("abreast")
PHONES = [f"+5581988{number:06d}" for number in range(40)]


@pytest.fixture
def crowd(account, pipeline):
    """Forty people in batches of five."""
    Account.objects.update(batch_size=5)
    for number, phone in enumerate(PHONES):
        record(pipeline, phone, name=f"Lead {number}")
    Card.objects.update(looked_for_at=timezone.now())
    return account


def most_at_once(entries):
    spans = [(entry["monotonic"], entry["monotonic"] + entry["duration_seconds"]) for entry in entries]
    return max(sum(begun <= at < ended for begun, ended in spans) for at, _ in spans)


def test_as_many_as_are_allowed_are_under_way_and_no_card_twice(crowd, kommo, monkeypatch):
    together, create = threading.Barrier(4), KommoClient.create_leads_complex

    def wait_for_three_others(client, leads):
        together.wait(20)
        return create(client, leads)

    monkeypatch.setattr(KommoClient, "create_leads_complex", wait_for_three_others)
    drain(crowd)

    writes = kommo.writes()
    assert most_at_once(writes) <= 4
    sent = [item["request_id"] for write in writes for item in write["body"]]
    assert len(sent) == len(set(sent)) == 40
    assert set(Card.objects.values_list("state", flat=True)) == {"in_sync"}


def test_one_at_a_time_is_one_at_a_time(crowd, kommo, settings):
    settings.KOMMO_CALLS_AT_ONCE = 1
    kommo.fault("slow", count=8, path="/api/v4/leads", seconds=0.02)
    drain(crowd)
    assert most_at_once(kommo.writes()) == 1


def test_calls_that_fail_together_are_one_failure_of_the_account(crowd, kommo):
    kommo.fault("500", path="/api/v4/leads")
    drain(crowd)

    crowd.refresh_from_db()
    assert crowd.failures == 1
    assert len(kommo.writes()) <= 4


def test_a_refused_card_is_set_aside_while_the_others_are_under_way(crowd, kommo):
    kommo.fault("400_named", item="Lead 7", path="/api/v4/leads")
    while outbox.has_due(crowd.pk, now=timezone.now()):
        drain(rested(crowd))

    states = dict(Card.objects.values_list("lead__name", "state"))
    assert {name for name, state in states.items() if state != "in_sync"} == {"Lead 7"}


def sends_and_settlements(crowd, monkeypatch, *, has_slot):
    """Drain while slots are as told; return what was done, in order."""
    done, send, settle = [], Abreast.start, Drain._settle

    def start(self, ticket, ask, permit):
        done.append("send")
        send(self, ticket, ask, permit)
        # Its answer is there before anything else is looked at.
        while not self._back.qsize():
            time.sleep(0.002)

    def settle_(self, answer):
        done.append("settle" if answer.error is None else "settle a failure")
        return settle(self, answer)

    monkeypatch.setattr(Abreast, "start", start)
    monkeypatch.setattr(Drain, "_settle", settle_)
    monkeypatch.setattr(DatabasePace, "has_slot", lambda self, *, ahead=0.0: has_slot)
    drain(crowd)
    return done


def test_what_is_sent_goes_before_what_is_settled(crowd, monkeypatch):
    done = sends_and_settlements(crowd, monkeypatch, has_slot=True)

    assert done[:5] == ["send"] * MOST_UNSETTLED + ["settle"]
    assert (done.count("send"), done.count("settle")) == (8, 8)
    assert set(Card.objects.values_list("state", flat=True)) == {"in_sync"}


def test_while_no_slot_is_near_answers_are_settled(crowd, monkeypatch):
    assert sends_and_settlements(crowd, monkeypatch, has_slot=False) == ["send", "settle"] * 8


def test_while_more_is_coming_what_was_answered_is_settled(account, pipeline, monkeypatch):
    """People who talk one after the other become due all the time: nobody's answer waits for the last of them."""

    def gathers_for(hours):
        """Say for how long somebody is new, so that no slow machine decides it."""
        monkeypatch.setattr(gathering, "GATHER_WHILE", timedelta(hours=hours))
        monkeypatch.setattr(gathering, "GATHER_FOR", timedelta(hours=hours))

    record(pipeline, PHONES[0])
    Card.objects.update(looked_for_at=timezone.now())
    send, others = Abreast.start, iter(PHONES[1:4])

    def start(self, ticket, ask, permit):
        send(self, ticket, ask, permit)
        if phone := next(others, None):
            record(pipeline, phone)
            Card.objects.update(looked_for_at=timezone.now())
            gathers_for(hours=1)

    monkeypatch.setattr(Abreast, "start", start)
    pause = Drain._pause

    def rest(self, seconds):
        if self.calls.tickets():
            pause(self, seconds)
        else:
            gathers_for(hours=0)

    monkeypatch.setattr(Drain, "_pause", rest)
    assert sends_and_settlements(account, monkeypatch, has_slot=True) == ["send", "settle"] * 4


def test_before_kommo_is_asked_what_was_answered_is_settled(crowd, monkeypatch):
    """Whoever is new is looked for one by one, and at a second a call that takes long."""
    newest = Card.objects.order_by("-pk").first()
    Card.objects.filter(pk=newest.pk).update(looked_for_at=None)
    unsettled = []

    def look_for_people(*_):
        unsettled.append(Card.objects.filter(create_intent_at__isnull=False, kommo_lead_id=None).count())
        Card.objects.filter(pk=newest.pk).update(looked_for_at=timezone.now())

    monkeypatch.setattr(person_look_up, "look_for_people", look_for_people)
    sends_and_settlements(crowd, monkeypatch, has_slot=True)
    assert unsettled == [0]


def test_a_failure_is_settled_before_anything_else_is_sent(crowd, kommo, monkeypatch):
    kommo.fault("400", path="/api/v4/leads", count=1)
    done = sends_and_settlements(crowd, monkeypatch, has_slot=True)

    assert done[:2] == ["send", "settle a failure"]


@pytest.mark.parametrize("fault", ["500", "429"])
def test_what_was_answered_before_a_failure_does_not_end_the_rest_that_it_calls_for(crowd, kommo, monkeypatch, fault):
    monkeypatch.setattr(Abreast, "start", failing_from_the_third(kommo, fault))
    done = sends_and_settlements(crowd, monkeypatch, has_slot=True)

    assert done == ["send"] * 3 + ["settle"] * 2 + ["settle a failure"]
    crowd.refresh_from_db()
    assert crowd.failures == 1
    assert crowd.retry_at > timezone.now()
    assert not outbox.accounts_with_work(now=timezone.now())


def test_what_was_made_before_kommo_took_no_more_leads_does_not_open_the_account_again(crowd, kommo, monkeypatch):
    monkeypatch.setattr(Abreast, "start", failing_from_the_third(kommo, "402", "/complex"))
    sends_and_settlements(crowd, monkeypatch, has_slot=True)

    assert room_for_leads.standing(crowd.pk)
    assert len([write for write in kommo.writes() if write["status"] == 402]) == 1


def failing_from_the_third(kommo, fault, path=""):
    send, left = Abreast.start, []

    def start(self, ticket, ask, permit):
        left.append(ticket)
        if len(left) == 3:
            kommo.fault(fault, path=f"/api/v4/leads{path}")
        send(self, ticket, ask, permit)

    return start


def test_a_worker_that_dies_with_four_under_way_loses_and_doubles_nothing(crowd, kommo):
    """It ends as soon as all four have left: nobody hears their answers."""

    class Dying(Abreast):
        def start(self, ticket, ask, permit):
            super().start(ticket, ask, permit)
            if len(self.tickets()) == 4:
                for _ in range(4):
                    self._back.get(timeout=10)
                raise SystemExit

    kommo.fault("slow", count=4, path="/api/v4/leads", seconds=0.5)
    lease = account_lease.lease(crowd.pk, now=timezone.now())
    client = client_for(crowd)
    with pytest.raises(SystemExit):
        Drain(crowd, lease, client, Dying(client, at_once=4)).run(until=timezone.now() + LONGEST_DRAIN)
    lease.release()
    assert Card.objects.filter(create_intent_at__isnull=False, kommo_lead_id=None).count() == 20

    for _ in range(10):
        Card.objects.update(write_settles_at=None)
        drain(rested(crowd))

    names = sorted(lead["name"] for lead in kommo.leads())
    assert names == sorted(f"Lead {number}" for number in range(40))
    assert set(Card.objects.values_list("state", flat=True)) == {"in_sync"}


def test_what_changes_while_its_card_is_under_way_leaves_after_that(crowd, pipeline, kommo):
    drain(crowd)
    record(pipeline, PHONES[0], name="Ana")
    kommo.fault("slow", count=1, path="/api/v4/leads", seconds=0.3)

    class Talking(Abreast):
        was_told = False

        def hear(self, seconds):
            if not self.was_told and self.tickets():
                self.was_told = True
                record(pipeline, PHONES[0], name="Ana Lima")
            super().hear(seconds)

    lease, client = account_lease.lease(crowd.pk, now=timezone.now()), client_for(crowd)
    Drain(crowd, lease, client, Talking(client, at_once=4)).run(until=timezone.now() + LONGEST_DRAIN)
    lease.release()

    updates = [write for write in kommo.writes() if write["method"] == "PATCH"]
    assert [update["body"][0]["name"] for update in updates] == ["Ana", "Ana Lima"]
    assert most_at_once(updates) == 1
    assert set(Delivery.objects.values_list("outcome", flat=True)) == {"delivered"}


def test_threads_end_with_their_drain(kommo, account):
    client = client_for(account)
    client.pace = LocalPace(10)
    calls = Abreast(client, at_once=2)
    for number in range(2):
        calls.start(number, lambda twin: twin.account().id, client.pace.acquire(None))
    while len(calls._heard) < 2:
        calls.hear(1)
    assert calls.answered(1).take() == calls.answered(0).take() == account.kommo_account_id

    calls.close()
    for thread in calls._threads:
        thread.join(5)
        assert not thread.is_alive()


def test_a_call_leaves_when_its_slot_is_free_however_early_it_was_taken(kommo, account):
    client = client_for(account)
    client.pace = LocalPace(10)
    calls, leaves_at = Abreast(client, at_once=2), time.monotonic() + 1
    calls.start("early", lambda twin: twin.account().id, Permit(leaves_at=leaves_at))
    calls.start("late", lambda twin: twin.account().id, Permit(leaves_at=0.0))
    while len(calls._heard) < 2:
        calls.hear(1)
    calls.close()

    first, second = kommo.journal()[-2:]
    assert first["monotonic"] < leaves_at <= second["monotonic"]
    # The time it stood ready is none of its way's.
    assert calls.answered("early").trip.seconds < 1


@pytest.mark.parametrize(("fault", "options"), [("429", {"retry_after": 30}), ("429", {}), ("403_html", {})])
def test_a_call_that_has_not_left_stays_when_another_is_told_to_stop(kommo, account, fault, options):
    client = client_for(account)
    client.pace = LocalPace(10)
    calls, asked = Abreast(client, at_once=2), len(kommo.journal())
    kommo.fault(fault, count=1, path="/api/v4/account", **options)
    calls.start("first", lambda twin: twin.account().id, Permit())
    calls.start("second", lambda twin: twin.account().id, Permit(leaves_at=time.monotonic() + 60))
    while len(calls._heard) < 2:
        calls.hear(1)
    calls.close()

    assert len(kommo.journal()) == asked + 1
    with pytest.raises(KommoHeldError) as refused:
        calls.answered("second").take()
    assert refused.value.sent is False


def test_the_cards_of_a_call_that_stayed_are_due_and_nothing_of_them_is_in_doubt(crowd, kommo, monkeypatch):
    """Every slot but the first is free in a moment; the first call's answer is that Kommo has counted too many."""
    original, taken, another_stands_ready = DatabasePace.acquire, [], threading.Event()

    def acquire(self, lane, *, ahead=0.0):
        permit = original(self, lane, ahead=ahead)
        taken.append(permit)
        return permit if len(taken) == 1 else Permit(permit.id, time.monotonic() + 60)

    def start(self, ticket, ask, permit):
        send(self, ticket, ask, permit)
        if len(taken) > 1:
            another_stands_ready.set()

    def create(client, leads):
        client.pace.acquire(Lane.LIVE)
        another_stands_ready.wait(20)
        return create_leads(client, leads)

    send, create_leads = Abreast.start, KommoClient.create_leads_complex
    monkeypatch.setattr(DatabasePace, "acquire", acquire)
    monkeypatch.setattr(Abreast, "start", start)
    monkeypatch.setattr(KommoClient, "create_leads_complex", create)
    kommo.fault("429", count=1, path="/api/v4/leads")
    drain(crowd)

    assert len(kommo.writes()) == 1
    assert len(taken) > 1
    # Of the call that was answered with 429 only.
    assert Card.objects.filter(create_intent_at__isnull=False).count() == 5
    assert not Card.objects.exclude(state__in=Card.PENDING).exists()
    crowd.refresh_from_db()
    assert crowd.failures == 1


def test_a_process_that_ends_begins_nothing_more_and_hears_what_is_under_way(crowd, kommo):
    kommo.fault("slow", count=2, path="/api/v4/leads", seconds=0.3)
    lease, client = account_lease.lease(crowd.pk, now=timezone.now()), client_for(crowd)
    looks = iter([False, False, True])
    drain_ = Drain(crowd, lease, client, Abreast(client, at_once=4), is_over=lambda: next(looks, True))

    assert drain_.run(until=timezone.now() + LONGEST_DRAIN)
    lease.release()
    assert not drain_.calls.tickets()
    assert len(kommo.writes()) == 2
    assert sorted(Card.objects.values_list("state", flat=True)) == ["due"] * 30 + ["in_sync"] * 10


def test_the_next_drain_finds_a_connection_that_stands(account, pipeline, kommo, monkeypatch):
    connected = []
    connect = transport._TimedConnection.connect
    monkeypatch.setattr(
        transport._TimedConnection,
        "connect",
        lambda self: (connected.append(threading.current_thread()), connect(self)),
    )
    record(pipeline, name="Ana")
    Card.objects.update(looked_for_at=timezone.now())
    drain(account)
    by_writes = [thread for thread in connected if thread is not threading.main_thread()]
    record(pipeline, name="Bia")
    drain(account)

    assert len(kommo.writes()) == 2
    assert [thread for thread in connected if thread is not threading.main_thread()] == by_writes
    assert len(by_writes) <= 1
