"""A first `.env` with fresh secrets, readable by its owner alone. Never touches one that exists. Needs Python alone."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from bridge.installed_paths import SHARED

WRITTEN = "Wrote .env with fresh secrets. The demo needs no more; for an account of yours, name it there."


def write(target: Path) -> bool:
    """Write it and say so; False when there is one already."""
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        # As Standard Webhooks have it: the agent is given the same, and only its address is missing then.
        "AGENT_WEBHOOK_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
    }
    lines = []
    for line in (SHARED / ".env.example").read_text(encoding="utf-8").splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={fresh[name]}" if name in fresh else line)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print(WRITTEN)
    return True
