"""Examples for the API's description. A test sends each request and compares the shape of each answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

INTERACTION: dict[str, Any] = {
    "lead": {
        "phone": "+55 81 99999-0000",
        "name": "Maria Souza",
        "bill_value": "R$ 4.500,00",
        "chosen_flow": "Aluguel de Lote",
        "qualification_score": 82,
        "is_decision_maker": True,
        "custom": {"consumption_kwh": 540},
    },
    "context": {"conversation_stage": "qualificação", "objections_raised": ["preço"]},
    "message": {
        "id": "wamid.1",
        "direction": "inbound",
        "sent_at": "2026-11-22T13:00:00-03:00",
        "text": "Minha conta vem 4.500 por mês",
    },
    "occurred_at": "2026-11-22T13:00:00-03:00",
    "pipeline": "solar",
}
MEETING: dict[str, Any] = {
    "lead": {"phone": "5581999990000@s.whatsapp.net"},
    "context": {
        "meeting": {
            "id": "evt_1",
            "status": "scheduled",
            "starts_at": "2026-11-25T14:00:00-03:00",
            "link": "https://meet.example/abc",
        }
    },
}
CLEARED: dict[str, Any] = {"lead": {"phone": "+5581999990000", "email": None, "custom": {"consumption_kwh": None}}}
BATCH: list[dict[str, Any]] = [
    {"lead": {"phone": "+5581999990000", "name": "Maria Souza"}},
    {"lead": {"phone": "12"}},
]

_LEAD: dict[str, Any] = {
    "id": "0f9c7c1e-6a0b-4f5e-9d6b-1f2a3b4c5d6e",
    "phone": "+5581999990000",
    "addresses": [
        {"kind": "whatsapp", "value": "558199990000@s.whatsapp.net"},
        {"kind": "phone", "value": "+5581999990000"},
    ],
    "name": "Maria Souza",
    "pipeline": "solar",
    "stage": "qualified",
    "stage_name": "QUALIFICADO",
    "kommo_lead_id": 15318175,
    "sync": "pending",
}
_AGENT: dict[str, Any] = {"may_reply": True, "reason": None, "since": None}
_PAUSED: dict[str, Any] = {
    "may_reply": False,
    "reason": "quer falar com uma pessoa",
    "since": "2026-11-22T16:05:00+00:00",
}
_FOLLOWUP: dict[str, Any] = {"state": "waiting", "next_at": "2026-11-22T16:30:00+00:00", "step": 1}
_ANSWER: dict[str, Any] = {
    "lead": _LEAD,
    "decision": {"stage": "qualified", "changed": True, "reason": "qualification_score 82 >= 70"},
    "agent": _AGENT,
    "followup": {"state": "none", "next_at": None, "step": None},
}
_PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "lead.phone: “12” is not a phone number",
    "errors": [{"field": "lead.phone", "code": "invalid", "message": "“12” is not a phone number"}],
}


def _request(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def _answer(name: str, value: Any, *codes: str) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=codes or ("200",))


RECORDING = [
    _request("A message with what was learned", INTERACTION),
    _request("A booked meeting", MEETING),
    _request("null takes back what was known", CLEARED),
    _answer("Qualified", _ANSWER, "200", "201"),
    OpenApiExample(
        "The phone cannot be used",
        _PROBLEM,
        response_only=True,
        status_codes=("400",),
        media_type="application/problem+json",
    ),
]
BATCH_RECORDING = [
    _request("Two, one of them wrong", BATCH),
    _answer("One by one", [{"status": 200, "body": _ANSWER}, {"status": 400, "body": _PROBLEM}], "207"),
]
LEAD_PAGE = _answer(
    "A page", {"next": "http://127.0.0.1:8000/api/v1/leads/?cursor=cD0y", "previous": None, "results": [_LEAD]}
)
LEAD_IN_FULL = _answer(
    "A lead",
    _LEAD
    | {
        "sync": "synced",
        "email": None,
        "bill_value": 4500,
        "chosen_flow": "Aluguel de Lote",
        "qualification_score": 82,
        "is_decision_maker": True,
        "has_solar_system": None,
        "has_active_contract": None,
        "objections": ["preço"],
        "custom": {"consumption_kwh": 540},
        "tags": ["fluxo_aluguel_de_lote", "objecao_preço"],
        "conversation_stage": "qualificação",
        "meeting": None,
        "card": {"kommo_lead_id": 15318175, "status_id": 89709467, "name": "Maria Souza"},
        "waiting": None,
        "agent": _AGENT,
        "followup": _FOLLOWUP,
    },
)
TIMELINE = _answer(
    "A timeline",
    {
        "next": None,
        "previous": None,
        "results": [
            {
                "at": "2026-11-22T16:00:00+00:00",
                "kind": "interaction",
                "actor": "lead",
                "reason": "",
                "data": {
                    "changed": {"qualification_score": "82"},
                    "message": {"id": "wamid.1", "direction": "inbound", "text": "Minha conta vem 4.500 por mês"},
                },
            },
            {
                "at": "2026-11-22T16:00:00.120000+00:00",
                "kind": "decision",
                "actor": "bridge",
                "reason": "qualification_score 82 >= 70",
                "data": {"from": "new", "to": "qualified"},
            },
        ],
    },
)
MAY_REPLY = [_answer("It may", _AGENT), _answer("A person has taken over", _PAUSED)]
HANDOFF = [_request("Why", {"reason": "quer falar com uma pessoa"}), _answer("Paused", _PAUSED)]
SILENCED = [
    _request("Why", {"reason": "responde preços errados"}),
    _answer(
        "Silenced",
        {
            "may_reply": False,
            "reason": "the agent is silenced in this pipeline: responde preços errados",
            "since": "2026-11-22T16:05:00Z",
        },
    ),
]
GIVEN_BACK = [_answer("The agent may reply again", _AGENT)]

RESULTS = _answer(
    "Thirty days",
    {
        "from": "2026-10-24",
        "to": "2026-11-22",
        "leads": 130,
        "qualified": 48,
        "disqualified": 31,
        "meetings_booked": 22,
        "meetings_booked_by_agent": 17,
        "meetings_held": 14,
        "won": 5,
        "rescued": 9,
        "messages_by_agent": 1420,
        "hours_saved": 47.3,
        "funnel": [
            {"stage": "new", "name": "NOVO LEAD", "entered": 130, "share_of_previous": None},
            {"stage": "qualifying", "name": "EM QUALIFICAÇÃO", "entered": 104, "share_of_previous": 0.8},
        ],
        "first_reply_seconds": {"p50": 9, "p90": 31},
        "handoff_wait_seconds": {"p50": 540, "p90": 4210},
        "disqualified_because": [{"reason": "bill_value < 400", "count": 19}],
        "objections": [{"name": "preço", "count": 27}],
        "followups": [{"sequence": "reengagement", "step": 1, "sent": 61, "answered": 21, "booked": 4, "opted_out": 1}],
    },
)

_MESSAGE: dict[str, Any] = {
    "id": "5b1d5a0e-3c1f-4a55-9a3e-0d9be0f3b1aa",
    "lead": _LEAD["id"],
    "direction": "outbound",
    "text": "Oi Maria, tudo certo para amanhã?",
    "parts": [{"text": "Oi Maria, tudo certo para amanhã?", "state": "queued", "reason": None}],
    "channel": "whatsapp",
    "state": "queued",
    "reason": None,
    "changed": [],
    "at": {"queued": "2026-11-22T16:00:00+00:00", "sent": None, "delivered": None},
}
SAYING = [
    _request("Say this", {"text": "Oi Maria, tudo certo para amanhã?"}),
    _answer("It is on its way", _MESSAGE, "202"),
]
MESSAGE = [_answer("A message", _MESSAGE)]
CONVERSATION = [_answer("A conversation", {"next": None, "previous": None, "results": [_MESSAGE]})]
