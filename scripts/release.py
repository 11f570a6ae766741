#!/usr/bin/env python
"""Make what a release consists of in dist/, and prove it where there is nothing else: empty environments, empty homes.

dist/pypi has wheels and sdists of the bridge, the Python client and the local Kommo; dist/npm the packages for Node;
dist/image the files an image is built of. Asks the network for what they need. What it proves: the wheel has all that
Git has of the code and what goes with it, the sdist makes the same wheel, the command answers, the demo ends well
with pip, uvx and pipx, and each package does its first thing where it is installed alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import release_parts as parts
import release_proof as proof
from running import run, uv

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGES = ("bridge", "common", "followups", "leads")
BESIDE = ("deploy", "locale", "playbooks", "templates")
# The demo needs a Kommo: it is in the wheel, and in no image.
LOCAL_KOMMO = "packages/kommo-sandbox/src/"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from bridge.version import VERSION

    is_told = parts.newest_release(ROOT / "CHANGELOG.md") == VERSION
    tag = sys.argv[2] if sys.argv[1:2] == ["--tag"] else ""
    if tag and (tag != f"v{VERSION}" or not is_told):
        sys.exit(
            f"{tag} cannot be released: this is {VERSION}, and the changelog has {'a' if is_told else 'no'} part of it."
        )
    if not is_told:
        print(f"CHANGELOG.md has no part {VERSION} yet: this is a trial.")
    shutil.rmtree(DIST, ignore_errors=True)
    run([uv(), "build", "--quiet", "--out-dir", DIST / "pypi"], ROOT)
    [wheel], [sdist] = (DIST / "pypi").glob("*.whl"), (DIST / "pypi").glob("*.tar.gz")
    whole(wheel)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        at = Path(folder)
        run([uv(), "build", "--quiet", "--wheel", "--out-dir", at / "again", sdist], at)
        [again] = (at / "again").glob("*.whl")
        if names(again) != names(wheel):
            sys.exit(f"The sdist makes another wheel: {sorted(names(again) ^ names(wheel))[:5]}")
        proof.by_pip(wheel, at)
        proof.by_uvx(wheel, at)
        proof.by_pipx(wheel, at)
        image = parts.image_files(ROOT, DIST / "image", VERSION)
        proof.of_image_files(image, at)
        python = parts.python_packages(ROOT, DIST / "pypi")
        proof.of_python_packages(python, at)
        node = parts.node_packages(ROOT, DIST / "npm", at / "node", must=bool(tag))
        proof.of_node_packages(node, at)
    made = [path for path in sorted(DIST.rglob("*")) if path.is_file() and path.name != ".gitignore"]
    print("\n".join(f"made and proved: {path.relative_to(ROOT)}" for path in made))
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


if __name__ == "__main__":
    sys.exit(main())
