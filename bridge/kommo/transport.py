"""The road every call to Kommo takes: a slot, the request, the slot given back, errors translated, what happened told.

A write is never repeated in here, because a create is not idempotent and a lost answer may hide a success; that is
delivery's to decide.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import urlencode

import orjson
import requests
import structlog
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bridge import tracing
from bridge.errors import (
    Call,
    KommoAccessError,
    KommoError,
    KommoRateLimitError,
    KommoReplyError,
    KommoServerError,
    KommoUnreachableError,
)
from bridge.kommo import reply_values
from bridge.kommo.arrival_times import Trip
from bridge.kommo.bounded_answers import read_whole
from bridge.kommo.errors import from_answer, read_json
from bridge.kommo.hosts import check_base_url
from bridge.kommo.throttle import Lane, Pace, Permit
from bridge.kommo.what_an_error_stops import Action, decide
from common.reasons import Reason, about

log = structlog.get_logger(__name__)

# Seconds to connect and to read, as Kommo's own client has them.
TIMEOUT = (5, 20)
# 250 leads with every field filled are some megabytes. The time is what a lease and a slot have for a call.
MOST_ANSWER_BYTES = 64 * 1024 * 1024
LONGEST_ANSWER_SECONDS = 45.0
# What another try may find gone.
PASSING = (KommoRateLimitError, KommoServerError, KommoUnreachableError)
USER_AGENT = "kommo-bridge/1.0"
LIST_LIMIT = 250
# An endless list is a fault on the other side; a million rows is more than any account here has.
MOST_PAGES = 4000

Body = list[dict[str, Any]] | dict[str, Any]
T = TypeVar("T")


class TokenSource(Protocol):
    """Where the access token comes from, and what to do when it is refused."""

    def access_token(self) -> str: ...

    def refresh(self, rejected: str) -> str | None:
        """Return another token to try once; None when only a person can help."""


class Transport:
    """Calls to one account's API. Use one per thread."""

    def __init__(
        self,
        base_url: str,
        token: TokenSource,
        pace: Pace,
        *,
        session: requests.Session | None = None,
        on_call: Callable[[Call], None] | None = None,
        on_refused: Callable[[KommoAccessError], None] | None = None,
        read_again_after: Sequence[float] = (),
    ) -> None:
        """`on_refused` hears of every door that stays closed: a token nobody can renew, a blocked address.

        `read_again_after`: the seconds after which a read that failed in passing is asked for again, one by one. For
        commands that a person waits for; what the worker reads, it reads again at its next tick.
        """
        self._base_url = check_base_url(base_url)
        self._token = token
        self.pace = pace
        self.session = session or _session()
        self._on_call = on_call
        self._on_refused = on_refused
        self._read_again_after = read_again_after
        self._acts_as: int | None = None
        self.last_call: Call | None = None

    def twin(self, pace: Pace, *, session: requests.Session | None = None) -> Self:
        """Return a client of the same account for another thread: it renews no token and tells nobody of a call.

        `session`: that of a former twin, whose connection stands.
        """
        return type(self)(self._base_url, HeldToken(self.token), pace, session=session)

    @property
    def address(self) -> str:
        return self._base_url

    @property
    def token(self) -> str:
        return self._token.access_token()

    def has_other_token(self, refusal: KommoAccessError, rejected: str) -> bool:
        """Say whether calls have another token now than the one a twin was refused; else the closed door is told.

        Raises KommoError.
        """
        if refusal.status_code == 401 and self._token.refresh(rejected):
            return True
        self._tell_refused(refusal)
        return False

    def heard(self, call: Call | None) -> None:
        """Hear of a call that a twin has made, as of one of our own."""
        self.last_call = call
        if call and self._on_call:
            self._on_call(call)

    def wait(self, lane: Lane, *, ahead: float = 0.0) -> None:
        """Wait until a call could leave, or could within `ahead` seconds: the time it takes to compute what it carries.

        What it carries is computed as late as possible then, and no slot stands free meanwhile.
        """
        self.pace.wait(lane, ahead=ahead)

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        """Say whether a call could leave now, or within `ahead` seconds."""
        return self.pace.has_slot(ahead=ahead)

    @contextmanager
    def in_the_name_of(self, user_id: int | None) -> Iterator[None]:
        """Let the calls inside act as another user, with that user's rights; only an administrator's token may.

        Source: the official client (`X-Context-User-ID`).
        """
        self._acts_as = user_id
        try:
            yield
        finally:
            self._acts_as = None

    def _all(self, operation: str, path: str, key: str, read: Callable[[Any], T]) -> list[T]:
        return list(self._pages(operation, path, key, read, [], LIST_LIMIT, Lane.LIVE))

    def _pages(
        self,
        operation: str,
        path: str,
        key: str,
        read: Callable[[Any], T],
        params: list[tuple[str, str]],
        limit: int,
        lane: Lane,
    ) -> Iterator[T]:
        """Walk a list until it names no next page. An empty one is a 204 without a body."""
        for page in range(1, MOST_PAGES + 1):
            query = [*params, ("page", str(page)), ("limit", str(limit))]
            data = self._request(operation, "GET", path, query=query, lane=lane)
            if data is None:
                return
            yield from self._read_each(operation, reply_values.embedded(data, key), read)
            links = data.get("_links") if isinstance(data, dict) else None
            if not isinstance(links, dict) or not links.get("next"):
                return

    def _written(
        self,
        operation: str,
        method: str,
        path: str,
        body: Body,
        key: str,
        read: Callable[[Any], T],
        *,
        lane: Lane = Lane.LIVE,
    ) -> list[T]:
        data = self._request(operation, method, path, body=body, lane=lane)
        return self._read_each(operation, reply_values.embedded(data, key), read)

    def _read(self, operation: str, data: Any, read: Callable[[Any], T]) -> T:
        try:
            return read(data)
        except (reply_values.ReplyShapeError, AttributeError, TypeError, ValueError) as error:
            raise self._unreadable(operation, str(error)) from error

    def _strictly(self, operation: str, read: Callable[[Any], T]) -> Callable[[Any], T]:
        """Return a reader for lists of which no row may be missing: what is not there counts as deleted."""
        return lambda data: self._read(operation, data, read)

    def _read_each(self, operation: str, data: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
        """Read rows one by one: one that cannot be read is left out, and costs no other."""
        found: list[T] = []
        for row in data:
            try:
                found.append(read(row))
            except (reply_values.ReplyShapeError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
                kommo_id = row.get("id") if isinstance(row, dict) else None
                # Its name alone: what it says quotes what could not be read.
                log.warning("row_not_read", operation=operation, kommo_id=kommo_id, error=type(error).__name__)
        return found

    def _unreadable(self, operation: str, why: str) -> KommoReplyError:
        last = self.last_call
        error = KommoReplyError(
            f"{operation}: cannot read Kommo's answer: {why}",
            operation=operation,
            status_code=last.status if last else None,
            request_id=last.request_id if last else "",
        )
        error.call = last
        return error

    def _request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Body | None = None,
        lane: Lane = Lane.LIVE,
    ) -> Any:
        """Return the parsed answer; None for one without a body. Raises KommoError."""
        for seconds in self._read_again_after if method == "GET" else ():
            try:
                return self._ask(operation, method, path, query, body, lane)
            except PASSING as error:
                asked_for = error.retry_after.total_seconds() if error.retry_after else 0.0
                time.sleep(max(seconds, asked_for))
        return self._ask(operation, method, path, query, body, lane)

    def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None,
        body: Body | None,
        lane: Lane,
    ) -> Any:
        """Send, and once more with another token where one was refused: a 401 was not acted upon."""
        token = self._token.access_token()
        try:
            try:
                return self._send(operation, method, path, query, body, lane, token)
            except KommoAccessError as error:
                if error.status_code != 401 or not (fresh := self._token.refresh(token)):
                    raise
            return self._send(operation, method, path, query, body, lane, fresh)
        except KommoAccessError as error:
            self._tell_refused(error)
            raise

    def _tell_refused(self, error: KommoAccessError) -> None:
        """Tell of a door that is closed to every call. What a side call alone is refused is its caller's to see to."""
        is_closed = error.status_code == 401 or error.is_block
        if self._on_refused and is_closed and decide(error) is Action.PAUSE_ACCOUNT:
            self._on_refused(error)

    def _send(
        self,
        operation: str,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None,
        body: Body | None,
        lane: Lane,
        token: str,
    ) -> Any:
        permit = self.pace.acquire(lane)
        try:
            return self._read_answer(operation, self._exchange(operation, method, path, query, body, token, permit))
        except KommoError as error:
            error.call = self.last_call
            raise

    def _exchange(
        self,
        operation: str,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None,
        body: Body | None,
        token: str,
        permit: Permit,
    ) -> requests.Response:
        started = time.monotonic()
        answer: requests.Response | None = None
        trip: Trip | None = None
        _way.left_at = 0.0
        try:
            with tracing.span(f"kommo {operation}"):
                answer = self.session.request(
                    method,
                    self._base_url + path,
                    # Brackets as they are: three signs each otherwise, and 250 ids would outgrow a request line.
                    params=urlencode(query, safe="[],") if query else None,
                    data=None if body is None else orjson.dumps(body),
                    headers={"Authorization": f"Bearer {token}", **self._acting()},
                    timeout=TIMEOUT,
                    # A redirect would replay a write as a read, or carry the token elsewhere.
                    allow_redirects=False,
                    stream=True,
                )
                answered_at = time.monotonic()
                trip = Trip(operation, answered_at - (_way.left_at or started), answered_at)
                read_whole(answer, most_bytes=MOST_ANSWER_BYTES, seconds=LONGEST_ANSWER_SECONDS)
        except requests.RequestException as error:
            raise _unreachable(operation, error) from error
        except UnicodeEncodeError as error:
            # It never left: no header holds such a token, and to Kommo it would be a wrong one.
            explanation = f"{operation}: the token has a sign in it that no token has"
            raise KommoAccessError(explanation, operation=operation, status_code=401) from error
        finally:
            self.pace.release(permit, trip)
            self._tell(method, operation, answer, time.monotonic() - started)
        return answer

    def _acting(self) -> dict[str, str]:
        return {} if self._acts_as is None else {"X-Context-User-ID": str(self._acts_as)}

    def _read_answer(self, operation: str, answer: requests.Response) -> Any:
        request_id = answer.headers.get("X-Request-Id", "")
        if answer.status_code >= 300:
            error = from_answer(operation, answer.status_code, answer.headers, answer.content, request_id)
            if isinstance(error, KommoRateLimitError):
                self.pace.refused()
            if isinstance(error, KommoRateLimitError) and error.retry_after:
                self.pace.hold_all(datetime.now(UTC) + error.retry_after)
            raise error
        if answer.status_code == 204:
            return None
        data = read_json(answer.content)
        if data is None and answer.status_code != 202:
            raise self._unreadable(operation, "the body is not JSON")
        return data

    def _tell(self, method: str, operation: str, answer: requests.Response | None, seconds: float) -> None:
        status = answer.status_code if answer is not None else None
        request_id = answer.headers.get("X-Request-Id", "") if answer is not None else ""
        self.last_call = Call(method, operation, status, seconds, request_id)
        log.debug("kommo_call", operation=operation, status=status, seconds=round(seconds, 3), request_id=request_id)
        if self._on_call:
            self._on_call(self.last_call)


