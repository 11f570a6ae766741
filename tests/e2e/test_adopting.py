"""docs/adopting.md as its reader follows it: every command in it, in its order, against the local Kommo."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, eventually, running

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/adopting.md").read_text(encoding="utf-8")
COMMANDS = [found.rstrip() for found in re.findall(r"(?:manage\.py |`(?=account ))([^`\n]+)", GUIDE)]
CURL = re.findall(r"^curl .*$", GUIDE, re.MULTILINE)
LONG_AGO = "2026-03-02 14:00:00"
PAST = [
    {"lead": {"phone": "+5581977770001", "name": "Ana"}, "occurred_at": LONG_AGO},
    {"lead": {"phone": "+5581977770002"}, "message": {"direction": "inbound", "text": "parar", "sent_at": LONG_AGO}},
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running("sqlite", tmp_path) as stack:
        yield stack


@pytest.mark.served
def test_every_command_of_the_guide_does_what_it_says(stack: Stack, tmp_path: Path):
    (tmp_path / "part-001.json").write_text(json.dumps(PAST), encoding="utf-8")
    stack.manage("account", "shadow")
    outputs: dict[str, str] = {}
    for command in COMMANDS:
        line = command.replace("https://bridge.example", stack.web_url).replace(
            "rules.yaml", str(tmp_path / "rules.yaml")
        )
        outputs[command] = stack.manage(*shlex.split(line))
        if command.startswith("kommo_connect --webhook-url"):
            [curl] = CURL
            told_the_past(stack, curl, tmp_path)
            # In shadow nobody gets a card.
            assert not any("97777000" in str(card["contacts"]) for card in stack.kommo.leads())
        if command == "account active":
            eventually(lambda: stack.card("+5581977770001"))
    assert {command.split()[0] for command in COMMANDS} == {"bridge_config", "kommo_connect", "account", "doctor"}
    assert "slug: solar" in (tmp_path / "rules.yaml").read_text(encoding="utf-8")
    assert "shadow" in outputs["account show"].lower()


def told_the_past(stack: Stack, curl: str, directory: Path) -> None:
    environment = os.environ | {"BRIDGE": stack.web_url, "KEY": stack.key}
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", curl.replace("curl ", "curl --silent --show-error ")],
            cwd=directory, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert [item["status"] for item in json.loads(done.stdout)] == [201, 201]
