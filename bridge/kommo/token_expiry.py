"""When does a token end, and how long before is somebody warned? Read from the token itself, without asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

WARN_BEFORE = (timedelta(days=30), timedelta(days=7), timedelta(days=1))


def claims(token: str) -> dict[str, Any]:
    """Return what a JWT says of itself, unverified; {} for any other token. Only used for hints such as its expiry."""
    try:
        found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    except jwt.InvalidTokenError:
        return {}
    return found


def expiry(token: str) -> datetime | None:
    """Return when a token ends, read from the token itself; None when it does not say."""
    seconds = claims(token).get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def warning(expires_at: datetime | None, *, now: datetime) -> timedelta | None:
    """Return the threshold (30, 7 or 1 days) a token's remaining life has fallen below; None while there is time.

    An expired token returns the smallest threshold.
    """
    if expires_at is None:
        return None
    below = [span for span in WARN_BEFORE if expires_at - now <= span]
    return min(below) if below else None
