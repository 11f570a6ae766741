#!/usr/bin/env python
"""Make wheel and sdist in dist/, and prove them where there is nothing else: an empty environment, an empty home.

Asks the network for what the wheel needs. What it proves: the wheel has all that Git has of the code and what goes with
it, the sdist makes the same wheel, the command answers, and the demo's cards come out as they should.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGES = ("bridge", "followups", "leads")
BESIDE = ("deploy", "locale", "playbooks", "templates")
# The demo needs a Kommo: it is in the wheel, and in no image.
LOCAL_KOMMO = "packages/kommo-sandbox/src/"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from bridge.version import VERSION

    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    told = re.search(rf"^## \[?{re.escape(VERSION)}\b", changes, re.MULTILINE)
    tag = sys.argv[2] if sys.argv[1:2] == ["--tag"] else ""
    if tag and (tag != f"v{VERSION}" or not told):
        sys.exit(
            f"{tag} cannot be released: this is {VERSION}, and the changelog has {'a' if told else 'no'} part of it."
        )
    if not told:
        print(f"CHANGELOG.md has no part {VERSION} yet: this is a trial.")
    shutil.rmtree(DIST, ignore_errors=True)
    run([uv(), "build", "--quiet", "--out-dir", DIST], ROOT)
    [wheel], [sdist] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    whole(wheel)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        at = Path(folder)
        run([uv(), "build", "--quiet", "--wheel", "--out-dir", at / "again", sdist], at)
        [again] = (at / "again").glob("*.whl")
        if names(again) != names(wheel):
            sys.exit(f"The sdist makes another wheel: {sorted(names(again) ^ names(wheel))[:5]}")
        installed(wheel, at)
    print(f"{wheel.name}, {sdist.name}: made and proved, in {DIST}")
    return 0


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def whole(wheel: Path) -> None:
    """Stop when something is missing, or something is in it that Git does not know."""
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES, *BESIDE, LOCAL_KOMMO], cwd=ROOT, text=True, check=True, capture_output=True
    )
    known = set(listed.stdout.split("\n")) - {""}
    wanted = {inside(name) for name in known}
    wanted |= {"bridge/shared/.env.example", "bridge/shared/CHANGELOG.md"}
    found = {name for name in names(wheel) if ".dist-info/" not in name}
    if wanted != found:
        sys.exit(f"missing: {sorted(wanted - found)[:5]}; of nobody's: {sorted(found - wanted)[:5]}")


def inside(name: str) -> str:
    """Return where a file of the repository lies in the wheel."""
    if name.startswith(LOCAL_KOMMO):
        return name.removeprefix(LOCAL_KOMMO)
    return name if name.split("/")[0] in PACKAGES else f"bridge/shared/{name}"


def installed(wheel: Path, at: Path) -> None:
    """Install the wheel alone and run it from an empty folder, without a variable of ours."""
    home = at / "home"
    home.mkdir()
    venv.create(at / "venv", with_pip=True)
    tools = at / "venv" / "bin"
    began = time.monotonic()
    run([tools / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], at)
    print(f"installed in {time.monotonic() - began:.0f} s")
    bare = {"HOME": str(at), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    command = tools / "kommo-bridge"
    run([command, "check"], home, bare | {"DEBUG": "true"})
    began = time.monotonic()
    print(run([command, "demo", "--once"], home, bare), end="")
    print(f"the demo took {time.monotonic() - began:.0f} s")
    if made := sorted(path.name for path in home.iterdir() if path.name != "data"):
        sys.exit(f"It left {made} where it was started.")


def uv() -> str:
    return shutil.which("uv") or str(Path(sys.executable).parent / "uv")


def run(command: list[str | Path], at: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=at,
        env=environment or dict(os.environ),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
