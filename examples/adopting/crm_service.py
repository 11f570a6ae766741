"""The CRM service of an agent that writes to Kommo itself, with the bridge behind its methods.

Its other parts (analysis, calendar, tools of the model) go on calling what they called. For one on an event loop that
hears and speaks by a WhatsApp API of its own. Needs kommo-bridge-client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kommo_bridge_client import AsyncBridge, AsyncConversationReporter


class KommoService:
    """Where its methods took Kommo's id of a lead they take the phone, which is what `create_lead` returns."""

    def __init__(self, bridge: AsyncBridge) -> None:
        self._bridge = bridge

    async def create_lead(self, phone: str, name: str | None = None) -> str:
        await self._of(phone).learned(**({"name": name} if name else {}))
        return phone

    async def get_lead_by_phone(self, phone: str) -> dict[str, Any] | None:
        return await self._bridge.find(phone)

    async def update_lead(self, lead_id: str, fields: dict[str, Any]) -> None:
        await self._of(lead_id).learned(**fields)

    async def move_to_stage(self, lead_id: str, stage: str) -> str | None:
        """Say where the talk is; the rules say where the card goes for it, and that is returned."""
        return (await self._of(lead_id).learned(stage=stage)).stage

    async def add_tags(self, lead_id: str, objections: list[str]) -> None:
        await self._of(lead_id).learned(objections=objections)

    async def log_message(self, lead_id: str, text: str, *, id: str, is_lead: bool) -> bool:
        """Return whether the agent may answer."""
        reporter = self._of(lead_id)
        turn = await (reporter.heard(text, id=id) if is_lead else reporter.said(text, id=id))
        return turn.may_reply

    async def book_meeting(self, lead_id: str, event_id: str, starts_at: datetime, link: str) -> None:
        meeting = {"id": event_id, "status": "scheduled", "starts_at": starts_at.isoformat(), "link": link}
        await self._of(lead_id).learned(meeting=meeting)

    async def cancel_meeting(self, lead_id: str, event_id: str) -> None:
        await self._of(lead_id).learned(meeting={"id": event_id, "status": "cancelled"})

    async def is_paused(self, phone: str) -> bool:
        return not await self._of(phone).may_reply()

    async def transfer_to_human(self, lead_id: str, reason: str) -> None:
        await self._of(lead_id).ask_for_person(reason)

    def _of(self, phone: str) -> AsyncConversationReporter:
        return AsyncConversationReporter(self._bridge, phone)
