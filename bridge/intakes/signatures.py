"""By what the sources prove that they call. Pure; every comparison takes the same time, whatever differs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from typing import Any

# How far an honest clock may be off.
LEEWAY_SECONDS = 60
STAMP = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
# A call that was signed long ago is one that somebody kept. Whoever gets no answer calls again, Calendly for a day, and
# a clock may be wrong: so far it is believed.
OLDEST, FURTHEST_AHEAD = timedelta(days=5), timedelta(hours=1)


def is_hex_of(signature: str, key: str, *parts: bytes, algorithm: str = "sha256") -> bool:
    """Say whether a signature is the HMAC of these bytes, in hexadecimal of either case."""
    wanted = hmac.new(key.encode(), b"".join(parts), getattr(hashlib, algorithm)).hexdigest()
    return hmac.compare_digest(signature.strip().lower().encode(), wanted.encode())


def is_recent(stamp: str, now: datetime) -> bool:
    """Say whether a call's stamp, in seconds since 1970, is one of these days."""
    if not STAMP.fullmatch(stamp):
        return False
    age = now.timestamp() - float(stamp)
    return -FURTHEST_AHEAD.total_seconds() <= age <= OLDEST.total_seconds()


def is_token_of(token: str, key: str, now: datetime) -> bool:
    """Say whether a JWT was signed by HS256 with this key and holds now. Other algorithms are refused, `none` first."""
    head, _, rest = token.partition(".")
    claims, _, signature = rest.partition(".")
    wanted = hmac.digest(key.encode(), f"{head}.{claims}".encode(), "sha256")
    if not hmac.compare_digest(_bytes(signature), wanted):
        return False
    header, payload = _object(head), _object(claims)
    if header is None or payload is None or header.get("alg") != "HS256":
        return False
    seconds = now.timestamp()
    begins, ends = payload.get("nbf", payload.get("iat", 0)), payload.get("exp")
    return (
        _is_number(begins)
        and begins <= seconds + LEEWAY_SECONDS
        and (ends is None or (_is_number(ends) and seconds < ends + LEEWAY_SECONDS))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _object(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_bytes(part))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
