"""What the sandbox answers: success, nothing found, and Kommo's two shapes of refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

HAL = "application/hal+json"
PROBLEM = "application/problem+json"
HTML = "text/html"

Json = dict[str, Any]


@dataclass
class Answer:
    """An HTTP answer; `body` is JSON data, or text that goes out as it is."""

    body: Any = None
    status: int = 200
    content_type: str = HAL
    headers: dict[str, str] = field(default_factory=dict)


def nothing() -> Answer:
    """Answer 204 without a body: Kommo's empty list, unknown id, and done."""
    return Answer(status=204)


def problem_body(status: int, detail: str, **extra: Any) -> Json:
    return {
        "title": HTTPStatus(status).phrase,
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
        **extra,
    }


class Refusal(Exception):
    """Ends a call with an answer other than success; nothing of the call is kept."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body}")
        self.answer = answer

    @classmethod
    def problem(cls, status: int, detail: str, **extra: Any) -> Refusal:
        return cls(Answer(problem_body(status, detail, **extra), status, PROBLEM))

    @classmethod
    def validation(cls, refused: list[Json]) -> Refusal:
        """Refuse with errors by request id: `[{"request_id": "0", "errors": [{"code", "path", "detail"}]}]`."""
        body = {"validation-errors": refused, **problem_body(400, "Request validation failed")}
        return cls(Answer(body, 400, PROBLEM))

    @classmethod
    def by_entity(cls, errors: dict[int, str]) -> Refusal:
        """Refuse in the other shape, keyed by entity id; Kommo uses it for loss reasons."""
        keyed = {str(entity_id): text for entity_id, text in errors.items()}
        return cls(Answer({"errors": keyed, **problem_body(400, "Invalid request body")}, 400, PROBLEM))

    @classmethod
    def control(cls, error: str, remedy: str, status: int = 400) -> Refusal:
        """Refuse a call of the control API, saying what to send instead."""
        return cls(Answer({"error": error, "remedy": remedy}, status, "application/json"))
