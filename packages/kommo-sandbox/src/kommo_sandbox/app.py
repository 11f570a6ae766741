"""The WSGI application: every request is journalled, counted, disturbed if ordered, and answered."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request

from kommo_sandbox import (
    account,
    board,
    brackets,
    complex_leads,
    contacts,
    control,
    faults,
    feed,
    fields,
    languages,
    leads,
    links,
    notes,
    pipelines,
    subscriptions,
    tags,
    talks,
    tasks,
    unsorted,
)
from kommo_sandbox.answers import Answer, Json, Refusal
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import KINDS
from kommo_sandbox.faults import Fault
from kommo_sandbox.journal import Entry
from kommo_sandbox.sandbox import Sandbox

TIMEOUT_SECONDS = 30.0  # how long the fault `timeout` holds a connection before it ends it
SLOW_SECONDS = 3.0

API_ROUTES: list[Route] = [
    *account.ROUTES,
    *leads.ROUTES,
    *complex_leads.ROUTES,
    *contacts.ROUTES,
    *links.ROUTES,
    *tags.ROUTES,
    *pipelines.ROUTES,
    *fields.ROUTES,
    *notes.ROUTES,
    *tasks.ROUTES,
    *feed.ROUTES,
    *unsorted.ROUTES,
    *talks.ROUTES,
    *subscriptions.ROUTES,
]


class HangUp(Exception):
    """End the connection without an answer."""


class KindConverter(BaseConverter):
    regex = "|".join(KINDS)


class App:
    """Kommo's API, the control API below `/_sandbox/`, and the board at `/`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        routes = [*API_ROUTES, *control.ROUTES, *board.ROUTES]
        self.map = Map(
            [Rule(rule, methods=[method], endpoint=handler) for method, rule, handler in routes],
            converters={"kind": KindConverter},
            strict_slashes=False,
            merge_slashes=False,
        )
        self._urls = self.map.bind("sandbox")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            if request.path.startswith(("/api/", "/oauth2/", "/private/api/")):
                answer, request_id = self._journalled(request)
            else:
                answer, request_id = self._control(request), uuid.uuid4().hex
        except HangUp:
            connection = environ.get("werkzeug.socket")
            if isinstance(connection, socket.socket):
                # A caller that ran out of patience has gone already.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("ended by a fault") from None
        return _send(answer, request_id, request.method, start_response)

    # --- Kommo's API

    def _journalled(self, request: Request) -> tuple[Answer, str]:
        sandbox = self.sandbox
        counted = request.path.startswith(("/api/", "/private/api/"))
        there, rest = sandbox.limiter.way()
        if there > 0:
            # Outside the door: calls overtake each other on their way.
            sandbox.closing.wait(there)
        with sandbox.door:
            arrived = time.perf_counter()
            entry = sandbox.journal.open(monotonic=arrived, method=request.method, path=request.path, counted=counted)
            entry.over_ceiling = counted and not sandbox.limiter.arrive(arrived)
            is_blocked = counted and sandbox.limiter.is_blocked(arrived)
        entry.request_id = uuid.uuid4().hex
        entry.user_agent = request.headers.get("User-Agent", "")
        try:
            answer = self._disturbed(request, entry, is_blocked=is_blocked, takes=rest)
            entry.status = answer.status
            entry.refusal = answer.body if answer.status >= 400 else None
            return answer, entry.request_id
        finally:
            entry.duration_seconds = time.perf_counter() - arrived

    def _disturbed(self, request: Request, entry: Entry, *, is_blocked: bool, takes: float) -> Answer:
        """Answer a request, unless the ceiling or a fault comes first or changes the answer."""
        sandbox = self.sandbox
        data = request.get_data()
        args = list(request.args.items(multi=True))
        entry.query = brackets.parse(args)
        if is_blocked:
            return faults.html_page(403, "403 Forbidden")
        if 0 < sandbox.options.request_line_limit < _line_length(request):
            return faults.html_page(414, "414 Request-URI Too Large")
        if entry.over_ceiling:
            return faults.too_many(sandbox.options.retry_after)
        with sandbox.lock:
            fault = sandbox.faults.strike(request.method, request.path, data)
        if fault is None:
            if takes > 0:
                sandbox.closing.wait(takes)
            return self._answer(request, entry, data, args)
        entry.fault = fault.mode
        with contextlib.suppress(Refusal):
            entry.body = _parse(request, data)
        if fault.mode == "slow":
            sandbox.faults.hold(fault.extras.get("seconds", SLOW_SECONDS))
            return self._answer(request, entry, data, args)
        if fault.mode == "partial":
            return self._answer(request, entry, data, args, share=fault.extras.get("share", 0.5))
        if fault.applied:
            answer = self._answer(request, entry, data, args)
            if answer.status >= 400:
                return answer
        self._end_tokens(request, fault)
        if fault.mode == "timeout":
            sandbox.faults.hold(fault.extras.get("seconds", TIMEOUT_SECONDS))
        struck = faults.answer(fault, sandbox.options.retry_after, data)
        if struck is not None:
            struck.body = languages.tell(struck.body, sandbox.options.language)
        if struck is None:
            raise HangUp
        return struck

    def _end_tokens(self, request: Request, fault: Fault) -> None:
        if fault.mode not in ("token_expired", "token_revoked"):
            return
        with self.sandbox.lock:
            self.sandbox.tokens.end_access(request.headers.get("Authorization", "").partition(" ")[2].strip())
            if fault.mode == "token_revoked":
                self.sandbox.tokens.revoke_all()

    def _answer(
        self,
        request: Request,
        entry: Entry,
        data: bytes,
        args: list[tuple[str, str]],
        share: float | None = None,
    ) -> Answer:
        """Authorize, route and handle one request under the lock, then let the webhooks out."""
        try:
            entry.body = body = _parse(request, data)
            handler, path_args = self._route(request)
            with self.sandbox.lock:
                user_id = self._authorize(request, handler)
                call = self._call(request, args, body, user_id, share)
                answer = handler(call, **path_args)
                entry.lead_ids = call.lead_ids
                entry.applied = entry.write
                self.sandbox.hooks.announce(call.news)
            return answer
        except Refusal as refusal:
            refusal.answer.body = languages.tell(refusal.answer.body, self.sandbox.options.language)
            return refusal.answer

    def _route(self, request: Request) -> tuple[Callable[..., Answer], dict[str, Any]]:
        try:
            handler, path_args = self._urls.match(request.path, request.method)
            return handler, dict(path_args)
        except MethodNotAllowed as error:
            refusal = Refusal.problem(405, f"Method {request.method} is not allowed")
            refusal.answer.headers["Allow"] = ", ".join(error.valid_methods or ())
            raise refusal from None
        except NotFound:
            raise Refusal.problem(404, f"Cannot {request.method} {request.path}") from None

    def _authorize(self, request: Request, handler: Callable[..., Answer]) -> int:
        if handler in account.WITHOUT_TOKEN:
            return 0
        user_id = self.sandbox.tokens.user_of(request.headers.get("Authorization", ""))
        if self.sandbox.tokens.lacks("crm", request.headers.get("Authorization", "")):
            raise Refusal.problem(403, "Access denied")
        acting = request.headers.get("X-Context-User-ID", "")
        if acting and self.sandbox.options.context_user == "refused":
            raise Refusal.problem(403, "Access denied")
        if acting.isdigit() and int(acting) in self.sandbox.store.users:
            return int(acting)
        return user_id

    def _call(
        self, request: Request, args: list[tuple[str, str]], body: Any, user_id: int, share: float | None
    ) -> Call:
        self.sandbox.hooks.base_url = base_url = request.host_url.rstrip("/")
        return Call(
            sandbox=self.sandbox,
            method=request.method,
            path=request.path,
            args=args,
            body=body,
            base_url=base_url,
            user_id=user_id,
            headers=request.headers,
            share=share,
            scopes=self.sandbox.tokens.scopes_of(request.headers.get("Authorization", "")),
        )

    # --- The control API and the board

    def _control(self, request: Request) -> Answer:
        data = request.get_data()
        try:
            try:
                body = json.loads(data) if data.strip() else {}
            except ValueError as error:
                raise Refusal.control(f"the body is not JSON: {error}", "send a JSON object") from None
            try:
                handler, path_args = self._urls.match(request.path, request.method)
            except HTTPException as error:
                known = sorted(f"{method} {rule}" for method, rule, _ in control.ROUTES)
                remedy = "the control API has: " + "; ".join(known)
                status = error.code or 404
                raise Refusal.control(f"no {request.method} {request.path} here", remedy, status) from None
            with self.sandbox.lock:
                call = self._call(request, list(request.args.items(multi=True)), body, 0, None)
                answer: Answer = handler(call, **path_args)
                self.sandbox.hooks.announce(call.news)
            return answer
        except Refusal as refusal:
            return refusal.answer


