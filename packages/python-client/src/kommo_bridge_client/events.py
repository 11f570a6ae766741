"""What the bridge tells the agent: signatures checked, each event acted on once, answers that may take their time.

No framework: `Events.handle` and `handle_async` take headers and a body and return what to answer; `Events.wsgi` and
`Events.asgi` are applications.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from standardwebhooks import Webhook, WebhookVerificationError

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024 * 1024
# While a slow answer is in the making, the bridge is asked to come again after so many seconds.
COME_AGAIN = 10


@dataclass(frozen=True)
class Event:
    id: str
    type: str
    timestamp: str
    data: dict[str, Any]

    @property
    def lead(self) -> dict[str, Any]:
        return dict(self.data["lead"])


@dataclass(frozen=True)
class Said:
    """A follow-up was said; `text`: in these words."""

    text: str = ""


@dataclass(frozen=True)
class Skip:
    """A follow-up was not said, and will not be."""

    reason: str = ""


@dataclass(frozen=True)
class Gone:
    """Nothing reaches the person. reason: invalid_number or opted_out, where it is known which."""

    reason: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any] | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Store(Protocol):
    """Keeps what was answered to which event, so that one that comes again is not acted on again."""

    def get(self, event_id: str) -> Answer | None: ...
    def put(self, event_id: str, answer: Answer) -> None: ...


class MemoryStore:
    """Forgets at a restart, and the oldest beyond `most`: for tests and for agents that may say something twice."""

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._answers = most, dict[str, Answer]()

    def get(self, event_id: str) -> Answer | None:
        return self._answers.get(event_id)

    def put(self, event_id: str, answer: Answer) -> None:
        self._answers[event_id] = answer
        while len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]


class SqliteStore:
    """Survives a restart, in one file that the processes of one host share."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._run("CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, status INTEGER, body TEXT)")

    def get(self, event_id: str) -> Answer | None:
        row = self._run("SELECT status, body FROM answers WHERE id = ?", event_id)
        return Answer(row[0], json.loads(row[1])) if row else None

    def put(self, event_id: str, answer: Answer) -> None:
        values = (event_id, answer.status, json.dumps(answer.body))
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", *values)

    def _run(self, sql: str, *values: Any) -> Any:
        """Return the first row. A connection for each: threads share none, and none is left open."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=20)) as database:
            return database.execute(sql, values).fetchone()


Handler = Callable[[Event], Any]


class Events:
    """Dispatches events to functions that were named for them by `on`."""

    def __init__(self, secret: str, *, store: Store | None = None) -> None:
        self._webhook, self._store = Webhook(secret), store or MemoryStore()
        self._handlers: dict[str, tuple[Handler, bool]] = {}
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def on(self, event_type: str, *, slow: bool = False) -> Callable[[Handler], Handler]:
        """Name a function for a type of event. Of `followup.due` it returns Said, Skip or Gone; None is Said.

        slow: it takes longer than the ten seconds the bridge waits. It runs in a thread, and the bridge comes again for
        what came of it. An exception is an answer of 500: the bridge comes again, and the function is called again.
        A coroutine function runs on the loop of `handle_async`, or on one of its own where there is none.
        """

        def named(handler: Handler) -> Handler:
            self._handlers[event_type] = (handler, slow)
            return handler

        return named

    async def handle_async(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what to answer, without keeping the loop waiting: what is no coroutine function runs in a thread."""
        return await asyncio.to_thread(self.handle, headers, body, asyncio.get_running_loop())

    def handle(self, headers: Mapping[str, str], body: bytes, loop: asyncio.AbstractEventLoop | None = None) -> Answer:
        """Return what to answer. `headers` in any case. On an event loop: `handle_async`."""
        small = {name.lower(): value for name, value in headers.items()}
        try:
            read = self._webhook.verify(body, small)
        except (WebhookVerificationError, ValueError):
            # A signature that is no base64 and a body that is no text are none of the bridge's either.
            return Answer(401, {"detail": "the signature is missing, wrong or old"})
        event = Event(small["webhook-id"], str(read["type"]), str(read["timestamp"]), dict(read["data"]))
        handler, slow = self._handlers.get(event.type, (None, False))
        if handler is None:
            # News that nobody here wants; told again it would be no more welcome.
            return Answer(204) if event.type != "followup.due" else Answer(200, {"skip": True, "reason": "no handler"})
        with self._lock:
            if event.id in self._under_way:
                return _later()
            if known := self._store.get(event.id):
                return known
            self._under_way.add(event.id)
        if slow:
            threading.Thread(target=self._act, args=(handler, event, loop), name=f"event-{event.id}").start()
            return _later()
        return self._act(handler, event, loop)

    def _act(self, handler: Handler, event: Event, loop: asyncio.AbstractEventLoop | None) -> Answer:
        try:
            answer = _answer(_result(handler(event), loop))
            self._store.put(event.id, answer)
            return answer
        except Exception:
            if not self._handlers[event.type][1]:
                raise
            # Whoever comes again starts it again.
            log.exception("what was to be done with %s %s failed", event.type, event.id)
            return _later()
        finally:
            with self._lock:
                self._under_way.discard(event.id)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve events at any path: `gunicorn module:events.wsgi`."""
        stated = environ.get("CONTENT_LENGTH") or "0"
        if not (stated.isascii() and stated.isdecimal()):
            start_response("400 Bad Request", [])
            return [b""]
        size = int(stated)
        if environ["REQUEST_METHOD"] != "POST" or size > MOST_BYTES:
            start_response("405 Method Not Allowed" if size <= MOST_BYTES else "413 Content Too Large", [])
            return [b""]
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: environ.get("HTTP_" + name.upper().replace("-", "_"), "") for name in names}
        answer = self.handle(headers, environ["wsgi.input"].read(size))
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        length = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        start_response(f"{answer.status} Answered", [*answer.headers, *length])
        return [data]

    async def asgi(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve events at any path: `uvicorn module:events.asgi`, or mounted in a framework's application."""
        if scope["type"] != "http":
            return
        body, more = b"", scope["method"] == "POST"
        while more and len(body) <= MOST_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] != "POST" or len(body) > MOST_BYTES:
            answer = Answer(405 if scope["method"] != "POST" else 413)
        else:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            answer = await self.handle_async(headers, body)
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        all_headers = [*answer.headers, ("content-type", "application/json"), ("content-length", str(len(data)))]
        pairs = [(name.lower().encode(), value.encode()) for name, value in all_headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": data})


def _result(returned: Any, loop: asyncio.AbstractEventLoop | None) -> Any:
    """Return what a handler came to, which a coroutine function says only when it was waited for."""
    if not inspect.iscoroutine(returned):
        return returned
    if loop is not None:
        return asyncio.run_coroutine_threadsafe(returned, loop).result()
    return asyncio.run(returned)


def _answer(result: Any) -> Answer:
    if isinstance(result, Skip):
        return Answer(200, {"skip": True} | ({"reason": result.reason} if result.reason else {}))
    if isinstance(result, Gone):
        return Answer(410, {"reason": result.reason} if result.reason else {})
    if isinstance(result, Said) and result.text:
        return Answer(200, {"text": result.text})
    return Answer(200, {})


def _later() -> Answer:
    return Answer(503, {"detail": "under way"}, (("Retry-After", str(COME_AGAIN)),))
