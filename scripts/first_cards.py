#!/usr/bin/env python
"""From nothing to a first card, as a newcomer would, and how long it takes: by curl, our two clients and MCP.

Works with what `make release` left in dist/, from an empty home with empty caches. The bridge and its local Kommo are
`kommo-bridge demo`, by uvx. A way has come there when the card is on the local Kommo's board; over MCP, which makes no
cards, when the official client is told why one stands where it stands. Asks the network for what each needs.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from release_proof import bare
from running import run, uv

DIST = Path(__file__).resolve().parent.parent / "dist"
MCP_CLIENT = "mcp==2.3.0"
PYTHON = """
import os
from kommo_bridge_client import Bridge, ConversationReporter

bridge = Bridge(os.environ["BRIDGE"], os.environ["KEY"])
maria = ConversationReporter(bridge, "PHONE")
turn = maria.heard("Oi", id="wamid.PHONE", name="Maria", qualification_score=82, stage="qualificação")
assert (turn.stage, turn.may_reply) == ("qualified", True), turn
"""
TYPESCRIPT = """
import { Bridge, ConversationReporter } from 'kommo-bridge-client';

const bridge = new Bridge({ address: process.env.BRIDGE, key: process.env.KEY });
const facts = { name: 'Maria', qualification_score: 82 };
const maria = new ConversationReporter(bridge, { phone: 'PHONE' });
const turn = await maria.heard('Oi', { id: 'wamid.PHONE', stage: 'qualificação', facts });
if (turn.stage !== 'qualified' || !turn.mayReply) throw new Error(JSON.stringify(turn));
"""
MCP = """
import asyncio, os
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {os.environ['KEY']}"})
    async with Client(streamable_http_client(f"{os.environ['BRIDGE']}/mcp/", http_client=http)) as client:
        assert "why_here" in {tool.name for tool in (await client.list_tools()).tools}
        told = await client.call_tool("why_here", {"lead": "PHONE"})
        assert not told.is_error and "qualification_score 82 >= 70" in told.content[0].text, told

asyncio.run(main())
"""


@dataclass(frozen=True)
class Place:
    """A demo that runs: its addresses and a key."""

    bridge: str
    board: str
    key: str

    def has_card(self, phone: str) -> bool:
        with urllib.request.urlopen(f"{self.board}/_sandbox/leads") as answer:
            leads = json.load(answer)["leads"]
        return any(phone in contact["phones"] for lead in leads for contact in lead["contacts"])


def main() -> int:
    [wheel] = DIST.glob("pypi/kommo_bridge-*.whl")
    [client] = DIST.glob("pypi/kommo_bridge_client-*.whl")
    archives = sorted(DIST.glob("npm/kommo-bridge-client-*.tgz"))
    with tempfile.TemporaryDirectory(prefix="first-cards-") as folder:
        at = Path(folder)
        began = time.monotonic()
        with demo(wheel, at) as place:
            report("demo by uvx, with a key", began)
            environment = bare(at) | {"BRIDGE": place.bridge, "KEY": place.key}
            by_curl(place, at, environment)
            by_python(place, client, at, environment)
            for archive in archives[:1]:
                by_typescript(place, archive, at, environment)
            by_mcp(at, environment)
    return 0


@contextlib.contextmanager
def demo(wheel: Path, at: Path) -> Iterator[Place]:
    """Run the demo from an empty folder until it has said where everything is."""
    home = at / "demo"
    home.mkdir()
    command = [uv(), "tool", "run", "--from", wheel, "kommo-bridge", "demo"]
    command += ["--port", "0", "--sandbox-port", "0", "--agent-port", "0"]
    process = subprocess.Popen(
        command, cwd=home, env=bare(at) | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    output = ""
    try:
        for line in process.stdout:
            output += line
            board = re.search(r"Board in the local Kommo +(\S+?)/?\n", output)
            key = re.search(r"curl (\S+)/api/v1/interactions/ -H 'Authorization: Api-Key (\S+)'", output)
            if board and key:
                break
        else:
            logs = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(home.glob("data/demo/*.log"))]
            sys.exit("\n".join([f"The demo said nothing of where it is:\n{output}", *logs]))
        yield Place(key[1], board[1], key[2])
    finally:
        process.terminate()
        process.communicate()


def by_curl(place: Place, at: Path, environment: dict[str, str]) -> None:
    began, phone = time.monotonic(), "+5581999990001"
    body = json.dumps({"lead": {"phone": phone, "name": "Maria"}})
    headers = ["-H", f"Authorization: Api-Key {place.key}", "-H", "Content-Type: application/json"]
    run(["curl", "-fsS", f"{place.bridge}/api/v1/interactions/", *headers, "-d", body], at, environment)
    seen("curl", place, phone, began)


def by_python(place: Place, client: Path, at: Path, environment: dict[str, str]) -> None:
    began, phone = time.monotonic(), "+5581999990002"
    program = at / "first.py"
    program.write_text(PYTHON.replace("PHONE", phone), encoding="utf-8")
    run([uv(), "run", "--no-project", "--with", client, program], at, environment)
    seen("Python client", place, phone, began)


def by_typescript(place: Place, archive: Path, at: Path, environment: dict[str, str]) -> None:
    began, phone = time.monotonic(), "+5581999990003"
    folder = at / "typescript"
    folder.mkdir()
    (folder / "first.mjs").write_text(TYPESCRIPT.replace("PHONE", phone), encoding="utf-8")
    run(["npm", "install", "--no-audit", "--no-fund", "--silent", archive], folder, environment)
    run(["node", "first.mjs"], folder, environment)
    seen("TypeScript client", place, phone, began)


def by_mcp(at: Path, environment: dict[str, str]) -> None:
    """Ask about the card that the Python client has made."""
    began = time.monotonic()
    program = at / "ask.py"
    program.write_text(MCP.replace("PHONE", "+5581999990002"), encoding="utf-8")
    run([uv(), "run", "--no-project", "--with", MCP_CLIENT, program], at, environment)
    report("MCP, by the official client", began)


def seen(way: str, place: Place, phone: str, began: float) -> None:
    while not place.has_card(phone):
        time.sleep(0.2)
    report(f"{way}: the card is on the board", began)


def report(what: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    if not shutil.which("curl"):
        sys.exit("It needs curl.")
    sys.exit(main())
