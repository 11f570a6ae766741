"""Whether what was made works for somebody who has nothing else: empty environments, empty homes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import venv
from pathlib import Path

from running import run, uv

PIPX = "pipx==1.18.4"
# Whom this machine trusts says nothing of us, and without it some machines reach no registry.
TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "HTTP_PROXY")
PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def bare(at: Path) -> dict[str, str]:
    trust = {name: os.environ[name] for name in TRUST if name in os.environ}
    return {"HOME": str(at), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | trust


def by_pip(wheel: Path, at: Path) -> None:
    """Install the wheel alone into at/venv, where later proofs find its command."""
    venv.create(at / "venv", with_pip=True)
    began = time.monotonic()
    run([at / "venv" / "bin" / "python", *PIP_INSTALL, wheel], at)
    print(f"pip: installed in {time.monotonic() - began:.0f} s")
    command = at / "venv" / "bin" / "kommo-bridge"
    checked = at / "checked"
    checked.mkdir()
    run([command, "check"], checked, bare(at) | {"DEBUG": "true"})
    print(_demo("pip", [command], at), end="")


def by_uvx(wheel: Path, at: Path) -> None:
    _demo("uvx", [uv(), "tool", "run", "--from", wheel, "kommo-bridge"], at)


def by_pipx(wheel: Path, at: Path) -> None:
    _demo("pipx", [uv(), "tool", "run", PIPX, "run", "--spec", wheel, "kommo-bridge"], at)


def _demo(name: str, command: list[str | Path], at: Path) -> str:
    """Play the demo beside an agent, with an empty home; it says itself whether the cards are right.

    What lies in the agent's folder is called as ours is, and must not be taken for it.
    """
    home, place = at / f"{name}-home", at / f"{name}-place"
    home.mkdir()
    theirs = ("bridge", "common", "followups", "leads", "kommo_sandbox")
    for package in theirs:
        (place / package).mkdir(parents=True)
        (place / package / "__init__.py").write_text("raise SystemExit('the agent's own')\n")
    began = time.monotonic()
    output = run([*command, "demo", "--once"], place, bare(home))
    print(f"{name}: the demo's cards are right after {time.monotonic() - began:.0f} s")
    if made := sorted(path.name for path in place.iterdir() if path.name not in ("data", *theirs)):
        sys.exit(f"It left {made} where it was started.")
    return output


def of_image_files(archive: Path, at: Path) -> None:
    """Do in a folder what the Dockerfile does in the image, with the packages by_pip installed."""
    app = at / "app"
    # Ours alone, so it needs none of the filters that early Pythons 3.11 do not have.
    shutil.unpack_archive(archive, app)
    python = at / "venv" / "bin" / "python"
    settings = bare(at) | {"ENV_FILE": os.devnull, "DEBUG": "true", "DATABASE_URL": f"sqlite:///{at / 'app.sqlite3'}"}
    for command in (["collectstatic", "--noinput", "--verbosity", "0"], ["migrate", "--verbosity", "0"], ["check"]):
        run([python, "manage.py", *command], app, settings)
    print("image files: static files are collected and tables made of them")


def of_python_packages(wheels: list[Path], at: Path) -> None:
    """Install all of them beside each other, without the bridge, and load each."""
    venv.create(at / "packages", with_pip=True)
    python = at / "packages" / "bin" / "python"
    run([python, *PIP_INSTALL, *wheels], at)
    names = [wheel.name.split("-")[0] for wheel in wheels]
    run([python, "-c", f"import {', '.join(names)}"], at, bare(at))
    print(f"installed alone: {', '.join(names)}")


def of_node_packages(archives: list[Path], at: Path) -> None:
    """Install each as its users do, alone, and load what it exports or what n8n would look for."""
    for archive in archives:
        place = at / f"installed-{archive.stem}"
        place.mkdir()
        (place / "package.json").write_text('{"type": "module"}')
        run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--legacy-peer-deps", archive], place)
        [name] = json.loads((place / "package.json").read_text())["dependencies"]
        manifest = json.loads((place / "node_modules" / name / "package.json").read_text())
        for entry in manifest.get("exports", {}):
            run(["node", "--input-type=module", "-e", f"await import('{name}{entry[1:]}')"], place, bare(at))
        wanted = [file for kind in ("nodes", "credentials") for file in manifest.get("n8n", {}).get(kind, [])]
        if missing := [file for file in wanted if not (place / "node_modules" / name / file).is_file()]:
            sys.exit(f"{archive.name} lacks {missing}")
        print(f"installed alone: {archive.name}")
