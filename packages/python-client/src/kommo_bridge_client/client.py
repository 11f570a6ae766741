"""The bridge's API, call by call, for programs that wait and for those that do not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from kommo_bridge_client import calling
from kommo_bridge_client.calling import Call, Wait
from kommo_bridge_client.errors import AwayError

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
AWAY = {"may_reply": False, "reason": "the bridge does not answer", "since": None}
Json = dict[str, Any]


class _Calls:
    """What each call says; `_do` of the two clients carries it."""

    def _record(self, interaction: Json, key: str | None) -> Call:
        # A message's own id is a better key than any: it is the same after a restart.
        own = (interaction.get("message") or {}).get("id")
        return calling.call("POST", "/api/v1/interactions/", body=interaction, key=key, once=bool(own and not key))

    def _record_many(self, interactions: Sequence[Json], key: str | None, history: bool, time_zone: str | None) -> Call:
        query = {"history": "true" if history else None, "time_zone": time_zone}
        # The past is told by what it says, and may be told again and again.
        return calling.call(
            "POST", "/api/v1/interactions/batch/", body=list(interactions), query=query, key=key, once=history
        )

    def _person(self, phone: str | None, address: str | None) -> Json:
        """Name a person in a query. Raises ValueError for nobody: a filter that is empty finds somebody else."""
        if not (phone or address):
            raise ValueError("Name the person: a phone, or an address such as lid:1234@lid.")
        return {"phone": phone, "address": address}

    def _leads(self, filters: Json) -> Call:
        return calling.call("GET", "/api/v1/leads/", query=filters)

    def _of_lead(self, method: str, lead_id: str, what: str = "", body: Any = None, key: str | None = None) -> Call:
        path = f"/api/v1/leads/{lead_id}/{what}"
        return calling.call(method, path, body=body, key=key, once=what != "messages/")


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Api-Key {key}", "User-Agent": "kommo-bridge-client/0.1"}


def _query_of(url: str | None) -> Json | None:
    return dict(parse_qsl(urlsplit(url).query)) if url else None


class Bridge(_Calls):
    """A bridge, asked by a program that waits for its answers. Safe for several threads.

    Every method raises a BridgeError. `transport`: httpx's, for tests (see kommo_bridge_client.testing).
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(base_url=address, headers=_headers(key), timeout=TIMEOUT, transport=transport)
        self._sleep = sleep

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def record(self, interaction: Json, *, key: str | None = None) -> Json:
        """Report what happened; returns `lead`, `decision`, `agent`, `followup` and what was `ignored`."""
        return dict(self._do(self._record(interaction, key)))

    def record_many(
        self,
        interactions: Sequence[Json],
        *,
        key: str | None = None,
        history: bool = False,
        time_zone: str | None = None,
    ) -> list[Json]:
        """Report up to 500; returns `status` and `body` of each. history: a past that is told afterwards."""
        return list(self._do(self._record_many(interactions, key, history, time_zone)))

    def may_reply(self, phone: str | None = None, *, address: str | None = None) -> Json:
        """Say whether the agent may write to this person now. While the bridge is away: no; a person may have them."""
        try:
            return dict(self._do(calling.call("GET", "/api/v1/agent/may-reply/", query=self._person(phone, address))))
        except AwayError:
            return dict(AWAY)

    def lead(self, lead_id: str) -> Json:
        return dict(self._do(self._of_lead("GET", lead_id)))

    def leads(self, **filters: Any) -> Iterator[Json]:
        """Yield leads, newest first, page by page. filters: phone, address, stage, sync, updated_since."""
        query: Json | None = filters
        while query is not None:
            page = self._do(self._leads(query))
            yield from page["results"]
            query = _query_of(page["next"])

    def find(self, phone: str | None = None, *, address: str | None = None) -> Json | None:
        return next(self.leads(**self._person(phone, address)), None)

    def timeline(self, lead_id: str) -> Iterator[Json]:
        query: Json | None = {}
        while query is not None:
            page = self._do(calling.call("GET", f"/api/v1/leads/{lead_id}/timeline/", query=query))
            yield from page["results"]
            query = _query_of(page["next"])

    def hand_over(self, lead_id: str, reason: str) -> Json:
        return dict(self._do(self._of_lead("POST", lead_id, "handoff/", {"reason": reason})))

    def give_back(self, lead_id: str) -> Json:
        return dict(self._do(self._of_lead("DELETE", lead_id, "handoff/")))

    def opt_out(self, lead_id: str) -> None:
        self._do(self._of_lead("POST", lead_id, "opt-out/"))

    def erase(self, lead_id: str) -> None:
        self._do(self._of_lead("DELETE", lead_id, "personal-data/"))

    def send(self, lead_id: str, text: str, *, channel: str | None = None, key: str | None = None) -> Json:
        """Say this to the lead by the pipeline's channel. Raises MayNotReplyError while a person has them."""
        body = {"text": text} | ({"channel": channel} if channel else {})
        return dict(self._do(self._of_lead("POST", lead_id, "messages/", body, key)))

    def message(self, message_id: str) -> Json:
        return dict(self._do(calling.call("GET", f"/api/v1/messages/{message_id}/")))

    def _do(self, call: Call) -> Any:
        step = next(call)
        while True:
            got: httpx.Response | httpx.TransportError | None = None
            if isinstance(step, Wait):
                self._sleep(step.seconds)
            else:
                try:
                    got = self._http.request(
                        step.method, step.path, params=step.query, json=step.body, headers=step.headers
                    )
                except httpx.TransportError as error:
                    got = error
            try:
                step = call.send(got)
            except StopIteration as end:
                return end.value


