"""Why a call did not do what it was for, and whether calling again helps.

BridgeError
├── AwayError             no answer, 429 or 5xx to the last try: the same call may be made later, under the same key
├── KeyRefusedError       401, 403: the key is unknown or revoked
├── RefusedError          400, 413, 422: `errors` names each field
├── NotFoundError         404
├── KnownOtherwiseError   409: reported before in other words; the bridge knows it
├── MayNotReplyError      409: the agent may not write to this person now
└── ErasedError           410: this person asked to be forgotten
"""

from __future__ import annotations

from typing import Any


class BridgeError(Exception):
    """`problem`: the answer's body (type, title, status, detail, errors), or empty without an answer."""

    def __init__(self, message: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem = problem or {}

    @property
    def errors(self) -> list[dict[str, str]]:
        return list(self.problem.get("errors") or ())


class AwayError(BridgeError):
    pass


class KeyRefusedError(BridgeError):
    pass


class RefusedError(BridgeError):
    pass


class NotFoundError(BridgeError):
    pass


class KnownOtherwiseError(BridgeError):
    pass


class MayNotReplyError(BridgeError):
    pass


class ErasedError(BridgeError):
    pass


BY_STATUS = {401: KeyRefusedError, 403: KeyRefusedError, 404: NotFoundError, 409: KnownOtherwiseError, 410: ErasedError}


def of(status: int, problem: dict[str, Any]) -> BridgeError:
    kind: type[BridgeError] = AwayError if status == 429 or status >= 500 else BY_STATUS.get(status, RefusedError)
    if status == 409 and problem.get("code") == "may_not_reply":
        kind = MayNotReplyError
    return kind(str(problem.get("detail") or f"the bridge answered {status}"), problem)
