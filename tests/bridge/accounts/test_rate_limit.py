"""The ceiling over all processes, kept in the database."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import process_identity
from bridge.accounts import account_state
from bridge.accounts import rate_limit as pace_module
from bridge.accounts.connection import open_account
from bridge.accounts.rate_limit import DatabasePace
from bridge.errors import KommoHeldError
from bridge.kommo.arrival_times import Trip
from bridge.kommo.throttle import Lane
from bridge.models import Account, CallSlot
from tests.conftest import drain, record


@pytest.fixture
def row(db, monkeypatch):
    """An account whose way nobody has measured yet."""
    monkeypatch.setattr(pace_module, "_distances", {})
    return Account.objects.create(name="acme", base_url="https://acme.kommo.com", requests_per_second=3)


def test_two_processes_share_one_ceiling(row):
    first, other = DatabasePace(row), DatabasePace(row)
    permits = [first.acquire(), other.acquire(), first.acquire()]
    started = timezone.now()

    for permit in permits:
        first.release(permit)
    other.acquire()

    assert timezone.now() - started >= timedelta(seconds=1)
    assert CallSlot.objects.filter(account=row).count() == 3


def test_whoever_needs_time_to_prepare_waits_for_so_much_less(row):
    pace = DatabasePace(row)
    pace.acquire()
    CallSlot.objects.update(free_at=timezone.now() + timedelta(seconds=10))
    pace.wait(ahead=9.9)
    assert 0 < pace._pause() <= 9.9
    assert (pace.has_slot(ahead=9.99), pace.has_slot(ahead=9.0), pace.has_slot()) == (True, False, False)
    # Nothing was taken, and nothing leaves before its time.
    assert pace._take(Lane.LIVE) is None


def test_a_long_wait_that_kommo_asked_for_sends_everybody_away(row):
    busy, other = DatabasePace(row), DatabasePace(row)
    under_way = busy.acquire()
    busy.hold_all(timezone.now() + timedelta(seconds=300))
    busy.release(under_way)

    with pytest.raises(KommoHeldError) as refused:
        other.acquire()

    assert timedelta(seconds=295) < refused.value.retry_after <= timedelta(seconds=300)
    assert refused.value.sent is False
    other.wait()
    # Nor does anybody begin a drain meanwhile.
    row.refresh_from_db()
    assert row.retry_at > timezone.now() + timedelta(seconds=295)


def test_slots_in_use_are_waited_for_and_are_no_hold(row):
    pace = DatabasePace(row)
    permits = [pace.acquire() for _ in range(3)]
    assert pace._held_for() is None
    releaser = threading.Timer(0.1, lambda: None)
    releaser.start()
    releaser.join()
    pace.release(permits[0])
    assert pace.acquire()


def test_workers_heed_a_pause_and_people_do_not(row):
    account_state.pause(row, reason="blocked by Kommo", now=timezone.now())
    with pytest.raises(KommoHeldError, match="blocked by Kommo"):
        DatabasePace(row, heeds_pause=True).acquire()
    assert DatabasePace(row).acquire()


def test_bulk_calls_step_back_for_live_ones_but_not_for_ever(row, monkeypatch):
    monkeypatch.setattr(pace_module, "BULK_WAITS_SECONDS", 0.3)
    Account.objects.update(live_waits_until=timezone.now() + timedelta(hours=1))
    pace = DatabasePace(row)
    assert pace._take(Lane.BULK) is None
    assert pace._take(Lane.LIVE)
    assert pace.acquire(Lane.BULK)


def test_bulk_cards_travel_in_the_bulk_lane_unless_a_live_one_is_with_them(account, pipeline, kommo, monkeypatch):
    lanes = []
    original = DatabasePace.acquire

    def acquire(self, lane=Lane.LIVE, *, ahead=0.0):
        lanes.append(lane)
        return original(self, lane, ahead=ahead)

    monkeypatch.setattr(DatabasePace, "acquire", acquire)
    for phone in ("+5581988000001", "+5581988000002"):
        record(pipeline, phone)
    account.cards.update(lane=Lane.BULK.value)
    drain(account)
    # Looking for the people is bulk work as well.
    assert set(lanes) == {Lane.BULK}

    for number, phone in enumerate(("+5581988000001", "+5581988000002")):
        record(pipeline, phone, name="Maria")
        if not number:
            account.cards.update(lane=Lane.BULK.value)
    drain(account)
    assert lanes[-1] is Lane.LIVE


def test_an_html_403_stops_every_worker_whatever_it_was_doing(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    comparing = open_account(account.pk)[1]
    delivering = open_account(account.pk)[1]
    kommo.fault("403_html", count=1, path="/api/v4/events")

    with pytest.raises(Exception, match="blocks this address"):
        comparing.events(types=["lead_added"], since=timezone.now())
    calls = len(kommo.journal())
    with pytest.raises(KommoHeldError):
        list(delivering.iterate_leads())

    assert len(kommo.journal()) == calls
    account.refresh_from_db()
    assert account.state == Account.State.PAUSED
    assert "Kommo blocks this address" in account.state_reason


@pytest.fixture
def two_at_once(settings):
    settings.KOMMO_CALLS_AT_ONCE = 2


def test_no_more_calls_than_so_many_are_under_way_over_all_processes(row, two_at_once):
    each_first, other = DatabasePace(row), DatabasePace(row)
    first, second = each_first.acquire(), other.acquire()
    # A slot is free, and no place.
    assert each_first._take(Lane.LIVE) is None
    assert other._take(Lane.LIVE) is None
    assert each_first._held_for() is None

    other.release(second)

    assert each_first._take(Lane.LIVE)
    each_first.release(first)


def test_where_enough_is_under_way_no_slot_is_near(row, two_at_once):
    pace = DatabasePace(row)
    pace.acquire()
    assert pace.has_slot()
    pace.acquire()
    assert not pace.has_slot(ahead=60.0)


def test_whoever_waits_hears_of_the_answers_that_free_a_slot(row, two_at_once):
    pace = DatabasePace(row)
    permits = [pace.acquire(), pace.acquire()]
    rests = []

    def rest(seconds):
        rests.append(seconds)
        pace.release(permits.pop())

    pace.rest = rest

    assert pace.acquire()
    assert len(rests) == 1


def test_a_slot_is_free_a_second_after_its_call_arrived_and_not_after_its_answer(row):
    pace = DatabasePace(row)
    for _ in range(100):
        pace._distance.note(Trip("update leads", 0.8, 0.0))
    permit, answered_at = pace.acquire(), timezone.now()
    pace.release(permit, Trip("update leads", 0.8, time.monotonic()))

    free_at = CallSlot.objects.latest("free_at").free_at
    # Left 0.8 s ago, and a hundred that are alike leave little doubt.
    assert answered_at + timedelta(seconds=0.1) < free_at <= timezone.now() + timedelta(seconds=0.3)


def test_accounts_behind_one_address_may_share_one_ceiling(row, settings):
    other = Account.objects.create(name="other", base_url="https://other.kommo.com", requests_per_second=3)
    assert DatabasePace(other).acquire()
    settings.KOMMO_SHARED_CEILING = True
    paces = [DatabasePace(row), DatabasePace(other)]
    assert all(paces[number % 2].acquire() for number in range(3))

    assert [pace._take(Lane.LIVE) for pace in paces] == [None, None]
    # And each has as many places as it had.
    assert all(pace._has_place(pace._look()) for pace in paces)


def test_a_slot_may_be_taken_before_it_is_free_and_its_call_leaves_when_it_is(row):
    first, other = DatabasePace(row), DatabasePace(row)
    first.release(first.acquire())
    CallSlot.objects.update(free_at=timezone.now() + timedelta(seconds=60))
    CallSlot.objects.exclude(number=0).update(free_at=timezone.now() + timedelta(seconds=600))
    assert first._take(Lane.LIVE, 10) is None

    before = time.monotonic()
    permit = first.acquire(ahead=90)

    assert before < permit.leaves_at <= time.monotonic() + 60
    # It is taken: nobody else leaves by it, now or then.
    assert other._take(Lane.LIVE, 90) is None


def test_no_slot_is_taken_early_from_a_call_that_has_it(row):
    pace = DatabasePace(row)
    permits = [pace.acquire() for _ in range(3)]
    CallSlot.objects.update(free_at=timezone.now() + timedelta(seconds=0.3))
    assert len(permits) == 3
    assert pace._take(Lane.LIVE, 0.5) is None


def test_what_one_process_knows_of_the_way_the_next_of_its_machine_begins_with(row, monkeypatch):
    here = DatabasePace(row)._distance
    for _ in range(50):
        here.note(Trip("update leads", 0.5, 0.0))
    pace_module.tell_distance(row)
    # Another process, which has measured nothing.
    monkeypatch.setattr(pace_module, "_distances", {})
    row.refresh_from_db()

    trip = Trip("update leads", 0.5, time.monotonic())
    assert DatabasePace(row)._distance.frees_in(trip) == pytest.approx(here.frees_in(trip), abs=0.02)
    assert here.frees_in(trip) < 0.6


@pytest.mark.parametrize(
    "known_distances",
    [
        {"another machine": {"address": "{address}", "at": "{now}"}},
        {"{here}": {"address": "https://before.kommo.com", "at": "{now}"}},
        {"{here}": {"address": "{address}", "at": "{long ago}"}},
    ],
)
def test_what_was_measured_elsewhere_or_long_ago_counts_for_nothing(row, known_distances):
    now = time.time()
    known = {"{address}": row.base_url, "{here}": process_identity.machine(), "{now}": now, "{long ago}": now - 3_601}
    filled = {
        known.get(machine, machine): {key: known.get(value, value) for key, value in distance.items()}
        for machine, distance in known_distances.items()
    }
    for distance in filled.values():
        distance["kinds"] = {"update leads": [50, 0.5, 0.5]}
    row.distances = filled

    trip = Trip("update leads", 0.5, time.monotonic())
    # As where nothing is known: a second after the answer.
    assert DatabasePace(row)._distance.frees_in(trip) > 0.9


def test_what_is_told_is_told_once_there_is_news_and_old_news_of_others_goes(row):
    row.distances = {"gone": {"address": row.base_url, "at": time.time() - 3_601, "kinds": {}}}
    row.save()
    distance = DatabasePace(row)._distance
    distance.note(Trip("update leads", 0.5, 0.0))
    pace_module.tell_distance(row)
    row.refresh_from_db()
    assert list(row.distances) == ["gone"]

    for _ in range(5):
        distance.note(Trip("update leads", 0.5, 0.0))
    pace_module.tell_distance(row)
    row.refresh_from_db()
    assert list(row.distances) == [process_identity.machine()]
