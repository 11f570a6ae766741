"""`manage.py demo --once`, as anybody's first command: every stage of the shipped pipeline, and a clean end."""

from __future__ import annotations

import subprocess

import pytest

from bridge.demo.stage import MANAGE
from common.name_spellings import name_key

pytestmark = pytest.mark.once

STAGES = (
    "NOVO LEAD", "EM QUALIFICAÇÃO", "QUALIFICADO", "DESQUALIFICADO", "REUNIÃO AGENDADA", "ATENDIMENTO HUMANO",
    "NÃO INTERESSADO",
)  # fmt: skip


def test_the_demo_reaches_every_stage_and_every_card_is_right():
    ports = ["--port", "0", "--sandbox-port", "0", "--agent-port", "0"]
    done = subprocess.run([*MANAGE, "demo", "--once", *ports], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cards = [line for line in done.stdout.splitlines() if line.startswith("  ✓")]
    assert len(cards) == 14
    assert "✗" not in done.stdout
    shown = name_key(" ".join(cards))
    for stage in STAGES:
        assert name_key(stage) in shown, stage
