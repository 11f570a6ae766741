"""Faults on order: what a network, a proxy and a tired Kommo do to a request."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from kommo_sandbox.answers import HTML, PROBLEM, Answer, Json, Refusal, problem_body

NGINX_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)

# Mode -> was the request applied before it went wrong? `"applied": true/false` in the order overrides it.
MODES = {
    "429": False,
    # A refusal of what was sent: without a culprit, or naming those whose `item` it is.
    "400": False,
    "400_named": False,
    # A refusal that means the account: no rights, or not paid for.
    "244": False,
    "500": False,
    "504": False,
    "401": False,
    "402": False,
    "403": False,
    # The way is wrong, or the request too large.
    "302": False,
    "404": False,
    "405": False,
    "422": False,
    "403_html": False,
    "html_500": False,
    "timeout": False,
    "drop_before": False,
    "drop_after": True,
    "invalid_json": True,
    "empty_body": True,
    "token_expired": False,
    "token_revoked": False,
    # The last two let the request through: late, or in part.
    "slow": True,
    "partial": True,
}
# As an account that is not paid for, or full, says it; accounts of other languages keep the number alone.
ERROR_244 = "Account is not paid, error code 244"
# Answered as a bare problem, with these words.
PROBLEMS = {
    "302": "Found",
    "400": "Request data is not valid",
    "402": "Account is not paid",
    "403": "Access denied",
    "404": "Page not found",
    "405": "Method not allowed",
    "422": "Limit 250 per page",
}
EXTRAS: dict[str, type | tuple[type, ...]] = {
    "applied": bool,
    "retry_after": (int, float),
    "seconds": (int, float),
    "share": (int, float),
    # Only requests that carry this text are struck: a poisoned lead, whatever travels with it.
    "item": str,
    "path_named": str,
    "code": str,
    # Where a 302 points.
    "location": str,
}


@dataclass
class Fault:
    """One order: `count` times (None: until cleared), each matching request hit with `probability`."""

    id: int
    mode: str
    count: int | None = None
    probability: float = 1.0
    # A path prefix, or a pattern with `*`; None matches every path.
    path: str | None = None
    method: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    @property
    def applied(self) -> bool:
        return bool(self.extras.get("applied", MODES[self.mode]))

    def matches(self, method: str, path: str, data: bytes) -> bool:
        if self.method and self.method != method:
            return False
        if str(self.extras.get("item", "")).encode() not in data:
            return False
        if self.path is None:
            return True
        return fnmatchcase(path, self.path) if "*" in self.path else path.startswith(self.path)

    def as_json(self) -> Json:
        shown = asdict(self)
        return {**shown, **shown.pop("extras")}


class Faults:
    """The orders in force, in the order they were given; the first that matches and hits is the one."""

    def __init__(self, seed: int) -> None:
        self.orders: list[Fault] = []
        self.random = random.Random(seed)
        self._next_id = 1
        self._cleared = threading.Event()

    def order(self, given: Any) -> Fault:
        """Add an order; raises Refusal (400) with what is wrong."""
        if not isinstance(given, dict):
            raise Refusal.control("a fault must be an object", 'send {"mode": "429", "count": 3}')
        mode = str(given.get("mode"))
        if mode not in MODES:
            raise Refusal.control(f"unknown mode {mode!r}", f"known modes: {', '.join(MODES)}")
        unknown = set(given) - {"mode", "count", "probability", "path", "method", *EXTRAS}
        if unknown:
            raise Refusal.control(
                f"unknown keys {sorted(unknown)}",
                f"known keys: mode, count, probability, path, method, {', '.join(EXTRAS)}",
            )
        count, probability = given.get("count"), given.get("probability", 1)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise Refusal.control("count must be a whole number from 1", "leave it out to go on until cleared")
        if not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise Refusal.control("probability must be from 0 to 1", "leave it out for every request")
        for name, kinds in EXTRAS.items():
            if name in given and not isinstance(given[name], kinds):
                raise Refusal.control(f"{name} has the wrong type", f"got {given[name]!r}")
        method = given.get("method")
        fault = Fault(
            id=self._next_id,
            mode=mode,
            count=count,
            probability=float(probability),
            path=given.get("path"),
            method=str(method).upper() if method else None,
            extras={name: given[name] for name in EXTRAS if name in given},
        )
        self._next_id += 1
        self.orders.append(fault)
        return fault

    def strike(self, method: str, path: str, data: bytes = b"") -> Fault | None:
        """Return the fault that hits this request, using it up by one."""
        for fault in self.orders:
            if fault.matches(method, path, data) and self.random.random() < fault.probability:
                fault.hits += 1
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self.orders.remove(fault)
                return fault
        return None

    def hold(self, seconds: float) -> None:
        """Hold a request for so long, or until the faults are cleared."""
        self._cleared.wait(seconds)

    def clear(self) -> None:
        """Take back every order, and let go on whoever is held by one."""
        self.orders.clear()
        self._cleared.set()
        self._cleared = threading.Event()


def answer(fault: Fault, retry_after: float, data: bytes = b"") -> Answer | None:
    """Return what a struck request is answered; None when the connection ends without an answer."""
    mode = fault.mode
    if mode == "400_named":
        return _naming(fault, data)
    if mode == "244":
        return Answer(problem_body(400, ERROR_244), 400, PROBLEM)
    if mode == "429":
        return too_many(fault.extras.get("retry_after", retry_after))
    if mode == "500":
        body = problem_body(500, "An unknown error occurred", trace_id=f"sandbox-{fault.id}-{fault.hits}")
        return Answer(body, 500, PROBLEM)
    if mode in ("504", "html_500", "403_html"):
        status, title = {
            "504": (504, "504 Gateway Time-out"),
            "html_500": (500, "500 Internal Server Error"),
            "403_html": (403, "403 Forbidden"),
        }[mode]
        return html_page(status, title)
    if mode in PROBLEMS:
        headers = {"Location": str(fault.extras.get("location", "/api/v4/account"))} if mode == "302" else {}
        return Answer(problem_body(int(mode), PROBLEMS[mode]), int(mode), PROBLEM, headers)
    if mode in ("401", "token_expired", "token_revoked"):
        return unauthorized()
    if mode == "invalid_json":
        return Answer('{"_links":{"self":{"href":"', 200)
    if mode == "empty_body":
        return Answer("", 200)
    return None


def _naming(fault: Fault, data: bytes) -> Answer:
    """Refuse a request as Kommo does, naming the items that carry the fault's text by their `request_id`."""
    text = str(fault.extras.get("item", ""))
    error = {
        "code": fault.extras.get("code", "InvalidType"),
        "path": fault.extras.get("path_named", "name"),
        "detail": "This value should be of another type.",
    }
    try:
        items = json.loads(data)
    except ValueError:
        items = []
    found = [
        {"request_id": str(item.get("request_id", index)), "errors": [error]}
        for index, item in enumerate(items if isinstance(items, list) else [items])
        if isinstance(item, dict) and text in json.dumps(item, ensure_ascii=False)
    ]
    return Refusal.validation(found).answer


def too_many(retry_after: float) -> Answer:
    whole = int(retry_after) if float(retry_after).is_integer() else retry_after
    return Answer(problem_body(429, "Too Many Requests", retry_after=whole), 429, PROBLEM)


def unauthorized(hint: str = "") -> Answer:
    body = problem_body(401, "Wrong authorization token")
    return Answer({"hint": hint, **body} if hint else body, 401, PROBLEM)


def html_page(status: int, title: str) -> Answer:
    return Answer(NGINX_PAGE.format(title), status, HTML)
