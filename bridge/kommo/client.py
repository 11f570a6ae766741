"""How to ask Kommo: one method per call, a typed reply or a KommoError. How a call travels is `transport`'s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any, Self

import requests

from bridge.errors import KommoError, KommoNotFoundError, KommoReplyError
from bridge.kommo import reply_values
from bridge.kommo.replies import (
    AccountReply,
    ColleagueReply,
    ContactReply,
    Created,
    EventReply,
    FieldReply,
    LeadReply,
    LimitsReply,
    NamedReply,
    NoteReply,
    PipelineReply,
    StatusReply,
    TalkReply,
    TaskReply,
    Updated,
    UserReply,
    WebhookReply,
)
from bridge.kommo.throttle import Lane, Pace
from bridge.kommo.transport import LIST_LIMIT, Body, Transport

EVENTS_LIMIT = 100
# Won and lost, in every pipeline.
CLOSED = (142, 143)


class KommoClient(Transport):
    """Kommo's API v4 for one account. Use one client per thread."""

    # The account's: its dates are days there.
    zone: tzinfo = UTC

    def twin(self, pace: Pace, *, session: requests.Session | None = None) -> Self:
        twin = super().twin(pace, session=session)
        twin.zone = self.zone
        return twin

    # --- the account ------------------------------------------------------------------------------------------------

    def account(self) -> AccountReply:
        """Return the account with its time zone. Source: https://developers.kommo.com/reference/account"""
        query = [("with", "datetime_settings,is_api_filter_enabled")]
        return self._read(
            "read account", self._request("read account", "GET", "/api/v4/account", query=query), AccountReply.read
        )

    def pipelines(self) -> list[PipelineReply]:
        return self._all(
            "read pipelines",
            "/api/v4/leads/pipelines",
            "pipelines",
            self._strictly("read pipelines", PipelineReply.read),
        )

    def custom_fields(self, entity: str) -> list[FieldReply]:
        """Return every custom field of `leads` or `contacts`."""
        operation = f"read fields of {entity}"
        path = f"/api/v4/{entity}/custom_fields"
        return self._all(operation, path, "custom_fields", self._strictly(operation, FieldReply.read))

    def users(self) -> list[ColleagueReply]:
        return self._all("read users", "/api/v4/users", "users", ColleagueReply.read)

    def user(self, user_id: int) -> UserReply | None:
        """Return a user's rights; None for one that is not there."""
        data = self._request("read users", "GET", f"/api/v4/users/{user_id}")
        return None if data is None else self._read("read users", data, UserReply.read)

    def bots(self) -> list[NamedReply]:
        return self._all("read bots", "/api/v4/bots", "items", NamedReply.read)

    def limits(self) -> LimitsReply:
        """Return what the plan holds, as the older API tells it; Kommo documents no other place.

        Source: recorded answers of `accounts/current` in public repositories.
        """
        data = self._request("read limits", "GET", "/private/api/v2/json/accounts/current", lane=Lane.BULK)
        return self._read("read limits", data, LimitsReply.read)

    def rows_on(self, entity: str, page: int, *, closed_in: Sequence[int] = ()) -> int:
        """Return how many `leads`, `contacts` or `companies` stand on a page of LIST_LIMIT; 0 beyond the last.

        closed_in: of leads, those alone that are won or lost in these pipelines; none where that filter is ignored.
        """
        params: list[tuple[str, str]] = []
        places = [(pipeline_id, status_id) for pipeline_id in closed_in for status_id in CLOSED]
        for index, (pipeline_id, status_id) in enumerate(places):
            params.append((f"filter[statuses][{index}][pipeline_id]", str(pipeline_id)))
            params.append((f"filter[statuses][{index}][status_id]", str(status_id)))
        params += [("page", str(page)), ("limit", str(LIST_LIMIT))]
        data = self._request("count records", "GET", f"/api/v4/{entity}", query=params, lane=Lane.BULK)
        rows = {row["id"]: row for row in reply_values.embedded(data, entity) if isinstance(row.get("id"), int)}
        if entity == "leads":
            # Rows of another shape are nobody's leads.
            rows = {kommo_id: row for kommo_id, row in rows.items() if not self._lead(row).unreadable}
        if closed_in and any(row.get("status_id") not in CLOSED for row in rows.values()):
            return 0
        return len(rows)

    def loss_reasons(self) -> list[NamedReply]:
        return self._all("read loss reasons", "/api/v4/leads/loss_reasons", "loss_reasons", NamedReply.read)

    def create_statuses(self, pipeline_id: int, statuses: Body) -> list[StatusReply]:
        path = f"/api/v4/leads/pipelines/{pipeline_id}/statuses"
        return self._written("create stages", "POST", path, statuses, "statuses", StatusReply.read)

    def rename_status(self, pipeline_id: int, status_id: int, name: str) -> None:
        """Rename a stage; only administrators may. Source: https://developers.kommo.com/reference/edit-stage"""
        path = f"/api/v4/leads/pipelines/{pipeline_id}/statuses/{status_id}"
        self._request("rename stage", "PATCH", path, body={"name": name})

    def create_custom_fields(self, entity: str, definitions: Body) -> list[FieldReply]:
        path = f"/api/v4/{entity}/custom_fields"
        return self._written("create fields", "POST", path, definitions, "custom_fields", FieldReply.read)

    def update_custom_field(self, entity: str, field_id: int, changes: dict[str, Any]) -> None:
        """Change a field. `enums` must hold every option with its id: those left out are lost."""
        self._request("change field", "PATCH", f"/api/v4/{entity}/custom_fields/{field_id}", body=changes)

    def ask(
        self, method: str, path: str, *, query: list[tuple[str, str]] | None = None, body: Any = None
    ) -> tuple[int, Any]:
        """Return the status and the parsed answer of any call; a refusal is an answer too, with the error in its place.

        For looking at how an account behaves; raises KommoError when no answer comes.
        """
        try:
            data = self._request("probe", method, path, query=query, body=body)
        except KommoError as error:
            if error.status_code is None or isinstance(error, KommoReplyError):
                raise
            return error.status_code, error
        return 204 if data is None else 200, data

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

    def _lead(self, data: Any) -> LeadReply:
        return LeadReply.read(data, self.zone)

    def lead(self, lead_id: int, *, lane: Lane = Lane.LIVE) -> LeadReply:
        """Return one lead with its contacts. Raises KommoNotFoundError (a 204 in Kommo)."""
        path = f"/api/v4/leads/{lead_id}"
        data = self._request("read lead", "GET", path, query=[("with", "contacts")], lane=lane)
        if data is None:
            raise KommoNotFoundError(f"lead {lead_id} is not in Kommo", operation="read lead", status_code=204)
        return self._read("read lead", data, self._lead)

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
        params: list[tuple[str, str]] = [("filter[id][]", str(lead_id)) for lead_id in ids]
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
        yield from self._pages("read leads", "/api/v4/leads", "leads", self._lead, params, limit, lane)

    def list_leads(
        self,
        *,
        page: int,
        updated_since: datetime | None = None,
        created_until: int | None = None,
        pipeline_ids: Sequence[int] = (),
        places: Sequence[tuple[int, int]] = (),
        newest_change_first: bool = False,
        limit: int = LIST_LIMIT,
        lane: Lane = Lane.BULK,
    ) -> tuple[list[LeadReply], bool]:
        """Return one page of leads with their contacts, and whether another follows.

        With `updated_since` the oldest change comes first, without it the newest lead, from `created_until` on (Unix
        seconds, that second included). Rows that change while pages are read move between them.
        """
        params = [("filter[pipeline_id][]", str(wanted_id)) for wanted_id in pipeline_ids]
        for index, (pipeline_id, status_id) in enumerate(places):
            params.append((f"filter[statuses][{index}][pipeline_id]", str(pipeline_id)))
            params.append((f"filter[statuses][{index}][status_id]", str(status_id)))
        if updated_since:
            params.append(("filter[updated_at][from]", str(int(updated_since.timestamp()))))
        if created_until is not None:
            params.append(("filter[created_at][to]", str(created_until)))
        if newest_change_first:
            params.append(("order[updated_at]", "desc"))
        else:
            params.append(("order[updated_at]", "asc") if updated_since else ("order[created_at]", "desc"))
        query = [*params, ("with", "contacts"), ("page", str(page)), ("limit", str(limit))]
        return self._page_of_leads(query, lane)

    def list_deleted(
        self, *, page: int, limit: int = LIST_LIMIT, lane: Lane = Lane.BULK
    ) -> tuple[list[LeadReply], bool]:
        """Return one page of deleted leads, newest change first where Kommo heeds that, and whether another follows.

        Only `is_deleted`, `id` and `updated_at` are told of them. Kommo ignores words it does not know: whatever is not
        said to be deleted is no deleted lead.
        """
        query = [("with", "only_deleted"), ("order[updated_at]", "desc"), ("page", str(page)), ("limit", str(limit))]
        return self._page_of_leads(query, lane)

    def _page_of_leads(self, query: list[tuple[str, str]], lane: Lane) -> tuple[list[LeadReply], bool]:
        data = self._request("read leads", "GET", "/api/v4/leads", query=query, lane=lane)
        if data is None:
            return [], False
        links = data.get("_links") if isinstance(data, dict) else None
        leads = self._read_each("read leads", reply_values.embedded(data, "leads"), self._lead)
        return leads, bool(isinstance(links, dict) and links.get("next"))

    # --- contacts, notes, tasks ---------------------------------------------------------------------------------------

    def contacts(
        self, *, ids: Sequence[int | None] = (), query: str = "", with_leads: bool = False, lane: Lane = Lane.LIVE
    ) -> list[ContactReply]:
        """Return contacts by id or by a text search; the search also finds others, so compare what comes back."""
        params = [("filter[id][]", str(contact_id)) for contact_id in ids if contact_id is not None]
        if query:
            params.append(("query", query))
        if with_leads:
            params.append(("with", "leads"))
        pages = self._pages(
            "read contacts", "/api/v4/contacts", "contacts", ContactReply.read, params, LIST_LIMIT, lane
        )
        return list(pages)

    def find_contacts(self, query: str, *, lane: Lane = Lane.LIVE) -> list[ContactReply]:
        """Return the contacts a text search finds, with their leads; the first page of them. It also finds others."""
        params = [("query", query), ("with", "leads")]
        pages = self._pages(
            "find contacts", "/api/v4/contacts", "contacts", ContactReply.read, params, LIST_LIMIT, lane
        )
        return list(islice(pages, LIST_LIMIT))

    def update_contacts(self, contacts: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[ContactReply]:
        """Change contacts; return those the answer names, with the name that is kept where it tells one."""
        data = self._request("update contacts", "PATCH", "/api/v4/contacts", body=list(contacts), lane=lane)
        return self._read_each("update contacts", reply_values.embedded(data, "contacts"), ContactReply.read)

    def notes(self, lead_id: int) -> list[NoteReply]:
        return self._all("read notes", f"/api/v4/leads/{lead_id}/notes", "notes", NoteReply.read)

    def notes_on(self, entity: str, entity_id: int) -> list[int]:
        """Return the ids of the notes on one of `leads` or `contacts`; the first page of them."""
        path = f"/api/v4/{entity}/{entity_id}/notes"
        query = [("limit", str(LIST_LIMIT))]
        data = self._request("read notes", "GET", path, query=query, lane=Lane.BULK)
        return self._read_each(
            "read notes", reply_values.embedded(data, "notes"), lambda row: reply_values.integer(row, "id")
        )

    def tasks_on(self, lead_id: int) -> list[int]:
        """Return the ids of a lead's tasks, done or not; the first page of them. The filter may be ignored."""
        query = [("filter[entity_type]", "leads"), ("filter[entity_id]", str(lead_id)), ("limit", str(LIST_LIMIT))]
        data = self._request("read tasks", "GET", "/api/v4/tasks", query=query, lane=Lane.BULK)
        found = self._read_each("read tasks", reply_values.embedded(data, "tasks"), TaskReply.read)
        return [task.id for task in found if task.entity_id == lead_id]

    def create_notes(self, notes: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[NoteReply]:
        return self._written(
            "create notes", "POST", "/api/v4/leads/notes", list(notes), "notes", NoteReply.read, lane=lane
        )

    def tasks(self, lead_id: int) -> list[TaskReply]:
        params = [("filter[entity_type]", "leads"), ("filter[entity_id]", str(lead_id))]
        return list(self._pages("read tasks", "/api/v4/tasks", "tasks", TaskReply.read, params, LIST_LIMIT, Lane.LIVE))

    def create_tasks(self, tasks: Sequence[dict[str, Any]], *, lane: Lane = Lane.LIVE) -> list[TaskReply]:
        return self._written("create tasks", "POST", "/api/v4/tasks", list(tasks), "tasks", TaskReply.read, lane=lane)

    def task(self, task_id: int) -> TaskReply:
        """Return one task. Raises KommoNotFoundError (a 204 in Kommo)."""
        data = self._request("read task", "GET", f"/api/v4/tasks/{task_id}")
        if data is None:
            raise KommoNotFoundError(f"task {task_id} is not in Kommo", operation="read task", status_code=204)
        return self._read("read task", data, TaskReply.read)

    def complete_task(self, task_id: int, result: str) -> None:
        """Tick a task off, with what came of it.

        Source: https://developers.kommo.com/reference/updating-a-task
        """
        body = {"is_completed": True, "result": {"text": result}}
        self._request("complete task", "PATCH", f"/api/v4/tasks/{task_id}", body=body)

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

    # --- chats ------------------------------------------------------------------------------------------------------

    def talks(self, contact_id: int, *, closed_too: bool = False, lane: Lane = Lane.LIVE) -> list[TalkReply]:
        """Return a contact's chats; the filter may be ignored, so compare what comes back. The first page of them.

        Source: https://developers.kommo.com/reference/talks-list
        """
        params = [("filter[contact_id][]", str(contact_id))]
        if not closed_too:
            params.append(("filter[only_in_work]", "1"))
        pages = self._pages("read talks", "/api/v4/talks", "talks", TalkReply.read, params, LIST_LIMIT, lane)
        return list(islice(pages, LIST_LIMIT))

    def send_message(self, talk_id: int, text: str, *, lane: Lane = Lane.LIVE) -> None:
        """Say a text in a chat, whichever messenger is behind it. Not idempotent; metered, 402 above the quota.

        Source: https://developers.kommo.com/docs/chats-api-add-on
        """
        self._request("send message", "POST", f"/api/v4/talks/{talk_id}/send_message", body={"text": text}, lane=lane)
