"""Webhooks out: bodies grouped as Kommo groups them, sent from threads, retried on Kommo's ladder."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field

import requests

from kommo_sandbox import brackets
from kommo_sandbox.answers import Json
from kommo_sandbox.faults import Faults
from kommo_sandbox.news import News
from kommo_sandbox.options import Options
from kommo_sandbox.store import Store

USER_AGENT = "amoCRM-Webhooks/3.0"
# Seconds before the 2nd to 5th try. The last two are made only after a 499, a 5xx or a timeout.
LADDER = (300.0, 900.0, 900.0, 3600.0)
SHORT_LADDER = 2
DISABLING_WINDOW = 7200.0  # seconds
SENDERS = 4
REORDER_WITHIN = 0.4  # seconds
REMEMBERED = 5000


@dataclass(order=True)
class Sending:
    """One body on its way to one destination."""

    due: float
    number: int
    destination: str = field(compare=False)
    body: str = field(compare=False)
    attempt: int = field(compare=False, default=1)


class Hooks:
    """Sends webhooks in the background; `lock` is the sandbox's and guards the subscriptions."""

    def __init__(self, store: Store, options: Options, faults: Faults, lock: threading.RLock) -> None:
        self.store = store
        self.options = options
        self.faults = faults
        self.lock = lock
        self.base_url = "http://127.0.0.1"
        self.sent: deque[Json] = deque(maxlen=REMEMBERED)
        self.delivered = 0
        self.failed = 0
        self.dropped = 0
        self._queue: list[Sending] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def wants(self, *settings: str) -> bool:
        """Say if any living subscription asks for one of these settings."""
        return any(
            not subscription.disabled and not set(settings).isdisjoint(subscription.settings)
            for subscription in self.store.subscriptions.values()
        )

    def announce(self, news: list[News]) -> None:
        """Queue the news for every destination subscribed to it: one body per action, several entities each."""
        for subscription in self.store.subscriptions.values():
            if subscription.disabled:
                continue
            groups: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
            for change in news:
                if change.setting in subscription.settings:
                    groups[change.root, change.action].append(change.item)
            for (root, action), items in groups.items():
                size = max(1, self.options.webhook_group_size)
                for start in range(0, len(items), size):
                    body = {"account": self._account(), root: {action: items[start : start + size]}}
                    self._post(subscription.destination, brackets.encode(body))

    @property
    def pending(self) -> int:
        """Return how many sendings wait for their first or another try, or are under way."""
        with self._changed:
            return len(self._queue) + self._under_way

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=self.options.webhook_timeout + 1)

    def forget(self) -> None:
        """Drop what waits to be sent, and the record of what was sent."""
        with self._changed:
            self._queue.clear()
        self.sent.clear()
        self.delivered = self.failed = self.dropped = 0

    def _account(self) -> Json:
        return {
            "subdomain": self.store.subdomain,
            "id": self.store.account_id,
            "_links": {"self": self.base_url},
        }

    def _post(self, destination: str, body: str) -> None:
        if self.options.drop_webhooks:
            self.dropped += 1
            return
        for _ in range(2 if self.options.duplicate_webhooks else 1):
            wait = self.options.webhook_delay
            if self.options.reorder_webhooks:
                wait += self.faults.random.uniform(0, REORDER_WITHIN)
            self._push(Sending(time.perf_counter() + wait, next(self._numbers), destination, body))

    def _push(self, sending: Sending) -> None:
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._queue, sending)
            if not self._threads:
                for index in range(SENDERS):
                    thread = threading.Thread(target=self._work, name=f"sandbox-hook-{index}", daemon=True)
                    self._threads.append(thread)
                    thread.start()
            self._changed.notify()

    def _work(self) -> None:
        with requests.Session() as session:
            # A proxy in the environment is none of a loopback sandbox's business.
            session.trust_env = False
            while (sending := self._next()) is not None:
                try:
                    self._send(session, sending)
                finally:
                    with self._changed:
                        self._under_way -= 1

    def _next(self) -> Sending | None:
        with self._changed:
            while not self._closed:
                wait = self._queue[0].due - time.perf_counter() if self._queue else None
                if wait is not None and wait <= 0:
                    self._under_way += 1
                    return heapq.heappop(self._queue)
                self._changed.wait(wait)
        return None

    def _send(self, session: requests.Session, sending: Sending) -> None:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": USER_AGENT,
            "X-Amocrm-Requestid": str(uuid.uuid4()),
        }
        started = time.perf_counter()
        status = 0
        try:
            reply = session.post(
                sending.destination,
                data=sending.body.encode(),
                headers=headers,
                timeout=self.options.webhook_timeout,
                allow_redirects=False,
            )
            status = reply.status_code
        except requests.Timeout:
            # How Kommo counts a timeout is not documented; 499 is the reading with more tries.
            status = 499
        except requests.RequestException:
            status = 0
        self.sent.append(
            {
                "destination": sending.destination,
                "attempt": sending.attempt,
                "status": status,
                "body": sending.body,
                "request_id": headers["X-Amocrm-Requestid"],
                "duration_seconds": time.perf_counter() - started,
            }
        )
        if 100 <= status <= 299:
            self.delivered += 1
            return
        self.failed += 1
        self._note_bad_answer(sending.destination)
        self._try_again(sending, status)

    def _try_again(self, sending: Sending, status: int) -> None:
        tries = len(LADDER) if status >= 499 else SHORT_LADDER
        if sending.attempt > tries:
            return
        wait = LADDER[sending.attempt - 1] * self.options.webhook_time_scale
        due = time.perf_counter() + wait
        again = Sending(due, next(self._numbers), sending.destination, sending.body, sending.attempt + 1)
        self._push(again)

    def _note_bad_answer(self, destination: str) -> None:
        """Switch the destination off after more than 100 bad answers in two hours."""
        at = time.perf_counter()
        with self.lock, contextlib.suppress(KeyError):
            subscription = self.store.subscriptions[destination]
            window = DISABLING_WINDOW * self.options.webhook_time_scale
            recent = [moment for moment in subscription.bad_answers if moment > at - window]
            subscription.bad_answers = [*recent, at]
            if len(subscription.bad_answers) > self.options.webhook_disable_after:
                subscription.disabled = True
