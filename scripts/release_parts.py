"""What a release has beside the bridge's own wheel: packages for PyPI and npm, and the files an image is built of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from running import run, uv


def newest_release(changelog: Path) -> str | None:
    """Return the version of the changelog's newest released part; None while nothing was released."""
    found = re.search(r"^## \[?(\d+\.\d+\.\d+)\b", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    return found and found[1]


def image_sources(root: Path) -> list[str]:
    """Return what the Dockerfile copies out of the checkout, and the two files that say how."""
    text = (root / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    copied = [line.split()[:-1] for line in re.findall(r"^COPY +(?!--from)(.+)$", text, re.MULTILINE)]
    return ["Dockerfile", ".dockerignore", *sorted({source for line in copied for source in line})]


def let_in(name: str, rules: list[str]) -> bool:
    """Say whether the context has a file: the last rule of .dockerignore for it, or for a folder above it, holds."""
    above = [name, *map(str, PurePosixPath(name).parents)]
    is_out = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        # Behind **/ a name is one at any depth; any other is one of the checkout itself.
        named = [PurePosixPath(path).name for path in above] if pattern.startswith("**/") else above
        if any(fnmatchcase(path, pattern.removeprefix("**/")) for path in named):
            is_out = not rule.startswith("!")
    return not is_out


def image_files(root: Path, at: Path, version: str) -> Path:
    """Pack what an image is built of, `docker build - < it`: what Git has of it and the context lets in."""
    tracked = subprocess.run(
        ["git", "ls-files", *image_sources(root)], cwd=root, text=True, check=True, capture_output=True
    ).stdout.split()
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    # These two reach the builder whatever the rules say.
    listed = [name for name in tracked if name in ("Dockerfile", ".dockerignore") or let_in(name, rules)]
    at.mkdir(parents=True, exist_ok=True)
    archive = at / f"kommo-bridge-image-{version}.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name in listed:
            packed.add(root / name, name)
    return archive


def python_packages(root: Path, at: Path) -> list[Path]:
    """Build wheel and sdist of each package in packages/ and return the wheels."""
    before = set(at.glob("*.whl"))
    for project in sorted((root / "packages").glob("*/pyproject.toml")):
        run([uv(), "build", "--quiet", "--out-dir", at, project.parent], root)
    return sorted(set(at.glob("*.whl")) - before)


def node_packages(root: Path, at: Path, scratch: Path, *, must: bool) -> list[Path]:
    """Build, test and pack each package for Node; where there is no npm, none, and an end of it if there must be."""
    if not shutil.which("npm"):
        if must:
            sys.exit("A release needs npm, for the packages for Node.")
        print("Without npm: the packages for Node are left out.")
        return []
    at.mkdir(parents=True, exist_ok=True)
    for manifest in sorted((root / "packages").glob("*/package.json")):
        # Apart from the checkout: what npm puts beside the sources is nobody's.
        copy = scratch / manifest.parent.name
        shutil.copytree(manifest.parent, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
        run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], copy)
        run(["npm", "test"], copy)
        run(["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", at], copy)
    return sorted(at.glob("*.tgz"))
