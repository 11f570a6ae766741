"""The guide for whoever connects an agent: its calls are made, and its agent is run, against the real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.demo.stage import free_port
from tests.e2e.stack import Stack, eventually, new_phone, port, running

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/integrating-an-agent.md").read_text(encoding="utf-8")
CALLS = re.findall(r"```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?", GUIDE, re.DOTALL)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUALIFIED, HUMAN = 89709467, 90421387


def mismatch(expected: Any, got: Any, at: str = "answer") -> str:
    """Return where an answer is not what the guide says; "…" stands for anything, as a key for anything more."""
    if expected == "…":
        return ""
    if isinstance(expected, dict) and isinstance(got, dict):
        named = expected.keys() - {"…"}
        if named - got.keys() or ("…" not in expected and got.keys() - named):
            return f"{at} has the keys {sorted(got)}"
        return next(filter(None, (mismatch(expected[key], got[key], f"{at}.{key}") for key in named)), "")
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
        return next(filter(None, (mismatch(one, other, f"{at}.{place}") for place, (one, other) in pairs)), "")
    return "" if expected == got else f"{at} is {got!r}, not {expected!r}"


def test_every_call_of_the_guide_is_answered_as_it_says(stack: Stack):
    lead = ""
    assert len(CALLS) > 10
    for script, expected in CALLS:
        environment = os.environ | {"BRIDGE": stack.web_url, "KEY": stack.key, "LEAD": lead}
        done = subprocess.run(
            ["bash", "-c", script.replace("curl ", "curl --silent --show-error ")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        if not expected:
            assert done.stdout == "", (script, done.stdout)
            continue
        answer = json.loads(done.stdout)
        assert mismatch(json.loads(expected), answer) == "", (script, answer)
        lead = lead or answer["lead"]["id"]
    assert stack.lead(lead)["phone"] is None


@pytest.fixture
def agents_stack(tmp_path: Path) -> Iterator[tuple[Stack, subprocess.Popen[str], Path]]:
    agent_port = free_port(port())
    url = f"http://127.0.0.1:{agent_port}/events"
    with running("sqlite", tmp_path, AGENT_WEBHOOK_URL=url, AGENT_WEBHOOK_SECRET=SECRET) as stack:
        heard = tmp_path / "agent.log"
        with heard.open("wb") as log:
            command = [sys.executable, str(ROOT / "examples/agent.py"), "--bridge", stack.web_url, "--key", stack.key]
            process = subprocess.Popen(
                [*command, "--port", str(agent_port), "--secret", SECRET],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )
            try:
                yield stack, process, heard
            finally:
                assert process.stdin is not None
                process.stdin.close()
                assert process.wait(timeout=60) == 0


@pytest.mark.served
def test_the_example_agent_ends_with_the_expected_cards(
    agents_stack: tuple[Stack, subprocess.Popen[str], Path], tmp_path: Path
):
    stack, process, heard = agents_stack
    file = tmp_path / "quick.yaml"
    stack.manage("bridge_config", "export", str(file))
    text = file.read_text(encoding="utf-8")
    text = text.replace("delay: PT30M", "delay: PT2S")
    file.write_text(re.sub(r"    quiet_hours:.*\n", "", text), encoding="utf-8")
    stack.manage("bridge_config", "import", str(file))
    maria, bruno, caio = new_phone(), new_phone(), new_phone()

    def says(phone: str, message: str) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{phone} {message}\n")
        process.stdin.flush()

    def hears(line: str) -> None:
        assert line in heard.read_text(encoding="utf-8"), heard.read_text(encoding="utf-8")

    says(maria, "Oi!")
    says(maria, "Me chamo maria souza")
    says(maria, "Minha conta vem R$ 4.500,00, mas está caro")
    says(maria, "Continua caro")
    says(bruno, "Quero falar com um atendente")

    def qualified() -> None:
        card = stack.card(maria)
        assert (card["name"], card["status_id"]) == ("Maria Souza", QUALIFIED)
        assert card["fields"]["Valor Conta Energia"] == "4500"
        assert {"fluxo_aluguel_de_lote", "objecao_preço"} <= set(card["tags"])

    eventually(qualified)
    # Nobody answers: the bridge asks for the first follow-up, and the agent says it.
    eventually(lambda: hears(f"{maria} <- Oi, Maria! Ficou alguma dúvida"))
    eventually(lambda: hears(f"{bruno} -- agent.paused: quer falar com uma pessoa"))
    # A person drags the card: the agent hears of it, and says no more.
    says(caio, "Oi!")
    eventually(lambda: hears(f"{caio} <- Olá! Como você se chama?"))
    stack.kommo.post(f"leads/{eventually(lambda: stack.card(caio))['id']}/move", {"status_id": HUMAN})
    eventually(lambda: hears(f"{caio} -- agent.paused"))
    says(caio, "Me chamo Caio")
    says(maria, "Me chamo Maria Lima")
    eventually(lambda: hears(f"{maria} <- Prazer, Maria!"))
    assert f"{caio} <- Prazer" not in heard.read_text(encoding="utf-8")
