"""What stands in an agent where its own calls to Kommo stood: the CRM service its other parts go on calling.

Its methods are those such a service has (find, create, update, move, note, book, hand over); each is one call to the
bridge. It keeps nothing but which card the agent's own tables knew for a phone.
"""

from __future__ import annotations

from typing import Any, Protocol

# What the agent's model means, in the words the shipped pipeline knows them by.
WORDS = {
    "collecting the name": "estágio_0_coleta_nome",
    "presenting": "estágio_1_apresentar_soluções",
    "waiting for a choice": "ESTAGIO 2 aguardando_escolha",
    "judging": "qualificação",
    "judging in detail": "qualificacao_detalhada",
    "booking": "agendamento",
}


class Api(Protocol):
    """Whoever speaks HTTP with the bridge, with a key."""

    def post(self, path: str, body: Any = None, **headers: str) -> Any: ...
    def get(self, path: str, **query: str) -> Any: ...
    def delete(self, path: str) -> Any: ...


class CrmService:
    def __init__(self, api: Api, own_tables: dict[str, int] | None = None) -> None:
        self._api, self._cards = api, own_tables or {}
        self._said = 0

    def heard(self, phone: str, text: str, **facts: Any) -> dict[str, Any]:
        """The lead wrote; told at once, before anybody thinks of an answer."""
        return self._report(phone, facts, message=self._message("inbound", text))

    def said(self, phone: str, text: str, **facts: Any) -> dict[str, Any]:
        return self._report(phone, facts, message=self._message("outbound", text))

    def update(self, phone: str, **facts: Any) -> dict[str, Any]:
        return self._report(phone, facts)

    def move(self, phone: str, meaning: str, **facts: Any) -> dict[str, Any]:
        """Say where the talk is; where the card goes for it is not the agent's to know."""
        return self._report(phone, facts, context={"conversation_stage": WORDS[meaning]})

    def objects(self, phone: str, *objections: str) -> dict[str, Any]:
        return self._report(phone, {}, context={"objections_raised": list(objections)})

    def note(self, phone: str, key: str, text: str) -> dict[str, Any]:
        return self._report(phone, {"custom": {key: text}})

    def meeting(self, phone: str, status: str, starts_at: str | None = None, **more: Any) -> dict[str, Any]:
        meeting_facts = {"id": "evt-1", "status": status, **more}
        return self._report(
            phone, {}, context={"meeting": meeting_facts | ({"starts_at": starts_at} if starts_at else {})}
        )

    def may_reply(self, phone: str) -> bool:
        return bool(self._api.get("agent/may-reply/", phone=phone).json()["may_reply"])

    def find(self, phone: str) -> dict[str, Any]:
        [lead] = self._api.get("leads/", phone=phone).json()["results"]
        return dict(self._api.get(f"leads/{lead['id']}/").json())

    def timeline(self, phone: str) -> list[dict[str, Any]]:
        return list(self._api.get(f"leads/{self.find(phone)['id']}/timeline/").json()["results"])

    def hand_over(self, phone: str, reason: str) -> dict[str, Any]:
        return dict(self._api.post(f"leads/{self.find(phone)['id']}/handoff/", {"reason": reason}).json())

    def _message(self, direction: str, text: str) -> dict[str, Any]:
        self._said += 1
        return {"id": f"wamid.{self._said}", "direction": direction, "text": text}

    def _report(self, phone: str, facts: dict[str, Any], **parts: Any) -> dict[str, Any]:
        lead = {"phone": phone, **facts}
        if phone in self._cards:
            lead["kommo_lead_id"] = self._cards[phone]
        answer = self._api.post("interactions/", {"lead": lead, **parts})
        assert answer.status_code in (200, 201), answer.content
        return dict(answer.json())
