#!/usr/bin/env python
"""Make one of the packages for Node ready to publish in dist/, linted and tested, for a tag: typescript-client-v0.1.0.

Refuses a tag that is not the package's version, and a version that its changelog does not tell of. GITHUB_REPOSITORY,
where it is set, is what the package names as its own: the proof of where it comes from must name the same. (What goes
to PyPI goes with the bridge: `make release`.)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "packages"
DIST = ROOT / "dist"
TAG = re.compile(r"(?P<name>[a-z][a-z0-9-]*)-v(?P<version>\d+\.\d+\.\d+)")


def main(tag: str) -> int:
    package = asked_for(tag, PACKAGES)
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    made_by_npm(package, os.environ.get("GITHUB_REPOSITORY", ""))
    print("\n".join(sorted(path.name for path in DIST.iterdir())))
    return 0


def asked_for(tag: str, packages: Path) -> Path:
    """The folder of the package a tag is for. Exits where the tag is none, or the package is not ready for it."""
    found = TAG.fullmatch(tag)
    package = packages / found["name"] if found else packages / "none"
    if not found or not (package / "package.json").is_file():
        sys.exit(f"{tag} is no tag of a package for Node: one is its folder in packages/, -v and a version.")
    version = version_of(package)
    if version != found["version"]:
        sys.exit(f"{tag}: packages/{found['name']} is {version}.")
    changes = (package / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(version)}\b", changes, re.MULTILINE):
        sys.exit(f"{tag}: its CHANGELOG.md has no part {version}.")
    return package


def version_of(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])


def made_by_npm(package: Path, repository: str) -> None:
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    run(["npm", "install", "--ignore-scripts", *quiet], package)
    run(["npm", "run", "lint", "--if-present"], package)
    run(["npm", "test"], package)
    copy = DIST / "package"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("node_modules"))
    if repository:
        named = named_after(json.loads((copy / "package.json").read_text(encoding="utf-8")), repository, package.name)
        (copy / "package.json").write_text(json.dumps(named, indent=2) + "\n", encoding="utf-8")
    run(["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", DIST], copy)
    shutil.rmtree(copy)


def named_after(package: dict[str, object], repository: str, folder: str) -> dict[str, object]:
    url = f"https://github.com/{repository}"
    place = {"type": "git", "url": f"git+{url}.git", "directory": f"packages/{folder}"}
    return package | {"homepage": f"{url}/tree/main/packages/{folder}", "repository": place}


def run(command: list[str | Path], at: Path) -> None:
    done = subprocess.run(command, cwd=at, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
