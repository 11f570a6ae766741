"""What of a call is never stored: the other side's keys and tokens, our own address, and files. Pure.

A body that is no JSON is kept as well, so there the same is looked for by its spelling.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

# By how a key ends, in lower case and without signs: `apikey`, `pubsub_token`, `mediaKey`, `fileBase64` …
ENDINGS = (
    "apikey",
    "token",
    "password",
    "passcode",
    "secret",
    "authorization",
    "privatekey",
    "hmackey",
    "jwtkey",
    "mediakey",
    "base64",
    "thumbnail",
)
# The address that was called: its last part is our secret.
WHOLE = frozenset({"destination", "webhookurl", "webhook", "cookie"})
# What people wrote stays as they wrote it.
WORDS = frozenset({"conversation", "text", "body", "message", "content", "caption"})
IN_ADDRESS = re.compile(r"(?i)([?&](?:x-)?(?:access_?|auth_?)?(?:token|api_?-?key)=)[^&#\s]+")
SPELLED = re.compile(
    rb"(?i)(\"[^\"\\]{0,60}(?:" + "|".join(ENDINGS).encode().replace(b"apikey", rb"api[_-]?key") + rb"|"
    rb"destination)\"\s*:\s*)\"(?:[^\"\\]|\\.)*(?:\"|$)"
)
HIDDEN = "…"


def without_secrets(body: bytes) -> bytes:
    """Return the body without secrets; JSON is written anew, anything else stays as it is but for what looks so."""
    try:
        tree = orjson.loads(body)
        _prune(tree)
        return orjson.dumps(tree)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # No JSON, or nested deeper than any source sends.
        return SPELLED.sub(rb'\1""', body)


def _prune(tree: Any) -> None:
    """Take secrets out of what JSON holds, in place, however deep."""
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            for key in [key for key in node if _is_secret(key)]:
                del node[key]
            for key, value in node.items():
                if isinstance(value, str) and key not in WORDS and "=" in value:
                    node[key] = IN_ADDRESS.sub(rf"\1{HIDDEN}", value)
            left += node.values()
        elif isinstance(node, list):
            left += node


def _is_secret(key: str) -> bool:
    plain = "".join(sign for sign in key.lower() if sign.isalnum())
    return plain.endswith(ENDINGS) or plain in WHOLE