def _line_length(request: Request) -> int:
    query = request.query_string
    return len(request.method) + len(request.path) + len(query) + len("  HTTP/1.1") + bool(query)


def _parse(request: Request, data: bytes) -> Any:
    """Return the body: JSON, or for the token endpoint a form; None without one."""
    if not data.strip():
        return None
    if request.mimetype == "application/x-www-form-urlencoded":
        return dict(request.form.items())
    try:
        return json.loads(data)
    except ValueError:
        raise Refusal.problem(400, "Request body is not valid JSON") from None


def _send(answer: Answer, request_id: str, method: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body: bytes
    if answer.body is None:
        body = b""
    elif isinstance(answer.body, str):
        body = answer.body.encode()
    else:
        body = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
    headers: dict[str, str] = {"X-Request-Id": request_id, "Cache-Control": "no-store", **answer.headers}
    if answer.status != 204:
        headers |= {"Content-Type": _content_type(answer), "Content-Length": str(len(body))}
    start_response(f"{answer.status} ", list(headers.items()))
    return [] if method == "HEAD" or answer.status == 204 else [body]


def _content_type(answer: Answer) -> str:
    return f"{answer.content_type}; charset=utf-8" if answer.content_type == "text/html" else answer.content_type


__all__ = ["App", "Json"]
