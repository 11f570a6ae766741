"""Everything that can go wrong, as one tree. Each class says whether trying again helps.

BridgeError
├── ConfigurationError          a setting contradicts the product or itself     a person corrects it
├── DriftError                  a drift that cannot be decided so                a person decides otherwise
└── KommoError
    ├── KommoUnreachableError   no answer: DNS, TLS, timeout, dropped           retry
    │   └── KommoHeldError      calls are held back: nothing was sent           retry, everybody waits
    ├── KommoRateLimitError     429; retry_after                                retry, everybody waits
    ├── KommoServerError        5xx; `too_large` for 504                        retry, smaller
    ├── KommoAccessError        401, 402, 403: token, payment, rights, block    what it was for rests; tell a person
    ├── KommoNotFoundError      204 where one record was asked for; 404         it is gone; the address is wrong
    ├── KommoRejectedError      400, 422; `items` name the culprits             not as it is
    └── KommoReplyError         2xx that we cannot read                         a write may have been applied
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Call:
    """One call as it went: for metrics, logs and deliveries. `status` None: no answer came."""

    method: str
    operation: str
    status: int | None
    seconds: float
    request_id: str


class BridgeError(Exception):
    """A failure whose message tells a colleague what to do."""

    @property
    def in_log(self) -> str:
        """What a log line says of it: without words of others, which may quote whom they are about."""
        return str(self)


class ConfigurationError(BridgeError):
    """A setting contradicts the product or itself."""


class DriftError(BridgeError):
    """A drift cannot be decided the way somebody asked for: it can be neither written nor held."""


class KommoError(BridgeError):
    """A call that did not bring what it was made for. The message holds no secret and no personal data.

    `call`: the call itself, as it went; None when none left.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        status_code: int | None = None,
        detail: str = "",
        request_id: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.status_code = status_code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after
        self.call: Call | None = None

    @property
    def in_log(self) -> str:
        return f"{self.operation}: Kommo answered {self.status_code}" if self.detail else str(self)


class KommoUnreachableError(KommoError):
    """No answer came. `sent` False: the request never left, so nothing was applied; True: it may have been.

    `lingers`: Kommo may still be at work on it, because we stopped listening before it stopped talking.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        sent: bool,
        lingers: bool = False,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, operation=operation, retry_after=retry_after)
        self.sent = sent
        self.lingers = lingers


class KommoHeldError(KommoUnreachableError):
    """No call may leave now: the account is paused, or Kommo asked everybody to wait."""

    def __init__(self, message: str, *, operation: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message, operation=operation, sent=False, retry_after=retry_after)


class KommoRateLimitError(KommoError):
    """429: too many calls. `retry_after` says how long everybody waits."""

    retryable = True


class KommoServerError(KommoError):
    """5xx. `too_large`: Kommo gave up over the size of the request (504)."""

    retryable = True

    @property
    def too_large(self) -> bool:
        return self.status_code == 504

    @property
    def lingers(self) -> bool:
        # A gateway gave up waiting; what it waited for goes on.
        return self.status_code == 504


class KommoAccessError(KommoError):
    """401, 402 or 403. `is_block`: an HTML page instead of JSON, the mark of a blocked address."""

    def __init__(self, message: str, *, is_block: bool = False, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.is_block = is_block


class KommoNotFoundError(KommoError):
    """The record is not there, or not visible to our user (204); or there is no such path at this address (404)."""


@dataclass(frozen=True)
class Rejection:
    """One thing Kommo found wrong: at a place of the request (`request_id`) or with a lead (`lead_id`)."""

    code: str
    path: str
    detail: str
    request_id: str | None = None
    lead_id: int | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}".strip(": ")

    @property
    def is_wordy(self) -> bool:
        """Whether only words say what is wrong, in whatever language the account speaks."""
        return not self.code and not self.path

    def names(self, request_id: str, lead_id: int | None) -> bool:
        return self.request_id == request_id or (lead_id is not None and self.lead_id == lead_id)


class KommoRejectedError(KommoError):
    """400 or 422: the request will not be taken as it is; 3xx: somewhere else is pointed to."""

    def __init__(self, message: str, *, items: tuple[Rejection, ...] = (), **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.items = items

    @property
    def in_log(self) -> str:
        if not self.items:
            return super().in_log
        named = {f"{item.path} {item.code}".strip()[:100] for item in self.items} - {""}
        return f"{self.operation}: Kommo answered {self.status_code}: {', '.join(sorted(named)) or 'in words'}"

    @property
    def is_wordy(self) -> bool:
        """Whether culprits are named, and only words say what is wrong with them."""
        return bool(self.items) and all(item.is_wordy for item in self.items)

    def about(self, request_id: str, lead_id: int | None) -> KommoRejectedError | None:
        """Return the part of the error that names one lead of the request; None when none does."""
        named = tuple(item for item in self.items if item.names(request_id, lead_id))
        if not named:
            return None
        part = KommoRejectedError(
            f"{self.operation}: refused by Kommo: {'; '.join(map(str, named))}",
            items=named,
            operation=self.operation,
            status_code=self.status_code,
            detail=self.detail,
            request_id=self.request_id,
        )
        part.call = self.call
        return part


class KommoReplyError(KommoError):
    """A success whose body we cannot read; what was written may well have been applied."""

    retryable = True
    sent = True
