"""What the demo begins with, by the commands that people have for it, in one process: each alone costs a second."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command

from bridge.demo import tables
from bridge.demo.rules import hurried
from bridge.installed_paths import SHARED

# What migrations put into a new installation.
SHIPPED = SHARED / "playbooks" / "solar.yaml"
LOGIN, PASSWORD = "demo", "demo-only-here"
# Messages leave by Kommo's chats; where somebody has none, it is the agent who says them.
WAYS_OUT = ("kommo_chats", "agent")
WAYS_IN = ("evolution", "calcom")


def begin(directory: Path, *, seconds: int) -> dict[str, Any]:
    """Fill an empty database; return the agent's key and the paths of the ways in. seconds: between two follow-ups."""
    tables.make()
    User.objects.create_superuser(LOGIN, "demo@example.com", PASSWORD)
    rules = directory / "rules.yaml"
    rules.write_text(hurried(SHIPPED.read_text(encoding="utf-8"), seconds=seconds), encoding="utf-8")
    _said("bridge_config", "import", str(rules))
    for kind in WAYS_OUT:
        _said("channel", kind, f"demo-{kind}")
    key = _said("api_key", "demo-agent")
    return {"key": key, "ways_in": {kind: _said("intake", kind, f"demo-{kind}") for kind in WAYS_IN}}


def _said(*command: str) -> str:
    """Run a command; return what it printed."""
    printed = StringIO()
    call_command(*command, stdout=printed)
    return printed.getvalue().strip()
