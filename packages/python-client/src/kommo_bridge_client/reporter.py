"""One conversation, reported in one call a turn: the message, what it taught, and whether the agent may answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_bridge_client.client import AsyncBridge, Bridge
from kommo_bridge_client.errors import AwayError, ErasedError, KnownOtherwiseError

Json = dict[str, Any]
OWN = frozenset(
    {
        "name", "email", "bill_value", "chosen_flow", "qualification_score", "is_decision_maker", "has_solar_system",
        "has_active_contract", "kommo_lead_id",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """What the bridge made of a report.

    known: it had this message, in these words or others. is_away: it did not answer; report the same again later, and
    stay silent meanwhile.
    """

    may_reply: bool
    reason: str | None = None
    stage: str | None = None
    lead: Json | None = None
    ignored: tuple[Json, ...] = ()
    known: bool = False
    is_away: bool = False


class _Conversation:
    def __init__(self, phone: str | None, address: str | None, pipeline: str | None) -> None:
        if not (phone or address):
            raise ValueError("Name the person: a phone, or an address such as lid:1234@lid.")
        self.phone, self.address, self.pipeline = phone, address, pipeline
        self.lead_id: str | None = None
        self._told: Json = {}

    def _body(
        self,
        direction: str | None,
        text: str,
        id: str | None,
        at: datetime | str | None,
        stage: str | None,
        objections: list[str] | None,
        meeting: Json | None,
        facts: Json,
    ) -> Json:
        lead: Json = {"phone": self.phone} if self.phone else {}
        if self.address:
            kind, _, value = self.address.partition(":")
            lead["addresses"] = [{"kind": kind, "value": value}]
        # What was told stays told: a fact is sent again when it is another.
        new = {name: value for name, value in facts.items() if name not in self._told or self._told[name] != value}
        lead |= {name: value for name, value in new.items() if name in OWN}
        if custom := {name: value for name, value in new.items() if name not in OWN}:
            lead["custom"] = custom
        body: Json = {"lead": lead}
        context = {"conversation_stage": stage, "objections_raised": objections, "meeting": meeting}
        if context := {name: value for name, value in context.items() if value is not None}:
            body["context"] = context
        if direction:
            body["message"] = {"direction": direction, "text": text} | ({"id": id} if id else {})
            if at is not None:
                body["message"]["sent_at"] = at.isoformat() if isinstance(at, datetime) else at
        if self.pipeline:
            body["pipeline"] = self.pipeline
        return body

    def _turn(self, answer: Json, facts: Json) -> Turn:
        self.lead_id = answer["lead"]["id"]
        self._told |= facts
        agent = answer["agent"]
        ignored = tuple(answer.get("ignored", ()))
        return Turn(agent["may_reply"], agent["reason"], answer["decision"]["stage"], answer["lead"], ignored)

    def _instead(self, error: Exception) -> Turn:
        if isinstance(error, KnownOtherwiseError):
            return Turn(False, "reported before, in other words", known=True)
        if isinstance(error, ErasedError):
            return Turn(False, "this person asked to be forgotten", known=True)
        return Turn(False, "the bridge does not answer", is_away=True)


CAUGHT = (KnownOtherwiseError, ErasedError, AwayError)


class ConversationReporter(_Conversation):
    """Reports one conversation. Facts are keywords: the bridge's own by their names, others go into `custom`."""

    def __init__(
        self, bridge: Bridge, phone: str | None = None, *, address: str | None = None, pipeline: str | None = None
    ) -> None:
        super().__init__(phone, address, pipeline)
        self._bridge = bridge

    def heard(
        self,
        text: str,
        *,
        id: str | None = None,
        at: datetime | str | None = None,
        stage: str | None = None,
        objections: list[str] | None = None,
        meeting: Json | None = None,
        **facts: Any,
    ) -> Turn:
        """Report what the lead wrote."""
        return self._tell("inbound", text, id, at, stage, objections, meeting, facts)

    def said(self, text: str, *, id: str | None = None, at: datetime | str | None = None, **facts: Any) -> Turn:
        """Report what the agent wrote; follow-ups count from it."""
        return self._tell("outbound", text, id, at, None, None, None, facts)

    def staff_said(self, text: str, *, id: str | None = None, at: datetime | str | None = None) -> Turn:
        """Report what a person of the company wrote: they have the lead from then on."""
        return self._tell("staff", text, id, at, None, None, None, {})

    def learned(
        self,
        *,
        stage: str | None = None,
        objections: list[str] | None = None,
        meeting: Json | None = None,
        **facts: Any,
    ) -> Turn:
        """Report what is known without a message: an analysis that came later, a booking."""
        return self._tell(None, "", None, None, stage, objections, meeting, facts)

    def may_reply(self) -> bool:
        """Ask right before writing: a person may have come meanwhile."""
        return bool(self._bridge.may_reply(self.phone, address=None if self.phone else self.address)["may_reply"])

    def ask_for_person(self, reason: str) -> None:
        if self.lead_id is None:
            self.learned()
        if self.lead_id is None:
            raise AwayError("the bridge does not answer")
        self._bridge.hand_over(self.lead_id, reason)

    def _tell(
        self, direction: Any, text: Any, id: Any, at: Any, stage: Any, objections: Any, meeting: Any, facts: Json
    ) -> Turn:
        body = self._body(direction, text, id, at, stage, objections, meeting, facts)
        try:
            return self._turn(self._bridge.record(body), facts)
        except CAUGHT as error:
            return self._instead(error)


class AsyncConversationReporter(_Conversation):
    """The same for a program on an event loop."""

    def __init__(
        self, bridge: AsyncBridge, phone: str | None = None, *, address: str | None = None, pipeline: str | None = None
    ) -> None:
        super().__init__(phone, address, pipeline)
        self._bridge = bridge

    async def heard(
        self,
        text: str,
        *,
        id: str | None = None,
        at: datetime | str | None = None,
        stage: str | None = None,
        objections: list[str] | None = None,
        meeting: Json | None = None,
        **facts: Any,
    ) -> Turn:
        return await self._tell("inbound", text, id, at, stage, objections, meeting, facts)

    async def said(self, text: str, *, id: str | None = None, at: datetime | str | None = None, **facts: Any) -> Turn:
        return await self._tell("outbound", text, id, at, None, None, None, facts)

    async def staff_said(self, text: str, *, id: str | None = None, at: datetime | str | None = None) -> Turn:
        return await self._tell("staff", text, id, at, None, None, None, {})

    async def learned(
        self,
        *,
        stage: str | None = None,
        objections: list[str] | None = None,
        meeting: Json | None = None,
        **facts: Any,
    ) -> Turn:
        return await self._tell(None, "", None, None, stage, objections, meeting, facts)

    async def may_reply(self) -> bool:
        answer = await self._bridge.may_reply(self.phone, address=None if self.phone else self.address)
        return bool(answer["may_reply"])

    async def ask_for_person(self, reason: str) -> None:
        if self.lead_id is None:
            await self.learned()
        if self.lead_id is None:
            raise AwayError("the bridge does not answer")
        await self._bridge.hand_over(self.lead_id, reason)

    async def _tell(
        self, direction: Any, text: Any, id: Any, at: Any, stage: Any, objections: Any, meeting: Any, facts: Json
    ) -> Turn:
        body = self._body(direction, text, id, at, stage, objections, meeting, facts)
        try:
            return self._turn(await self._bridge.record(body), facts)
        except CAUGHT as error:
            return self._instead(error)
