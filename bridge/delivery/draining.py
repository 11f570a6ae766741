"""Draining: bring an account's due cards up to date, batch by batch, under its lease.

For every batch: wait until a slot is about to be free, read the cards afresh and plan them (so what leaves is computed
from the newest version of the lead), store what is about to be sent, send it, and settle each card from the answer.
What the answer does not name is not delivered. Whatever may have been applied without our hearing of it stays in doubt
on the card until Kommo confirms it, so a process may die at any line of this file. What a call that brought nothing
leads to is in bridge/delivery/failed_calls.py.

Several batches are under way at once, of different cards: one thread decides, declares and settles, others wait for
the answers (bridge/kommo/parallel_calls.py). What goes wrong with a batch is dealt with one call after the other, and
so are cards that are in trouble: when they leave, nothing else is under way that could suffer with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError

from bridge import heartbeat
from bridge.accounts import catalogue as catalogues
from bridge.accounts import database_clock, room_for_leads
from bridge.cards import gathering, outbox, write_ahead
from bridge.cards.account_lease import Lease
from bridge.cards.backoff import batches
from bridge.cards.batch_entry import Entry
from bridge.cards.desired import desired
from bridge.cards.ledger import Call
from bridge.cards.outbox import due_cards
from bridge.cards.plan import Desired, Observed, Operation, plan
from bridge.delivery import (
    contacts,
    delivery_outcomes,
    erasing_in_kommo,
    handoff_notes,
    person_look_up,
    read_before_write,
)
from bridge.delivery.create_guard import look_up_created
from bridge.delivery.failed_calls import Setbacks
from bridge.errors import KommoError
from bridge.inbound import adoption, missing_leads
from bridge.kommo.client import KommoClient
from bridge.kommo.parallel_calls import Answer, Calls
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue
from common.reasons import Reason
from common.statements import Select
from leads.rulebook import rulebook

log = structlog.get_logger(__name__)

MAX_CREATES = 50
# While nothing is due and answers are awaited, new cards are looked for so often.
LOOK_EVERY_SECONDS = 0.1
# So often a drain that waits for answers shows that it lives.
LONGEST_PAUSE_SECONDS = 1.0
LONGEST_HEAD_START_SECONDS = 0.25
# A slot is taken so long before its call may leave: what is to be stored until then is stored while it becomes free,
# and several that become free together find their calls ready.
READY_BEFORE_SECONDS = 0.15
# So many answers at most wait for a moment in which no slot is near.
MOST_UNSETTLED = 4
# A task of the queue ends well before the queue's own timeout; the next tick goes on.
LONGEST_DRAIN = timedelta(seconds=20)
# A card that was tried this often without any outcome killed the process each time: it is parked. By then it travels
# alone, because every such try weighs as two failures.
MOST_TRIES_WITHOUT_OUTCOME = 5
# Our copy of the account is not read again for every card that misses something in it.
CATALOGUE_IS_NEW_FOR = timedelta(minutes=5)

# What of the account other processes and people change while it is drained: read again for every batch.
CHANGES_MEANWHILE = ("state", "batch_size", "batch_limit", "retry_at", "failures", "refusals")
STANDING = Select(lambda account_id: Account.objects.filter(pk=account_id).values_list(*CHANGES_MEANWHILE))


@dataclass(eq=False)
class Batch:
    """Cards whose write is under way: what settles them, and how part of them is sent again."""

    entries: list[Entry]
    settle: Callable[[list[Entry], list[Any]], bool]
    again: Callable[[list[Entry]], bool]


@dataclass
class Drain:
    """One holder's work for one account; its writes travel by `calls`."""

    account: Account
    lease: Lease
    client: KommoClient
    calls: Calls
    clock: Callable[[], datetime] = database_clock.now
    # Asked before each batch: whether this process is about to end.
    is_over: Callable[[], bool] = lambda: False
    catalogue: Catalogue | None = None
    catalogue_refreshed: bool = False
    delivered: int = field(default=0)
    setbacks: Setbacks = field(init=False)
    # Cards whose leads were read before a move, until they are sent: however slow Kommo is, they are read once.
    read_back: set[int] = field(default_factory=set)
    # Seconds, as of the last batch: the next is begun so much before a slot is free, and is ready when it is.
    planning_takes: float = 0.0
    # A batch that is sent now is settled before anything else is begun.
    is_alone: bool = False

    def __post_init__(self) -> None:
        self.setbacks = Setbacks(self)

    def run(self, *, until: datetime) -> bool:
        """Deliver until nothing is due, the time is up, or Kommo asks us to stop; True when cards may still be due."""
        self.catalogue = catalogues.stored(self.account)
        try:
            more = self._run(until)
            return self._take_up_all() and more
        finally:
            self.calls.close()

    def _run(self, until: datetime) -> bool:
        while self.clock() < until and not self.is_over():
            heartbeat.progress()
            if not self._settle_meanwhile() or not self.lease.renew(self.clock()) or not self._may_send():
                return False
            if not self._gather():
                return False
            self.client.wait(Lane.LIVE, ahead=self.planning_takes + READY_BEFORE_SECONDS)
            if self.calls.has_failed():
                continue
            began = time.monotonic()
            cards = due_cards(self.account.pk, now=self.clock(), limit=self._batch_size(), but=self._under_way())
            if not cards and self.calls.tickets():
                if not self._take_up():
                    return False
                self.calls.hear(LOOK_EVERY_SECONDS)
                continue
            if not cards:
                return self._deliver_the_rest()
            entries = self.plan_all(cards)
            self.planning_takes = min(time.monotonic() - began, LONGEST_HEAD_START_SECONDS)
            if not self._deliver(entries):
                return False
        return True

    def _under_way(self) -> list[int]:
        """Return the cards whose answers were not taken up: whatever they call for now, it is planned after that."""
        return [entry.card.pk for batch in self.calls.tickets() for entry in batch.entries]

    def _gather(self) -> bool:
        """Wait while more cards are just becoming due, and settle meanwhile; False when the account has to rest."""
        while pause := gathering.gathers_for(
            self.account.pk, now=self.clock(), enough=self._batch_size(), but=self._under_way()
        ):
            if not self.calls.heard():
                self._pause(pause.total_seconds())
            elif not self._take_up_one():
                return False
        return True

    def _pause(self, seconds: float) -> None:
        if self.calls.tickets():
            self.calls.hear(seconds)
        else:
            time.sleep(seconds)

    def _deliver_the_rest(self) -> bool:
        """Once the cards are right: people to forget, names of contacts, what sellers are told; True for more."""
        more = erasing_in_kommo.deliver_due(self.account, self.client, now=self.clock())
        more = contacts.deliver_due(self.account, self.client, now=self.clock()) or more
        return handoff_notes.deliver_due(self.account, self.client, now=self.clock()) or more

    def _may_send(self) -> bool:
        found = STANDING.first(account_id=self.account.pk)
        if found is None:
            return False
        for name, value in zip(CHANGES_MEANWHILE, found, strict=True):
            setattr(self.account, name, value)
        rests = self.account.retry_at is not None and self.account.retry_at > self.clock()
        return self.account.state != Account.State.PAUSED and not rests

    def _batch_size(self) -> int:
        return max(1, min(self.account.batch_size, self.account.batch_limit))

    def _deliver(self, entries: list[Entry]) -> bool:
        """Deliver one batch; False when the account has to rest."""
        idle = [entry for entry in entries if entry.plan.is_empty]
        delivery_outcomes.nothing_to_send(idle, now=self.clock())
        busy = [entry for entry in entries if not entry.plan.is_empty]
        busy = delivery_outcomes.park(busy, _hopeless, now=self.clock())
        if self.account.state == Account.State.SHADOW:
            delivery_outcomes.would_send(busy, now=self.clock())
            return True
        creates = [entry for entry in busy if entry.plan.operation is Operation.CREATE]
        updates = [entry for entry in busy if entry.plan.operation is Operation.UPDATE]
        unsure = [entry for entry in creates if entry.card.create_intent_at]
        if unsure:
            # An earlier create may have succeeded without our hearing of it: look before creating again.
            return self._take_up() and self.look_up(unsure)
        if blind := self._blind_writes(updates):
            return self._take_up() and self._read_again(blind)
        if creates and (closed := room_for_leads.standing(self.account.pk)):
            creates = room_for_leads.let_in(creates, closed, now=self.clock())
        unknown = [entry for entry in creates if not person_look_up.is_looked_for(entry.card, now=self.clock())]
        if unknown:
            # Updates that are ready leave with this round; whoever is new is looked for, some at a time.
            sent = self._send_in_groups(updates, self._batch_size(), self._update)
            return sent and self._take_up() and self._look_for_people(unknown)
        return self._send_in_groups(creates, MAX_CREATES, self._create) and self._send_in_groups(
            updates, self._batch_size(), self._update
        )

    # --- Planning

    def plan_all(self, cards: Sequence[Card]) -> list[Entry]:
        wanted = [(card, self._desired(card)) for card in cards]
        too_little = any(wish and wish.knows_too_little for _, wish in wanted)
        if too_little and self.renew_catalogue(if_older_than=CATALOGUE_IS_NEW_FOR):
            wanted = [(card, self._desired(card)) for card in cards]
        return [self._entry(card, wish) for card, wish in wanted if wish]

    def _desired(self, card: Card) -> Desired | None:
        """Return what the card should show; None for one that cannot be computed, which is parked."""
        try:
            return desired(card, rulebook(card.lead.pipeline), self.account, self.catalogue)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:
            log.exception("card_cannot_be_planned", card=card.pk)
            delivery_outcomes.park_unplannable(card, error, now=self.clock())
            return None

    def _entry(self, card: Card, wanted: Desired) -> Entry:
        observed = Observed(card.kommo_lead_id, card.observed, card.in_doubt)
        return Entry(card, plan(wanted, observed), card.wanted_version, wanted)

    def renew_catalogue(self, *, if_older_than: timedelta = timedelta(0)) -> bool:
        """Read the account's pipelines and fields again, once a drain; False when that is not due."""
        now = self.clock()
        is_new = self.catalogue is not None and now - self.catalogue.fetched_at < if_older_than
        if self.catalogue_refreshed or is_new:
            return False
        self.catalogue_refreshed = True
        try:
            self.catalogue = catalogues.refresh(self.account, self.client, now=now)
        except KommoError as error:
            log.info("catalogue_not_read", account=self.account.pk, error=error.in_log)
            return False
        return True

    # --- Sending

    def look_up(self, unsure: list[Entry]) -> bool:
        try:
            look_up_created(self.account, self.client, [entry.card for entry in unsure], self.catalogue, self.clock())
        except KommoError as error:
            return self.setbacks.failed(unsure, error)
        return True

    def _look_for_people(self, unknown: list[Entry]) -> bool:
        """Let nobody have a second card: whoever has one in Kommo is linked, and planned again."""
        cards = [entry.card for entry in unknown]
        try:
            person_look_up.look_for_people(self.account, self.client, cards, self.catalogue, self.clock())
        except KommoError as error:
            return self.setbacks.failed(unknown, error)
        return True

    def _blind_writes(self, updates: list[Entry]) -> list[Entry]:
        """Return the updates that would go over what a person may have done unheard: a move, or any other edit."""
        now = self.clock()
        stale = [
            entry
            for entry in updates
            if entry.card.pk not in self.read_back and not read_before_write.is_fresh(entry.card, now=now)
        ]
        if not stale:
            return []
        moved = [entry.card for entry in stale if "status_id" in entry.plan.effect]
        blind = read_before_write.unheard(self.account, moved, now=now) if moved else set()
        blind |= read_before_write.waited_for(self.account, [entry.card for entry in stale], now=now)
        return [entry for entry in stale if entry.card.pk in blind]

    def _read_again(self, entries: list[Entry]) -> bool:
        """Let people's moves come first: the cards are planned again from what was read."""
        try:
            missing = read_before_write.read_again(self.client, self.catalogue, [entry.card for entry in entries])
        except KommoError as error:
            return self.setbacks.failed(entries, error)
        self.read_back |= {entry.card.pk for entry in entries}
        self.miss([entry for entry in entries if entry.card.pk in missing], Reason("not_found_before_move"))
        return True

    def _send_in_groups(self, entries: list[Entry], size: int, send: Callable[[list[Entry]], bool]) -> bool:
        """Send in groups that shrink with the trouble behind their cards; False when the account must rest."""
        waiting = list(entries)
        while waiting:
            groups = batches([_trouble(entry.card) for entry in waiting], min(size, self._batch_size()))
            # One at a time: the answer to this group may shrink the next ones.
            if not self._send_group([waiting[place] for place in groups[0]], send):
                return False
            waiting = [waiting[place] for group in groups[1:] for place in group]
        return True

    def _send_group(self, entries: list[Entry], send: Callable[[list[Entry]], bool]) -> bool:
        """Send one group; whoever failed before when nothing else is under way, so that it takes nobody along."""
        if not _trouble(entries[0].card):
            return send(entries)
        if not self._take_up_all():
            return False
        with self._alone():
            return send(entries)

    def _create(self, entries: list[Entry]) -> bool:
        closed = room_for_leads.standing(self.account.pk)
        if closed and closed.next_at > self.clock():
            # Refused to the group before this one.
            room_for_leads.park([entry.card.pk for entry in entries], until=closed.next_at)
            return True
        return self._send(entries, "create_leads_complex", self._created, again=self._create)

    def _created(self, entries: list[Entry], answers: list[Any]) -> bool:
        merged = delivery_outcomes.created(entries, answers, call=self.newest_call(), now=self.clock())
        self._succeeded(len(answers))
        if answers and room_for_leads.standing(self.account.pk):
            room_for_leads.opened(self.account.pk, now=self.clock())
        return self._read_merged(merged)

    def _update(self, entries: list[Entry]) -> bool:
        return self._send(entries, "update_leads", self._updated, again=self._update)

    def _updated(self, entries: list[Entry], answers: list[Any]) -> bool:
        left_out = delivery_outcomes.updated(entries, answers, call=self.newest_call(), now=self.clock())
        self._succeeded(len(answers))
        return self._look_for(left_out)

    def _send(
        self,
        entries: list[Entry],
        write: str,
        settle: Callable[[list[Entry], list[Any]], bool],
        *,
        again: Callable[[list[Entry]], bool],
    ) -> bool:
        """Send one batch on its way; False when the account has to rest or the lease is lost.

        The slot comes first: between the last look at a plan and its leaving there is no wait but for that slot.
        """
        lane = Lane.LIVE if any(entry.card.lane == Card.Lane.LIVE for entry in entries) else Lane.BULK
        try:
            self.client.wait(lane, ahead=READY_BEFORE_SECONDS)
            permit = self.client.pace.acquire(lane, ahead=READY_BEFORE_SECONDS)
        except KommoError as error:
            return self.setbacks.failed(entries, error)
        sent: list[Entry] = []
        try:
            if not self.lease.renew(self.clock()):
                return False
            self.read_back -= {entry.card.pk for entry in entries}
            sent = write_ahead.declare(entries, now=self.clock())
        finally:
            if not sent:
                self.client.pace.release(permit)
        if not sent:
            return True
        batch, bodies = Batch(sent, settle, again), [entry.plan.body for entry in sent]

        def ask(client: KommoClient) -> list[Any]:
            answers: list[Any] = getattr(client, write)(bodies)
            return answers

        self.calls.start(batch, ask, permit)
        return self._take_up_one(batch) if self.is_alone else self._heed_failures()

    # --- Answers

    def _settle_meanwhile(self) -> bool:
        """Settle at once when a call failed, else while no slot is near; False when the account has to rest.

        What is to be sent goes first: a slot that stands free is lost, and what was answered can be settled later.
        """
        goes_on, ahead = self._heed_failures(), self.planning_takes + READY_BEFORE_SECONDS
        while goes_on and (heard := self.calls.heard()):
            # What shrank grows back by an answer: the next batch is larger for it.
            is_whole = self.account.batch_limit >= self.account.batch_size
            if is_whole and heard < MOST_UNSETTLED and self.client.has_slot(ahead=ahead):
                break
            goes_on = self._take_up_one()
        return goes_on

    def _heed_failures(self) -> bool:
        """Settle what was heard once a call has failed: what came before it first, for that tells nothing of after."""
        return self._take_up() if self.calls.has_failed() else True

    def _take_up(self) -> bool:
        """Settle every batch whose answer was heard, in that order; False when the account has to rest."""
        goes_on = True
        while answer := self.calls.answered():
            goes_on = self._settle(answer) and goes_on
        return goes_on

    def _take_up_one(self, batch: Batch | None = None) -> bool:
        """Wait for the answer to one batch, or to the oldest, and settle it."""
        while not (answer := self.calls.answered(batch)):
            self._show_life()
            self.calls.hear(LONGEST_PAUSE_SECONDS)
        return self._settle(answer)

    def _take_up_all(self) -> bool:
        """Wait until nothing is under way, and settle all of it; False when the account has to rest."""
        goes_on = self._take_up()
        while self.calls.tickets():
            self._show_life()
            self.calls.hear(LONGEST_PAUSE_SECONDS)
            goes_on = self._take_up() and goes_on
        return goes_on

    def _show_life(self) -> None:
        heartbeat.progress()
        self.lease.renew(self.clock())

    def _settle(self, answer: Answer) -> bool:
        batch: Batch = answer.ticket
        with self._alone():
            try:
                answers = answer.take()
            except KommoError as error:
                return self.setbacks.failed(batch.entries, error, again=batch.again)
            return batch.settle(batch.entries, answers)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        before, self.is_alone = self.is_alone, True
        try:
            yield
        finally:
            self.is_alone = before

    def _read_merged(self, merged: list[Entry]) -> bool:
        """Read the older leads that duplicate control joined ours to: what they hold otherwise is a person's."""
        for entry in merged:
            card = Card.objects.get(pk=entry.card.pk)
            if card.kommo_lead_id is None:
                continue
            try:
                reply = self.client.lead(card.kommo_lead_id)
            except KommoError as error:
                # It was created; the comparison with Kommo finds what differs.
                log.info("merged_lead_not_read", card=card.pk, error=error.in_log)
                continue
            now = self.clock()
            adoption.adopt_each({card.pk: reply}, self.catalogue, read_at=now, now=now, found_by="merge")
        return True

    def _look_for(self, left_out: list[Entry]) -> bool:
        """Ask for the leads that Kommo left out of its answers more than once; those it does not have are gone."""
        if not left_out:
            return True
        ids = [entry.card.kommo_lead_id for entry in left_out if entry.card.kommo_lead_id]
        try:
            there = {reply.id for reply in self.client.iterate_leads(ids=ids) if not reply.is_deleted}
        except KommoError as error:
            return self.setbacks.failed(left_out, error)
        lost = [entry for entry in left_out if entry.card.kommo_lead_id not in there]
        self.miss(lost, Reason("answers_leave_lead_out"))
        return True

    def miss(self, entries: list[Entry], reason: str) -> None:
        """Put off cards whose lead was not found: it is asked for once more before anybody believes it."""
        cards = Card.objects.filter(pk__in=[entry.card.pk for entry in entries]).select_related("lead")
        missing_leads.miss(cards, reason=reason, now=self.clock())

    def newest_call(self, *, of: KommoError | None = None) -> Call:
        """Return what is known of a call: the newest one that was heard of, or the one that an error is about."""
        last = of.call if of else self.client.last_call
        return Call(last.status, last.request_id, round(last.seconds * 1000)) if last else Call()

    def _succeeded(self, count: int) -> None:
        """Kommo answers: what waited only because it did not is due at once, and batches grow back."""
        self.delivered += count
        changed: dict[str, Any] = {}
        if self.account.refusals:
            changed["refusals"] = 0
        if self.account.failures or self.account.retry_at:
            changed |= {"failures": 0, "retry_at": None}
            outbox.wake(self.account.pk, most_attempts=self.account.failures, now=self.clock())
        if self.account.batch_limit < self.account.batch_size:
            self.account.batch_limit = min(self.account.batch_limit * 2, 250)
            changed |= {"batch_limit": self.account.batch_limit}
        if changed:
            Account.objects.filter(pk=self.account.pk).update(**changed)
            self.account.failures, self.account.refusals, self.account.retry_at = 0, 0, None


def _trouble(card: Card) -> int:
    """Return how many times the card's batch is halved: once per failure, twice per try that nobody lived to tell."""
    return card.attempts + 2 * card.tries_without_outcome


def _hopeless(entry: Entry) -> str:
    """Return why a plan must not be tried again; empty when it may be."""
    if entry.card.refused_plan and entry.card.refused_plan == entry.plan.fingerprint:
        return entry.card.last_error or Reason("refused_before")
    if entry.card.tries_without_outcome >= MOST_TRIES_WITHOUT_OUTCOME:
        return Reason("parked_without_outcome", number=entry.card.tries_without_outcome)
    return ""
