"""The guide for whoever connects an agent: its calls are made, and its agent is run, against the real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.demo.stage import free_port
from tests.e2e.stack import Stack, eventually, new_phone, port, running

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/integrating-an-agent.md").read_text(encoding="utf-8")
CALLS = re.findall(r"```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?", GUIDE, re.DOTALL)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUALIFIED, MEETING, HUMAN = 89709467, 89709595, 90421387
NOWHERE = "+5581944440000"
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
# How far the clock behind the lead's messages is behind the agent's; it has whole seconds as well.
BEHIND = timedelta(seconds=90)


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
        return next(filter(None, (mismatch(first, other, f"{at}.{place}") for place, (first, other) in pairs)), "")
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


def fails(why: str) -> None:
    raise AssertionError(why)


@pytest.fixture
def agents_stack(tmp_path: Path) -> Iterator[tuple[Stack, subprocess.Popen[str], Path]]:
    agent_port = free_port(port())
    url = f"http://127.0.0.1:{agent_port}/events"
    with running("sqlite", tmp_path, AGENT_WEBHOOK_URL=url, AGENT_WEBHOOK_SECRET=SECRET) as stack:
        heard = tmp_path / "agent.log"
        with heard.open("wb") as log:
            command = [sys.executable, str(ROOT / "examples/agent.py"), "--bridge", stack.web_url, "--key", stack.key]
            process = subprocess.Popen(
                [*command, "--port", str(agent_port), "--secret", SECRET, "--unreachable", NOWHERE],
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
    # Somebody without WhatsApp hears nothing, and the agent says so.
    nowhere = stack.tell(NOWHERE, message={"direction": "outbound", "text": "Oi!"})["lead"]["id"]
    eventually(lambda: stack.lead(nowhere)["followup"]["state"] == "cancelled" or fails("still waiting"))
    # A person drags the card: the agent hears of it, and says no more.
    says(caio, "Oi!")
    eventually(lambda: hears(f"{caio} <- Olá! Como você se chama?"))
    stack.kommo.post(f"leads/{eventually(lambda: stack.card(caio))['id']}/move", {"status_id": HUMAN})
    eventually(lambda: hears(f"{caio} -- agent.paused"))
    says(caio, "Me chamo Caio")
    says(maria, "Me chamo Maria Lima")
    eventually(lambda: hears(f"{maria} <- Prazer, Maria!"))
    assert f"{caio} <- Prazer" not in heard.read_text(encoding="utf-8")


def at(days: int, clock: str) -> str:
    return f"{datetime.now(SAO_PAULO) + timedelta(days=days):%d/%m/%Y} às {clock}"


# What one person writes, each answered by the agent: forty messages. Those of one line are bubbles of one thought.
TALK = [
    "Oi!|tudo bem?",
    "Me chamo maria souza",
    "sim|quero ouvir",
    "hmm|parece caro",
    "Minha conta vem R$ 4.500,00",
    "e tem outro plano?",
    f"quero marcar dia {at(3, '14:00')}",
    "ops",
    f"dá pra remarcar pro dia {at(4, '10:00')}?",
    "obrigada|e o prazo?",
    "continua caro",
    "vou ter que cancelar",
    f"posso marcar dia {at(5, '16:00')}?",
    "isso|combinado",
    "até lá!",
]
# Delivered once more at once, and all of it once more in the end.
DOUBLED = (2, 9, 12, 14, 17)


@pytest.mark.served
def test_forty_messages_by_two_clocks_end_with_the_right_card_and_nothing_else(
    agents_stack: tuple[Stack, subprocess.Popen[str], Path],
):
    stack, process, heard = agents_stack
    maria = new_phone()
    bubbles = [bubble for line in TALK for bubble in line.split("|")]
    assert len(bubbles) == 20
    lines: list[str] = []

    def says(line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def lines_heard() -> list[str]:
        return heard.read_text(encoding="utf-8").splitlines()

    def answers() -> list[str]:
        return [line.removeprefix(f"{maria} <- ") for line in lines_heard() if line.startswith(f"{maria} <- ")]

    for number, bubble in enumerate(bubbles):
        sent_at = (datetime.now(UTC) - BEHIND).replace(microsecond=0)
        lines.append(f"{maria} [wamid.{number} {sent_at.isoformat()}] {bubble}")
        says(lines[-1])
        if number in DOUBLED:
            says(lines[-1])
        if number % 5 == 4:
            eventually(lambda number=number: len(answers()) > number or fails("not answered"))

    def everything_is_there() -> dict[str, Any]:
        assert len(answers()) == 20
        [found] = stack.call("GET", f"leads/?phone={maria.removeprefix('+')}").json()["results"]
        assert found["sync"] == "synced"
        return dict(stack.lead(found["id"]))

    def timeline() -> Counter[str]:
        rows = stack.call("GET", f"leads/{lead['id']}/timeline/?limit=200").json()["results"]
        assert Counter(row["data"]["message"]["direction"] for row in rows if "message" in row["data"]) == {
            "inbound": 20,
            "outbound": 20,
        }
        return Counter(row["kind"] for row in rows)

    lead = eventually(everything_is_there)
    card, events = stack.card(maria), timeline()
    assert (card["name"], card["status_id"]) == ("Maria Souza", MEETING)
    assert card["fields"]["Valor Conta Energia"] == "4500"
    assert set(card["tags"]) == {"fluxo_aluguel_de_lote", "objecao_preço"}
    assert (lead["chosen_flow"], lead["agent"]["may_reply"]) == ("Aluguel de Lote", True)
    assert datetime.fromisoformat(lead["meeting"]["starts_at"]) == moment(TALK[-3])
    # Nobody was asked for, nobody was nudged; the one plan that is none was told to its reporter.
    assert stack.kommo.get(f"leads/{card['id']}")["tasks"] == []
    assert [line for line in lines_heard() if " !! " in line] == [
        f"{maria} !! lead.chosen_flow: “Opção E” is not mapped yet, and “Aluguel de Lote” is known"
    ]
    assert {line.split()[2] for line in lines_heard() if " -- " in line} <= {"lead.stage_changed:"}
    assert lead["followup"]["step"] == 1

    for line in lines:
        says(line)
    says(f"{new_phone()} Oi!")
    eventually(lambda: lines_heard()[-1].endswith("Olá! Como você se chama?") or fails("not answered"))
    assert (stack.card(maria), timeline(), len(answers())) == (card, events, 20)


def moment(line: str) -> datetime:
    found = re.search(r"(\d\d/\d\d/\d{4}) às (\d\d:\d\d)", line)
    assert found
    return datetime.strptime(f"{found[1]} {found[2]}", "%d/%m/%Y %H:%M").replace(tzinfo=SAO_PAULO)
