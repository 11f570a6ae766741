"""What people do in a running local Kommo, what it holds and what it was asked: its control API as methods."""

from __future__ import annotations

from typing import Any

import requests

CARD_PATHS = ("/api/v4/leads", "/api/v4/leads/complex")


class Kommo:
    """The sandbox as a test sees it: what it holds, what it was asked, and what staff do in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: Any = None) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body or {}, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def delete(self, path: str) -> None:
        requests.delete(f"{self.url}/_sandbox/{path}", timeout=10).raise_for_status()

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}/_sandbox/{path}", timeout=10).json()

    def leads(self) -> list[dict[str, Any]]:
        return list(self.get("leads")["leads"])

    def lead(self, lead_id: int | None) -> dict[str, Any]:
        return next(lead for lead in self.leads() if lead["id"] == lead_id)

    def journal(self) -> list[dict[str, Any]]:
        return list(self.get("journal")["entries"])

    def answered(self) -> list[dict[str, Any]]:
        """Return the requests whose answer brought anything: where lists never end, an empty page follows each."""
        return [entry for entry in self.journal() if entry["status"] != 204]

    def writes(self) -> list[dict[str, Any]]:
        """Return the writes to cards: creates and updates, without what connecting an account created."""
        return [entry for entry in self.journal() if entry["write"] and entry["path"] in CARD_PATHS]

    def fault(self, mode: str, **more: Any) -> None:
        self.post("faults", {"mode": mode, **more})