class HeldToken:
    """A token as it is: whoever holds it cannot get another."""

    def __init__(self, token: str) -> None:
        self.token = token

    def access_token(self) -> str:
        return self.token

    def refresh(self, rejected: str) -> str | None:
        return None


class _Way(threading.local):
    """When the call of this thread left: its connection stood, and its first byte was sent.

    What it takes until then is none of the way: a process that waits for its processor looks far away otherwise.
    """

    left_at = 0.0


_way = _Way()


class _TimedConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            # As it would itself, but before the time is taken.
            self.connect()
        _way.left_at = _way.left_at or time.monotonic()
        super().send(data)


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


class _Adapter(HTTPAdapter):
    """Nothing is tried again here: retries have one owner, and a call must end before its slot and its lease do."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}


def _session() -> requests.Session:
    session = requests.Session()
    # No look-up of proxies and .netrc at every call; and nobody's environment decides where the token goes.
    session.trust_env = False
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Content-Type": "application/json"})
    session.mount("https://", _Adapter())
    session.mount("http://", _Adapter())
    return session


def _unreachable(operation: str, error: requests.RequestException) -> KommoUnreachableError:
    """Say whether the request can have been applied: only a connection that was never made is proof that it was not."""
    text = str(error)
    never_left = isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError)
        and ("NewConnectionError" in text or "NameResolutionError" in text or "Connection refused" in text)
    )
    reason = Reason("no_connection_to_kommo" if never_left else "kommo_answer_lost", what=type(error).__name__)
    return KommoUnreachableError(
        about(operation, reason),
        operation=operation,
        sent=not never_left,
        # A connection that ended took Kommo's work on it along; after a time-out the work may go on.
        lingers=isinstance(error, requests.ReadTimeout),
    )
