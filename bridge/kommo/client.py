"""How to ask Kommo: one method per call, a typed reply or a KommoError.

Every call passes through `_request`: take a slot, send, give the slot back, translate errors, tell. A write is never
repeated in here, because a create is not idempotent and a lost answer may hide a success; that is delivery's to decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol, TypeVar

import orjson
import requests
import structlog
from requests.adapters import HTTPAdapter

from bridge import tracing
from bridge.errors import (
    KommoAccessError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoReplyError,
    KommoUnreachableError,
)
from bridge.kommo import replies
from bridge.kommo.errors import from_answer, read_json
from bridge.kommo.hosts import check_base_url
from bridge.kommo.replies import (
    AccountReply,
    ContactReply,
    Created,
    EventReply,
    FieldReply,
    LeadReply,
    NamedReply,
    NoteReply,
    PipelineReply,
    StatusReply,
    TaskReply,
    Updated,
    WebhookReply,
)
from bridge.kommo.throttle import Lane, Pace, Permit

log = structlog.get_logger(__name__)

# Seconds to connect and to read, as Kommo's own client has them (kommo-api §1).
TIMEOUT = (5, 20)
USER_AGENT = "kommo-bridge/1.0"
LIST_LIMIT = 250
EVENTS_LIMIT = 100
# An endless list is a fault on the other side; a million rows is more than any account here has.
MOST_PAGES = 4000

Body = list[dict[str, Any]] | dict[str, Any]
T = TypeVar("T")


class TokenSource(Protocol):
    """Where the access token comes from, and what to do when it is refused."""

    def access_token(self) -> str: ...

    def refresh(self, rejected: str) -> str | None:
        """Return another token to try once; None when only a person can help."""


@dataclass(frozen=True)
class Call:
    """One call as it went: for metrics, logs and deliveries. `status` None: no answer came."""

    method: str
    operation: str
    status: int | None
    seconds: float
    request_id: str


class KommoClient:
    """Kommo's API v4 for one account. Use one client per thread."""

    def __init__(
        self,
        base_url: str,
        token: TokenSource,
        pace: Pace,
        *,
        session: requests.Session | None = None,
        on_call: Callable[[Call], None] | None = None,
        on_refused: Callable[[KommoAccessError], None] | None = None,
    ) -> None:
        """`on_refused` hears of every door that stays closed: a token nobody can renew, a blocked address."""
        self._base_url = check_base_url(base_url)
        self._token = token
        self._pace = pace
        self._session = session or _session()
        self._on_call = on_call
        self._on_refused = on_refused
        self._reserved: Permit | None = None
        self.last_call: Call | None = None

    def wait(self, lane: Lane) -> None:
        """Wait until a call could leave, so that what it carries can be computed as late as possible."""
        self._pace.wait(lane)

    @contextmanager
    def slot(self, lane: Lane) -> Iterator[None]:
        """Hold a slot for the first call inside, which then leaves without any further wait.

        What it carries can be checked once more when nothing stands between the check and the call.
        """
        self._reserved = self._pace.acquire(lane)
        try:
            yield
        finally:
            unused, self._reserved = self._reserved, None
            if unused:
                self._pace.release(unused)

    # --- the account ------------------------------------------------------------------------------------------------

    def account(self) -> AccountReply:
        return self._one("read account", "GET", "/api/v4/account", AccountReply.read)

    def pipelines(self) -> list[PipelineReply]:
        return self._all("read pipelines", "/api/v4/leads/pipelines", "pipelines", PipelineReply.read)

    def custom_fields(self, entity: str) -> list[FieldReply]:
        """Return every custom field of `leads` or `contacts`."""
        return self._all(
            f"read fields of {entity}", f"/api/v4/{entity}/custom_fields", "custom_fields", FieldReply.read
        )

    def users(self) -> list[NamedReply]:
        return self._all("read users", "/api/v4/users", "users", NamedReply.read)

    def loss_reasons(self) -> list[NamedReply]:
        return self._all("read loss reasons", "/api/v4/leads/loss_reasons", "loss_reasons", NamedReply.read)

    def create_statuses(self, pipeline_id: int, statuses: Body) -> list[StatusReply]:
        path = f"/api/v4/leads/pipelines/{pipeline_id}/statuses"
        return self._written("create stages", "POST", path, statuses, "statuses", StatusReply.read)

    def create_custom_fields(self, entity: str, definitions: Body) -> list[FieldReply]:
        path = f"/api/v4/{entity}/custom_fields"
        return self._written("create fields", "POST", path, definitions, "custom_fields", FieldReply.read)

    def update_custom_field(self, entity: str, field_id: int, changes: dict[str, Any]) -> None:
        """Change a field. `enums` must hold every option with its id: those left out are lost (kommo-api §6.2)."""
        self._request("change field", "PATCH", f"/api/v4/{entity}/custom_fields/{field_id}", body=changes)

    # --- leads ------------------------------------------------------------------------------------------------------

    def create_leads_complex(self, leads: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[Created]:
        """Create up to 50 leads with their contacts; return those the answer names. Not idempotent.

        Source: https://developers.kommo.com/reference/complex-leads
        """
        data = self._request("create leads", "POST", "/api/v4/leads/complex", body=list(leads), lane=lane)
        if not isinstance(data, list):
            raise self._unreadable("create leads", "no list of leads")
        return self._read_each("create leads", data, Created.read)

    def update_leads(self, leads: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[Updated]:
        """Change up to 250 leads; return those the answer names. Absent fields stay as they are.

        Source: https://developers.kommo.com/reference/updating-leads
        """
        return self._written("update leads", "PATCH", "/api/v4/leads", list(leads), "leads", Updated.read, lane=lane)

    def lead(self, lead_id: int, *, lane: Lane = Lane.LIVE) -> LeadReply:
        """Return one lead with its contacts. Raises KommoNotFoundError (a 204 in Kommo)."""
        path = f"/api/v4/leads/{lead_id}"
        data = self._request("read lead", "GET", path, query=[("with", "contacts")], lane=lane)
        if data is None:
            raise KommoNotFoundError(f"lead {lead_id} is not in Kommo", operation="read lead", status_code=204)
        return self._read("read lead", data, LeadReply.read)

    def iterate_leads(
        self,
        *,
        ids: Sequence[int] = (),
        updated_since: datetime | None = None,
        custom_field: tuple[int, Sequence[str]] | None = None,
        query: str = "",
        with_: Sequence[str] = (),
        limit: int = LIST_LIMIT,
        lane: Lane = Lane.LIVE,
    ) -> Iterator[LeadReply]:
        """Yield leads page by page. Kommo ignores filters it does not know: check what comes back.

        ids: at most 250, one page. custom_field: (field id, values), any of which matches.
        """
        params: list[tuple[str, str]] = [("filter[id][]", str(one)) for one in ids]
        if updated_since:
            params.append(("filter[updated_at][from]", str(int(updated_since.timestamp()))))
            params.append(("order[updated_at]", "asc"))
        if custom_field:
            field_id, values = custom_field
            params += ((f"filter[custom_fields_values][{field_id}][]", value) for value in values)
        if query:
            params.append(("query", query))
        if with_:
            params.append(("with", ",".join(with_)))
        yield from self._pages("read leads", "/api/v4/leads", "leads", LeadReply.read, params, limit, lane)

    def list_leads(
        self,
        *,
        page: int,
        updated_since: datetime | None = None,
        pipeline_ids: Sequence[int] = (),
        limit: int = LIST_LIMIT,
        lane: Lane = Lane.BULK,
    ) -> tuple[list[LeadReply], bool]:
        """Return one page of leads with their contacts, and whether another follows.

        With `updated_since` the oldest change comes first, without it the newest lead. Rows that change while pages
        are read move between them.
        """
        params = [("filter[pipeline_id][]", str(one)) for one in pipeline_ids]
        if updated_since:
            params.append(("filter[updated_at][from]", str(int(updated_since.timestamp()))))
        params.append(("order[updated_at]", "asc") if updated_since else ("order[id]", "desc"))
        query = [*params, ("with", "contacts"), ("page", str(page)), ("limit", str(limit))]
        data = self._request("read leads", "GET", "/api/v4/leads", query=query, lane=lane)
        if data is None:
            return [], False
        links = data.get("_links") if isinstance(data, dict) else None
        leads = self._read_each("read leads", replies.embedded(data, "leads"), LeadReply.read)
        return leads, bool(isinstance(links, dict) and links.get("next"))

    # --- contacts, notes, tasks ---------------------------------------------------------------------------------------

    def contacts(
        self, *, ids: Sequence[int | None] = (), query: str = "", with_leads: bool = False, lane: Lane = Lane.LIVE
    ) -> list[ContactReply]:
        """Return contacts by id or by a text search; the search also finds others, so compare what comes back."""
        params = [("filter[id][]", str(one)) for one in ids if one is not None]
        if query:
            params.append(("query", query))
        if with_leads:
            params.append(("with", "leads"))
        pages = self._pages(
            "read contacts", "/api/v4/contacts", "contacts", ContactReply.read, params, LIST_LIMIT, lane
        )
        return list(pages)

    def update_contacts(self, contacts: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> None:
        self._request("update contacts", "PATCH", "/api/v4/contacts", body=list(contacts), lane=lane)

    def notes(self, lead_id: int) -> list[NoteReply]:
        return self._all("read notes", f"/api/v4/leads/{lead_id}/notes", "notes", NoteReply.read)

    def create_notes(self, notes: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[NoteReply]:
        return self._written(
            "create notes", "POST", "/api/v4/leads/notes", list(notes), "notes", NoteReply.read, lane=lane
        )

    def tasks(self, lead_id: int) -> list[TaskReply]:
        params = [("filter[entity_type]", "leads"), ("filter[entity_id]", str(lead_id))]
        return list(self._pages("read tasks", "/api/v4/tasks", "tasks", TaskReply.read, params, LIST_LIMIT, Lane.LIVE))

    def create_tasks(self, tasks: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[TaskReply]:
        return self._written("create tasks", "POST", "/api/v4/tasks", list(tasks), "tasks", TaskReply.read, lane=lane)

    # --- events, webhooks, bots ---------------------------------------------------------------------------------------

    def events(
        self, *, types: Iterable[str], since: datetime, most: int | None = None, lane: Lane = Lane.BULK
    ) -> list[EventReply]:
        """Return the events of the given types since a time, newest first; only the newest `most` of them."""
        params = [
            ("filter[type]", ",".join(types)),
            ("filter[created_at][from]", str(int(since.timestamp()))),
        ]
        pages = self._pages("read events", "/api/v4/events", "events", EventReply.read, params, EVENTS_LIMIT, lane)
        return list(islice(pages, most))

    def webhooks(self) -> list[WebhookReply]:
        return self._all("read webhooks", "/api/v4/webhooks", "webhooks", WebhookReply.read)

    def subscribe(self, destination: str, settings: Sequence[str]) -> None:
        """Subscribe a destination, or change and re-enable the subscription it has."""
        body = {"destination": destination, "settings": list(settings)}
        self._request("subscribe webhook", "POST", "/api/v4/webhooks", body=body)

    def unsubscribe(self, destination: str) -> None:
        self._request("unsubscribe webhook", "DELETE", "/api/v4/webhooks", body={"destination": destination})

    def run_salesbot(self, bot_id: int, lead_id: int, *, lane: Lane = Lane.LIVE) -> None:
        """Queue a Salesbot for a lead: Kommo answers before the bot has run."""
        body = [{"bot_id": bot_id, "entity_id": lead_id, "entity_type": "leads"}]
        self._request("run salesbot", "POST", "/api/v4/bots/run", body=body, lane=lane)

    # --- one road for every call --------------------------------------------------------------------------------------

    def _one(self, operation: str, method: str, path: str, read: Callable[[Any], T]) -> T:
        return self._read(operation, self._request(operation, method, path), read)

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
        """Walk a list until it names no next page. An empty one is a 204 without a body (kommo-api §1)."""
        for page in range(1, MOST_PAGES + 1):
            query = [*params, ("page", str(page)), ("limit", str(limit))]
            data = self._request(operation, "GET", path, query=query, lane=lane)
            if data is None:
                return
            yield from self._read_each(operation, replies.embedded(data, key), read)
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
        return self._read_each(operation, replies.embedded(data, key), read)

    def _read(self, operation: str, data: Any, read: Callable[[Any], T]) -> T:
        try:
            return read(data)
        except (replies.ReplyShapeError, AttributeError, TypeError, ValueError) as error:
            raise self._unreadable(operation, str(error)) from error

    def _read_each(self, operation: str, data: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
        return [self._read(operation, one, read) for one in data]

    def _unreadable(self, operation: str, why: str) -> KommoReplyError:
        last = self.last_call
        return KommoReplyError(
            f"{operation}: cannot read Kommo's answer: {why}",
            operation=operation,
            status_code=last.status if last else None,
            request_id=last.request_id if last else "",
        )

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
        """Return the parsed answer; None for one without a body. Raises KommoError.

        A refused token is refreshed once and the call repeated: a 401 was not acted upon.
        """
        token = self._token.access_token()
        try:
            return self._send(operation, method, path, query, body, lane, token)
        except KommoAccessError as error:
            if error.status_code != 401 or not (fresh := self._token.refresh(token)):
                self._tell_refused(error)
                raise
        try:
            return self._send(operation, method, path, query, body, lane, fresh)
        except KommoAccessError as error:
            self._tell_refused(error)
            raise

    def _tell_refused(self, error: KommoAccessError) -> None:
        if self._on_refused and (error.status_code == 401 or error.is_block):
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
        permit, self._reserved = self._reserved or self._pace.acquire(lane), None
        started = time.monotonic()
        answer: requests.Response | None = None
        try:
            with tracing.span(f"kommo {operation}"):
                answer = self._session.request(
                    method,
                    self._base_url + path,
                    params=query,
                    data=None if body is None else orjson.dumps(body),
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=TIMEOUT,
                    # A redirect would replay a write as a read, or carry the token elsewhere.
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise _unreachable(operation, error) from error
        finally:
            self._pace.release(permit)
            self._tell(method, operation, answer, time.monotonic() - started)
        return self._read_answer(operation, answer)

    def _read_answer(self, operation: str, answer: requests.Response) -> Any:
        request_id = answer.headers.get("X-Request-Id", "")
        if answer.status_code >= 300:
            error = from_answer(operation, answer.status_code, answer.headers, answer.content, request_id)
            if isinstance(error, KommoRateLimitError) and error.retry_after:
                self._pace.hold_all(datetime.now(UTC) + error.retry_after)
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


def _session() -> requests.Session:
    session = requests.Session()
    # No look-up of proxies and .netrc at every call; and nobody's environment decides where the token goes.
    session.trust_env = False
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Content-Type": "application/json"})
    # Nothing is tried again here: retries have one owner, and a call must end before its slot and its lease do.
    session.mount("https://", HTTPAdapter(max_retries=0))
    session.mount("http://", HTTPAdapter(max_retries=0))
    return session


def _unreachable(operation: str, error: requests.RequestException) -> KommoUnreachableError:
    """Say whether the request can have been applied: only a connection that was never made is proof that it was not."""
    text = str(error)
    never_left = isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError)
        and ("NewConnectionError" in text or "NameResolutionError" in text or "Connection refused" in text)
    )
    kind = "no connection to Kommo" if never_left else "Kommo's answer was lost"
    return KommoUnreachableError(
        f"{operation}: {kind} ({type(error).__name__})",
        operation=operation,
        sent=not never_left,
        # A connection that ended took Kommo's work on it along; after a time-out the work may go on.
        lingers=isinstance(error, requests.ReadTimeout),
    )
