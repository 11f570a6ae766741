#!/usr/bin/env python
"""Make clients from the API's description with two public generators, and let them and our own call a running bridge.

Asks the network for the generators, and needs `npm` (Node 20 or newer). Nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CALLERS = ROOT / "scripts" / "clients"
sys.path.insert(0, str(ROOT))

from bridge.demo.stage import free_port  # noqa: E402
from running import run  # noqa: E402

PYTHON_GENERATOR = "openapi-python-client==0.29.1"
TYPESCRIPT = ("@hey-api/openapi-ts@0.95.0", "openapi-typescript@7.13.0", "typescript@5.9.3")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="clients-") as folder, bridge(Path(folder)) as (address, key):
        at = Path(folder)
        with urllib.request.urlopen(f"{address}/api/schema/?format=json") as answer:
            (at / "openapi.json").write_bytes(answer.read())
        environment = os.environ | {"BRIDGE": address, "KEY": key}
        python(at, environment)
        typescript(at, environment)
        our_typescript(at, environment)
    return 0


def python(at: Path, environment: dict[str, str]) -> None:
    run([sys.executable, "-m", "venv", at / "venv"], at)
    tools = at / "venv" / "bin"
    run([tools / "python", "-m", "pip", "install", "--quiet", PYTHON_GENERATOR, "ruff"], at)
    made = [
        tools / "openapi-python-client",
        "generate",
        "--path",
        "openapi.json",
        "--output-path",
        "made",
        "--meta",
        "none",
    ]
    output = run(made, at, environment | {"PATH": f"{tools}:{environment['PATH']}"})
    # It warns of what it leaves out, and goes on.
    if "warning" in output.lower():
        sys.exit(output)
    print(run([tools / "python", CALLERS / "calls.py"], at, environment | {"PYTHONPATH": str(at)}), end="")


def typescript(at: Path, environment: dict[str, str]) -> None:
    run(["npm", "install", "--no-audit", "--no-fund", "--silent", *TYPESCRIPT], at)
    run(["npx", "openapi-typescript", "openapi.json", "-o", "types.d.ts"], at)
    run(["npx", "openapi-ts", "-i", "openapi.json", "-o", "sdk", "-c", "@hey-api/client-fetch"], at)
    (at / "package.json").write_text('{"type": "module"}')
    strict = [
        "--strict",
        "--target",
        "es2022",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
        "--lib",
        "es2022,dom,dom.iterable",
    ]
    run(["npx", "tsc", *strict, "--outDir", "js", "types.d.ts", "sdk/index.ts", "sdk/client.gen.ts"], at)
    # Node wants the names of files, which bundlers add.
    for made in (at / "js").rglob("*.js"):
        made.write_text(with_file_names(made))
    shutil.copy(CALLERS / "calls.mjs", at)
    shutil.copy(CALLERS / "calls.json", at)
    print(run(["node", "calls.mjs"], at, environment), end="")


def our_typescript(at: Path, environment: dict[str, str]) -> None:
    """Build and test our own client (the one in Python is tested by the suite)."""
    ours = at / "ours"
    shutil.copytree(
        ROOT / "packages" / "typescript-client", ours, ignore=shutil.ignore_patterns("node_modules", "dist")
    )
    run(["npm", "install", "--no-audit", "--no-fund", "--silent"], ours)
    run(["npm", "test"], ours)
    shutil.copy(CALLERS / "ours.mjs", ours)
    print(run(["node", "ours.mjs"], ours, environment), end="")


def with_file_names(made: Path) -> str:
    def named(found: re.Match[str]) -> str:
        target = (made.parent / found[2]).resolve()
        return f"{found[1]}{found[2]}{'/index.js' if target.is_dir() else '.js'}{found[3]}"

    return re.sub(r"""(from ['"])(\.[^'"]*?)(?:\.js)?(['"])""", named, made.read_text())


@contextlib.contextmanager
def bridge(at: Path) -> Iterator[tuple[str, str]]:
    """Serve a bridge with the shipped playbook and no account; yields its address and a key."""
    port = free_port(8700)
    environment = os.environ | {
        "ENV_FILE": os.devnull,
        "DEBUG": "true",
        "SECRET_KEY": "only-for-this-check-" + "x" * 40,
        "DATABASE_URL": f"sqlite:///{at / 'bridge.sqlite3'}",
        # Messages wait for a worker, which there is not.
        "AGENT_WEBHOOK_URL": "http://127.0.0.1:9/hook",
        "AGENT_WEBHOOK_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    manage = [sys.executable, ROOT / "manage.py"]
    run([*manage, "migrate", "--verbosity", "0"], at, environment)
    run([*manage, "bridge_config", "import", ROOT / "playbooks" / "solar.yaml"], at, environment)
    run([*manage, "channel", "agent", "agent"], at, environment)
    key = run([*manage, "api_key", "clients"], at, environment).strip().splitlines()[-1]
    server = subprocess.Popen(
        [*manage, "runserver", "--noreload", str(port)], cwd=at, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/healthz").close()
                break
            if server.poll() is not None:
                sys.exit("The bridge did not start.")
            time.sleep(0.2)
        yield address, key
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
