"""Checking what a client sends, in the codes and paths Kommo answers with."""

from __future__ import annotations

from typing import Any

from kommo_sandbox.answers import Json, Refusal

MOST_ITEMS = 250  # entities in one write
MOST_COMPLEX = 50  # leads in one complex create

DETAILS = {
    "NotSupportedChoice": "The value you selected is not a valid choice.",
    "FieldMissing": "This field is missing.",
    "FieldNotExpected": "This field was not expected.",
    "TooLow": "This value should be greater than or equal to 0.",
    "TooLong": "This value is too long.",
}


class Errors:
    """The errors of one item of a batch, in order of discovery."""

    def __init__(self) -> None:
        self.found: list[Json] = []

    def add(self, code: str, path: str, detail: str = "") -> None:
        self.found.append({"code": code, "path": path, "detail": detail or DETAILS[code]})

    def wrong_type(self, path: str, expected: str) -> None:
        self.add("InvalidType", path, f"This value should be of type {expected}.")

    def integer(self, value: Any, path: str) -> bool:
        """Note an error and return False unless the value is a whole number (a boolean is not)."""
        if isinstance(value, int) and not isinstance(value, bool):
            return True
        self.wrong_type(path, "int")
        return False

    def text(self, value: Any, path: str) -> bool:
        if isinstance(value, str):
            return True
        self.wrong_type(path, "string")
        return False

    def __bool__(self) -> bool:
        return bool(self.found)


def items_of(body: Any, most: int = MOST_ITEMS) -> list[Json]:
    """Return the items of a batch; raises Refusal for another shape (400) or too many (422)."""
    if body in (None, [], {}):
        raise Refusal.problem(400, "Request data can not be empty")
    if not isinstance(body, list):
        raise Refusal.validation([_shape_error("array")])
    if len(body) > most:
        raise Refusal.problem(422, f"Limit {most} per page")
    if not all(isinstance(item, dict) for item in body):
        raise Refusal.validation([_shape_error("object")])
    return body


def object_of(body: Any) -> Json:
    """Return the one object a call sends; raises Refusal (400) for another shape."""
    if body in (None, [], {}):
        raise Refusal.problem(400, "Request data can not be empty")
    if not isinstance(body, dict):
        raise Refusal.validation([_shape_error("object")])
    return body


def request_id_of(item: Json, index: int) -> str:
    """Return the client's request id, or what Kommo puts in its place: the index as text."""
    given = item.get("request_id")
    return str(index) if given is None else str(given)


def _shape_error(expected: str) -> Json:
    error = {"code": "InvalidType", "path": "", "detail": f"This value should be of type {expected}."}
    return {"request_id": "0", "errors": [error]}
