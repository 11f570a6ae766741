"""Calls of one account side by side: each travels in a thread of its own, which waits for the answer and does no more.

Whoever starts them takes the slots, decides and stores; the threads know no database. An answer is heard by whoever
started its call, which gives its slot back; what it says is taken up when there is time for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from bridge.errors import Call, KommoAccessError, KommoError, KommoHeldError
from bridge.kommo.arrival_times import Trip
from bridge.kommo.client import KommoClient
from bridge.kommo.kept_connections import sessions
from bridge.kommo.throttle import Lane, Permit

Ask = Callable[[KommoClient], Any]


@dataclass(eq=False)
class Answer:
    """What became of a call: what it brought, or what it failed with. `ticket` is what its starter knows it by."""

    ticket: Any
    ask: Ask
    permit: Permit
    token: str = ""
    brought: Any = None
    error: BaseException | None = None
    call: Call | None = None
    trip: Trip | None = None
    too_many: bool = False
    hold_until: datetime | None = None
    # Set when it must not leave any more.
    stay: threading.Event = field(default_factory=threading.Event)

    @property
    def stops_all(self) -> bool:
        """Say whether it tells that no other call may leave now: Kommo has counted too many, or its door is closed.

        After a 401 the next token is tried first.
        """
        is_closed = isinstance(self.error, KommoAccessError) and self.error.status_code != 401
        return self.too_many or self.hold_until is not None or is_closed

    def take(self) -> Any:
        """Return what the call brought. Raises what it failed with."""
        if self.error is not None:
            raise self.error
        return self.brought


class Calls(Protocol):
    """Calls that were started and whose answers nobody has taken up yet."""

    def start(self, ticket: Any, ask: Ask, permit: Permit) -> None:
        """Let a call travel by the slot that was taken for it."""

    def hear(self, seconds: float) -> None:
        """Wait for the next answer, so many seconds at most, and give its slot back."""

    def answered(self, ticket: Any = None) -> Answer | None:
        """Return the oldest answer that was heard and not taken up, or the one to a ticket; None for none."""

    def heard(self) -> int:
        """Return how many answers were heard and not taken up."""

    def has_failed(self) -> bool:
        """Say whether one of them tells of a call that brought nothing."""

    def tickets(self) -> list[Any]:
        """Return the tickets of all calls whose answers were not taken up."""

    def close(self) -> None:
        """Start no more; whatever is under way ends by itself."""


class Abreast:
    """Up to `at_once` calls side by side."""

    def __init__(self, client: KommoClient, *, at_once: int) -> None:
        self._client, self._at_once = client, at_once
        # Whoever waits for a slot hears meanwhile: an answer may be what frees it.
        client.pace.rest = self.hear
        self._threads: list[threading.Thread] = []
        self._orders: queue.SimpleQueue[tuple[Answer, KommoClient] | None] = queue.SimpleQueue()
        self._back: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._under_way: list[Answer] = []
        self._heard: list[Answer] = []

    def start(self, ticket: Any, ask: Ask, permit: Permit) -> None:
        while len(self._under_way) >= self._at_once:
            self.hear(1.0)
        answer = Answer(ticket, ask, permit, self._client.token)
        twin = self._client.twin(_InHand(answer), session=sessions.take(self._client.address))
        self._under_way.append(answer)
        self._orders.put((answer, twin))
        if len(self._threads) < len(self._under_way):
            self._begin()

    def hear(self, seconds: float) -> None:
        try:
            answer = self._back.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return
        self._under_way.remove(answer)
        self._heard.append(answer)
        if answer.stops_all:
            for call in self._under_way:
                call.stay.set()
        pace = self._client.pace
        if answer.too_many:
            pace.refused()
        pace.release(answer.permit, answer.trip)
        if answer.hold_until:
            pace.hold_all(answer.hold_until)

    def answered(self, ticket: Any = None) -> Answer | None:
        self._hear_all()
        answer = next((answer for answer in self._heard if ticket is None or answer.ticket is ticket), None)
        if answer is None:
            return None
        self._heard.remove(answer)
        self._client.heard(answer.call)
        if isinstance(answer.error, KommoAccessError):
            self._ask_again(answer, answer.error)
        return answer

    def heard(self) -> int:
        self._hear_all()
        return len(self._heard)

    def has_failed(self) -> bool:
        self._hear_all()
        return any(answer.error is not None for answer in self._heard)

    def tickets(self) -> list[Any]:
        return [answer.ticket for answer in (*self._heard, *self._under_way)]

    def close(self) -> None:
        for _ in self._threads:
            self._orders.put(None)

    def _hear_all(self) -> None:
        while not self._back.empty():
            self.hear(0)

    def _ask_again(self, answer: Answer, refusal: KommoAccessError) -> None:
        """Ask by the client itself where its token can be renewed: what was refused for that was not acted upon."""
        try:
            if self._client.has_other_token(refusal, answer.token):
                answer.brought, answer.error = answer.ask(self._client), None
        except KommoError as error:
            answer.error = error

    def _begin(self) -> None:
        """Begin another thread. Nobody waits for it: whatever ends this process ends what it is at."""
        self._threads.append(threading.Thread(target=self._travel, name="call-to-kommo", daemon=True))
        self._threads[-1].start()

    def _travel(self) -> None:
        while order := self._orders.get():
            answer, twin = order
            try:
                answer.brought = answer.ask(twin)
            except BaseException as error:
                # Raised where it is taken up.
                answer.error = error
            answer.call = twin.last_call
            sessions.give(twin.address, twin.session)
            self._back.put(answer)


class _InHand:
    """The pace of a call whose slot is taken and given back by the thread that started it; it leaves when it may."""

    rest: Callable[[float], object]

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def acquire(self, lane: Lane, *, ahead: float = 0.0) -> Permit:
        permit = self._answer.permit
        wait = permit.leaves_at - time.monotonic()
        if wait > 0 and self._answer.stay.wait(wait):
            raise KommoHeldError("another call was told that no more may leave", operation="leave")
        return permit

    def release(self, permit: Permit, trip: Trip | None = None) -> None:
        self._answer.trip = trip

    def refused(self) -> None:
        self._answer.too_many = True

    def hold_all(self, until: datetime) -> None:
        self._answer.hold_until = until

    def wait(self, lane: Lane, *, ahead: float = 0.0) -> None:
        """The slot is there."""

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        return True