class AsyncBridge(_Calls):
    """The same for a program on an event loop."""

    def __init__(
        self,
        address: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=address, headers=_headers(key), timeout=TIMEOUT, transport=transport)
        self._sleep = sleep

    async def __aenter__(self) -> AsyncBridge:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def record(self, interaction: Json, *, key: str | None = None) -> Json:
        return dict(await self._do(self._record(interaction, key)))

    async def record_many(
        self,
        interactions: Sequence[Json],
        *,
        key: str | None = None,
        history: bool = False,
        time_zone: str | None = None,
    ) -> list[Json]:
        return list(await self._do(self._record_many(interactions, key, history, time_zone)))

    async def may_reply(self, phone: str | None = None, *, address: str | None = None) -> Json:
        call = calling.call("GET", "/api/v1/agent/may-reply/", query=self._person(phone, address))
        try:
            return dict(await self._do(call))
        except AwayError:
            return dict(AWAY)

    async def lead(self, lead_id: str) -> Json:
        return dict(await self._do(self._of_lead("GET", lead_id)))

    async def leads(self, **filters: Any) -> AsyncIterator[Json]:
        query: Json | None = filters
        while query is not None:
            page = await self._do(self._leads(query))
            for lead in page["results"]:
                yield lead
            query = _query_of(page["next"])

    async def find(self, phone: str | None = None, *, address: str | None = None) -> Json | None:
        async for lead in self.leads(**self._person(phone, address)):
            return lead
        return None

    async def timeline(self, lead_id: str) -> AsyncIterator[Json]:
        query: Json | None = {}
        while query is not None:
            page = await self._do(calling.call("GET", f"/api/v1/leads/{lead_id}/timeline/", query=query))
            for event in page["results"]:
                yield event
            query = _query_of(page["next"])

    async def hand_over(self, lead_id: str, reason: str) -> Json:
        return dict(await self._do(self._of_lead("POST", lead_id, "handoff/", {"reason": reason})))

    async def give_back(self, lead_id: str) -> Json:
        return dict(await self._do(self._of_lead("DELETE", lead_id, "handoff/")))

    async def opt_out(self, lead_id: str) -> None:
        await self._do(self._of_lead("POST", lead_id, "opt-out/"))

    async def erase(self, lead_id: str) -> None:
        await self._do(self._of_lead("DELETE", lead_id, "personal-data/"))

    async def send(self, lead_id: str, text: str, *, channel: str | None = None, key: str | None = None) -> Json:
        body = {"text": text} | ({"channel": channel} if channel else {})
        return dict(await self._do(self._of_lead("POST", lead_id, "messages/", body, key)))

    async def message(self, message_id: str) -> Json:
        return dict(await self._do(calling.call("GET", f"/api/v1/messages/{message_id}/")))

    async def _do(self, call: Call) -> Any:
        step = next(call)
        while True:
            got: httpx.Response | httpx.TransportError | None = None
            if isinstance(step, Wait):
                await self._sleep(step.seconds)
            else:
                try:
                    got = await self._http.request(
                        step.method, step.path, params=step.query, json=step.body, headers=step.headers
                    )
                except httpx.TransportError as error:
                    got = error
            try:
                step = call.send(got)
            except StopIteration as end:
                return end.value
