"""What a message of the Model Context Protocol asks, and how it is answered over HTTP. Pure: who calls is known before.

Two ways of speaking are understood. Up to 2025-11-25 a client introduces itself (`initialize`) and goes on; since
2026-07-28 every request stands alone and says in `_meta` what it is. We keep nothing between calls in either: one POST,
one answer in JSON, no session and no stream.
Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STANDING_ALONE = ("2026-07-28",)
INTRODUCED = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "mcp-protocol-version", "mcp-method", "mcp-name"
META = "io.modelcontextprotocol"
VERSION_KEY, CAPABILITIES_KEY, SERVER_KEY = (
    f"{META}/protocolVersion",
    f"{META}/clientCapabilities",
    f"{META}/serverInfo",
)

NOT_JSON, INVALID_REQUEST, NO_SUCH_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
# To those who stand alone an error is one of HTTP too.
STATUS = {NO_SUCH_METHOD: 404}
# Tools are the same until we are replaced by another version.
KEPT_MS = 5 * 60 * 1000


@dataclass(frozen=True)
class Server:
    """Who answers. tools: their descriptions. call: a tool's name and arguments -> its result; None: no such tool."""

    info: Mapping[str, str]
    instructions: str
    tools: list[dict[str, Any]]
    call: Callable[[str, dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Answer:
    """`body` None: taken, nothing to say."""

    status: int
    body: dict[str, Any] | None = None


class _Refused(Exception):
    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.error: dict[str, Any] = {"code": code, "message": message} | ({} if data is None else {"data": data})


def not_json(message: str) -> Answer:
    return Answer(400, _error(None, {"code": NOT_JSON, "message": message}))


def answer(message: Any, headers: Mapping[str, str], server: Server) -> Answer:
    """Return the answer to a message; `headers` by their names in small letters."""
    if not isinstance(message, dict) or not isinstance(message.get("method"), str) or message.get("jsonrpc") != "2.0":
        # An answer to a question of ours is none: we ask nothing.
        return Answer(400, _error(None, {"code": INVALID_REQUEST, "message": "One JSON-RPC request at a time."}))
    version = headers.get(VERSION_HEADER)
    stands_alone = version is not None and version not in INTRODUCED
    request_id = message.get("id")
    try:
        if stands_alone and version not in STANDING_ALONE:
            supported = [*STANDING_ALONE, *INTRODUCED]
            raise _Refused(
                UNSUPPORTED_VERSION, "Unsupported protocol version", {"supported": supported, "requested": version}
            )
        if "id" not in message:
            return Answer(202)
        if not isinstance(request_id, (str, int)) or isinstance(request_id, bool):
            request_id = None
            raise _Refused(INVALID_REQUEST, "The id must be a text or a whole number.")
        params = message.get("params", {})
        if not isinstance(params, dict):
            raise _Refused(INVALID_PARAMS, "params must be an object.")
        if stands_alone:
            _hold_together(message, params, headers)
        result = _result(message["method"], params, server, stands_alone)
    except _Refused as error:
        status = STATUS.get(error.code, 400) if stands_alone else 200
        return Answer(status, _error(request_id, error.error))
    if stands_alone:
        result |= {"resultType": "complete", "_meta": {SERVER_KEY: dict(server.info)}}
    return Answer(200, {"jsonrpc": "2.0", "id": request_id, "result": result})


def _hold_together(message: dict[str, Any], params: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Refuse a request that says one thing in its body and another in its headers, by which proxies let it through."""
    meta = params.get("_meta")
    if not isinstance(meta, dict) or VERSION_KEY not in meta or CAPABILITIES_KEY not in meta:
        raise _Refused(INVALID_PARAMS, f"params._meta needs {VERSION_KEY} and {CAPABILITIES_KEY}.")
    stated = {VERSION_HEADER: meta[VERSION_KEY], METHOD_HEADER: message["method"]}
    if message["method"] == "tools/call" and params.get("name") is not None:
        stated[NAME_HEADER] = params["name"]
    for name, value in stated.items():
        if headers.get(name) != value:
            raise _Refused(HEADER_MISMATCH, f"The header {name} does not match the body.")


def _result(method: str, params: dict[str, Any], server: Server, stands_alone: bool) -> dict[str, Any]:
    kept = {"ttlMs": KEPT_MS, "cacheScope": "private"} if stands_alone else {}
    about = {"capabilities": {"tools": {}}, "instructions": server.instructions}
    if method == "tools/list":
        return {"tools": server.tools, **kept}
    if method == "tools/call":
        return _called(params, server)
    if stands_alone and method == "server/discover":
        return {"supportedVersions": [*STANDING_ALONE, *INTRODUCED], **about, **kept}
    if not stands_alone and method == "initialize":
        wanted = params.get("protocolVersion")
        version = wanted if wanted in INTRODUCED else INTRODUCED[-1]
        return {"protocolVersion": version, "serverInfo": dict(server.info), **about}
    if not stands_alone and method == "ping":
        return {}
    raise _Refused(NO_SUCH_METHOD, f"There is no method {method[:100]} here.")


def _called(params: dict[str, Any], server: Server) -> dict[str, Any]:
    name, arguments = params.get("name"), params.get("arguments")
    if arguments is None:
        arguments = {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise _Refused(INVALID_PARAMS, "A call names a tool, and its arguments are an object.")
    result = server.call(name, arguments)
    if result is None:
        raise _Refused(INVALID_PARAMS, f"There is no tool {name[:100]} for this key.")
    return result


def _error(request_id: Any, error: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": error}
