#!/usr/bin/env python
"""Lint, build and test the n8n nodes; then let a real n8n with them talk to a running bridge, and time its first card.

Asks the network, and needs `npm` and the Node that n8n wants (24 or newer). N8N names an n8n that is installed already
(its `bin/n8n`), N8N_DATABASE_URL a PostgreSQL database to throw away where n8n has no SQLite: where what it builds
for itself cannot be downloaded, and it was installed by `npm install --ignore-scripts`. Nothing is left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "packages" / "n8n-nodes-kommo-bridge"
sys.path.insert(0, str(ROOT))

from bridge.demo.stage import Stage, free_port, until  # noqa: E402

# The newest of which every dependency is published.
N8N = "n8n@2.40.5"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PHONE = "+5581999993333"
PATIENCE_SECONDS = 300.0
SAY = {
    "id": "kommoBridgeSay",
    "name": "say",
    "active": False,
    "settings": {"executionOrder": "v1"},
    "nodes": [
        {
            "id": "w", "name": "Hook", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0],
            "webhookId": "say", "parameters": {"httpMethod": "POST", "path": "say", "options": {}},
        },
        {
            "id": "s", "name": "Say", "type": "n8n-nodes-kommo-bridge.kommoBridge", "typeVersion": 1,
            "position": [200, 0],
            "credentials": {"kommoBridgeApi": {"id": "kommoBridge", "name": "Kommo Bridge"}},
            "parameters": {
                "resource": "message", "operation": "send", "leadId": "={{ $json.body.lead }}", "text": "Olá daqui",
                "options": {},
            },
        },
    ],
    "connections": {"Hook": {"main": [[{"node": "Say", "type": "main", "index": 0}]]}},
}  # fmt: skip


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="n8n-") as folder:
        at = Path(folder)
        package = built(at)
        program = Path(os.environ["N8N"]) if "N8N" in os.environ else installed(at)
        web, sandbox, n8n = (free_port(port) for port in (8720, 8721, 8722))
        hears = {
            "AGENT_WEBHOOK_URL": f"http://127.0.0.1:{n8n}/webhook/kommo-bridge-events/kommo-bridge",
            "AGENT_WEBHOOK_SECRET": SECRET,
        }
        with Stage(at, web_port=web, sandbox_port=sandbox, extra=hears) as stage:
            stage.environment["KEY"] = started(stage)
            talks(stage, N8n(at, program, package, n8n, stage))
    return 0


def built(at: Path) -> Path:
    """Lint and test a copy of the package; return what would be published of it."""
    copy = at / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    lent = PACKAGE / "node_modules"
    if lent.exists():
        (copy / "node_modules").symlink_to(lent)
    else:
        run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], copy)
    run(["npm", "run", "lint"], copy)
    run(["npm", "test"], copy)
    run(["npm", "pack", "--ignore-scripts", "--silent"], copy)
    [packed] = copy.glob("*.tgz")
    print(f"n8n nodes   linted, built, tested, packed: {packed.name}")
    return packed


def installed(at: Path) -> Path:
    run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", at / "n8n", N8N], at)
    return at / "n8n" / "node_modules" / "n8n" / "bin" / "n8n"


def started(stage: Stage) -> str:
    """A connected bridge whose agent is n8n; returns a key."""
    stage.manage("migrate", "--verbosity", "0")
    stage.start_sandbox()
    stage.manage("kommo_connect", "--create-missing", "--webhook-url", stage.web_url)
    stage.manage("channel", "agent", "n8n")
    key = stage.manage("api_key", "n8n").splitlines()[-1]
    stage.start_web()
    stage.start_worker()
    return key


class N8n:
    """A real n8n with the nodes as a community package, the two examples and one workflow more."""

    def __init__(self, at: Path, program: Path, package: Path, port: int, stage: Stage) -> None:
        self.at, self.program, self.url = at, program, f"http://127.0.0.1:{port}"
        home = at / "home"
        # As n8n itself installs what its editor is asked for.
        shutil.unpack_archive(package, at / "unpacked")
        nodes = home / ".n8n" / "nodes" / "node_modules"
        nodes.mkdir(parents=True)
        shutil.move(at / "unpacked" / "package", nodes / "n8n-nodes-kommo-bridge")
        self.environment = os.environ | {
            "N8N_USER_FOLDER": str(home), "N8N_PORT": str(port), "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_ENCRYPTION_KEY": "only-for-this-check", "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false", "N8N_TEMPLATES_ENABLED": "false",
            "N8N_RUNNERS_BROKER_PORT": str(free_port(8723)), "N8N_SECURE_COOKIE": "false", "GENERIC_TIMEZONE": "UTC",
        } | database()  # fmt: skip
        data = {"address": stage.web_url, "apiKey": stage.environment["KEY"], "eventsSecret": SECRET}
        self.brings(
            "credentials", {"id": "kommoBridge", "name": "Kommo Bridge", "type": "kommoBridgeApi", "data": data}
        )
        workflows = [read("own-messenger"), heard(read("events")), SAY]
        for workflow in workflows:
            self.brings("workflow", workflow)
            self.n8n("publish:workflow", f"--id={workflow['id']}")

    def brings(self, kind: str, thing: dict[str, Any]) -> None:
        file = self.at / "brought.json"
        file.write_text(json.dumps([thing]))
        self.n8n(f"import:{kind}", f"--input={file}")

    def n8n(self, *arguments: str) -> str:
        return run(["node", str(self.program), *arguments], self.at, self.environment)

    def start(self, stage: Stage) -> None:
        with (self.at / "n8n.log").open("ab") as log:
            stage.processes["n8n"] = subprocess.Popen(
                ["node", str(self.program), "start"], cwd=self.at, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        stage.wait_for("n8n", f"{self.url}/healthz/readiness")


def database() -> dict[str, str]:
    if "N8N_DATABASE_URL" not in os.environ:
        return {}
    server = urlsplit(os.environ["N8N_DATABASE_URL"])
    return {
        "DB_TYPE": "postgresdb", "DB_POSTGRESDB_HOST": str(server.hostname),
        "DB_POSTGRESDB_PORT": str(server.port or 5432),
        "DB_POSTGRESDB_DATABASE": server.path[1:], "DB_POSTGRESDB_USER": server.username or "",
        "DB_POSTGRESDB_PASSWORD": server.password or "",
    }  # fmt: skip


def read(name: str) -> dict[str, Any]:
    return dict(json.loads((PACKAGE / "examples" / f"{name}.json").read_text(encoding="utf-8")))


def heard(workflow: dict[str, Any]) -> dict[str, Any]:
    """The example, with what a messenger would be told reported as a fact: it can then be seen in the bridge."""
    [place] = [node for node in workflow["nodes"] if node["name"] == "Say it with your messenger"]
    place |= {
        "type": "n8n-nodes-kommo-bridge.kommoBridge",
        "credentials": {"kommoBridgeApi": {"id": "kommoBridge", "name": "Kommo Bridge"}},
        "parameters": {
            "resource": "interaction", "operation": "report", "addressKind": "phone", "direction": "",
            "address": "={{ $json.data.lead.phone }}", "custom": "={{ JSON.stringify({heard: $json.data.text}) }}",
            "facts": {}, "context": {}, "meeting": {},
        },
    }  # fmt: skip
    return workflow


def talks(stage: Stage, n8n: N8n) -> None:
    n8n.start(stage)
    began = time.monotonic()
    body = {"phone": PHONE, "id": "wamid.n8n.1", "text": "oi"}
    eventually(lambda: requests.post(f"{n8n.url}/webhook/messenger", json=body, timeout=30).ok)
    eventually(lambda: len(cards(stage)) == 1)
    print(f"n8n         first card {time.monotonic() - began:.1f} s after the messenger called")
    [lead] = ask(stage, "leads/", phone=PHONE)["results"]
    eventually(lambda: len(messages(stage, lead["id"])) == 2)
    print("n8n         asked, and reported what it said")
    assert requests.post(f"{n8n.url}/webhook/say", json={"lead": lead["id"]}, timeout=30).ok
    eventually(lambda: ask(stage, f"leads/{lead['id']}/")["custom"].get("heard") == "Olá daqui")
    # The trigger's 2xx is the proof that it was said.
    eventually(lambda: ("Olá daqui", "delivered") in messages(stage, lead["id"]))
    forged = {"webhook-id": "x", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,bm8="}
    hook = stage.environment["AGENT_WEBHOOK_URL"]
    assert requests.post(hook, json={"type": "agent.paused"}, headers=forged, timeout=30).status_code == 401
    print("n8n         sent a message, heard the event for it, refused a forged one")


def eventually(is_so: Callable[[], bool]) -> None:
    if not until(is_so, within_seconds=PATIENCE_SECONDS):
        sys.exit("What was waited for did not come: see the line above in this script.")


def ask(stage: Stage, path: str, **query: str) -> dict[str, Any]:
    headers = {"Authorization": f"Api-Key {stage.environment['KEY']}"}
    answer = requests.get(f"{stage.web_url}/api/v1/{path}", params=query, headers=headers, timeout=30)
    answer.raise_for_status()
    return dict(answer.json())


def cards(stage: Stage) -> list[Any]:
    return list(requests.get(f"{stage.sandbox_url}/_sandbox/leads", timeout=30).json()["leads"])


def messages(stage: Stage, lead_id: str) -> list[tuple[str, str]]:
    """The lead's conversation, as text and state."""
    return [(message["text"], message["state"]) for message in ask(stage, f"leads/{lead_id}/messages/")["results"]]


def run(command: list[Any], at: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=at, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
