"""A company that runs one of the playbooks: its conversations, its Kommo, and what docs/playbooks.md says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bridge.models import Account
from followups import sequence_preview, sequence_versions
from followups.models import Sequence
from followups.next_step import hours_of
from kommo_sandbox.staff import Kommo
from leads import may_speak
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Pipeline
from tests.bridge.mapped import read_back
from tests.conftest import drain, lead_of, record, rested
from tests.repository import ROOT

PAGE = ROOT / "docs" / "playbooks.md"
# A Tuesday, at ten in São Paulo.
TUESDAY = datetime(2027, 3, 2, 13, 0, tzinfo=UTC)
Row = tuple[str, ...]


def page(trade: str) -> tuple[list[Row], list[Row]]:
    """Return what the page tells of a trade: its conversations (what, where, why) and its messages (which, when)."""
    [section] = re.findall(rf"\(../playbooks/{trade}\.yaml\)\n(.*?)(?=\n## |\Z)", PAGE.read_text("utf-8"), re.DOTALL)
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in section.splitlines() if "|" in line]
    shown_rows = [row for row in rows if not set(row[0]) <= set("- ") and row[0] not in ("what happens", "messages")]
    return [row for row in shown_rows if len(row) == 3], [row for row in shown_rows if len(row) == 2]


@dataclass
class Office:
    """`rows` is what happened so far, as the page has it."""

    account: Account
    kommo: Kommo
    pipeline: Pipeline
    rows: list[Row] = field(default_factory=list)
    _messages: int = 0

    def turn(self, what: str, phone: str, talk: str | None = None, **facts: Any) -> None:
        """Let a lead write, and the agent report what it knows then; `talk` is its word for where the talk is."""
        self._messages += 1
        message = Message(Direction.INBOUND, id=f"m{self._messages}", text=what)
        context = {"conversation_stage": talk, "objections": facts.pop("objections", None)}
        context = {name: value for name, value in context.items() if value is not None}
        self._note(what, record(self.pipeline, phone, message=message, context=context, **facts).decision)

    def books(self, what: str, phone: str, *, days: int, status: str = "scheduled") -> None:
        meeting = Meeting(status, id=f"booking-{phone[-1]}", starts_at=TUESDAY + timedelta(days=days))
        self._note(what, record(self.pipeline, phone, context={"meeting": meeting}).decision)

    def _note(self, what: str, decision: Any) -> None:
        stage = self.pipeline.stages.get(key=decision.stage)
        self.rows.append((what, stage.name, decision.reason))

    def may_reply(self, phone: str) -> bool:
        return may_speak.refusal(lead_of(phone)) is None

    def messages(self, *sequences: str) -> list[Row]:
        """Return when the messages of sequences leave, counted from TUESDAY or a meeting a week later at that hour."""
        return [(f"`{slug}`", self._times(slug)) for slug in sequences]

    def _times(self, slug: str) -> str:
        sequence = self.pipeline.sequences.get(slug=slug)
        is_meeting = sequence.starts_on == Sequence.StartsOn.MEETING_SCHEDULED
        start = TUESDAY + timedelta(days=7) if is_meeting else TUESDAY
        zone = self.pipeline.time_zone
        lines = sequence_preview.timetable(sequence_versions.current(sequence), hours_of(self.pipeline), zone, start)
        found = []
        for line in lines:
            assert line.due is not None, f"{slug} never sends its step {line.step}"
            at = line.due.at.astimezone(ZoneInfo(zone)).strftime("%a %d %H:%M")
            found.append(("left out" if line.left_out else at) if line.step else f"given up {at}")
        return ", ".join(found)

    def cards(self) -> dict[str, dict[str, Any]]:
        """Return the cards by phone when everything has reached Kommo."""
        drain(self.account)
        # What a create keeps less of (tags, in some accounts) goes again once that was read.
        read_back(self.account)
        drain(rested(self.account))
        return {card["contacts"][0]["phones"][0]: card for card in self.kommo.leads()}

    def stages_on_the_board(self) -> dict[str, str]:
        return {phone: card["status_name"] for phone, card in self.cards().items()}
