"""The package says what the checkout says: the same version and needs, and everything that is read at run time."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from bridge.version import VERSION
from tests.repository import ROOT, text_of

sys.path.insert(0, str(ROOT / "scripts"))
import check_newest
import release
import release_parts

PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))


def test_what_is_installed_with_it_is_what_the_locks_are_made_of():
    lines = text_of(ROOT / "requirements.txt").splitlines()
    assert PROJECT["project"]["dependencies"] == [line for line in lines if line and not line.startswith("#")]


def test_the_newest_release_of_the_changelog_is_this_version():
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert released[:1] in ([], [VERSION])


def test_an_installed_package_keeps_ours_inside_and_yours_where_it_is_started(tmp_path):
    """As a wheel lays it out: the code without the folders beside it, which are inside."""
    code, home = tmp_path / "site", tmp_path / "home"
    shared = code / "bridge" / "shared"
    shared.mkdir(parents=True)
    home.mkdir()
    for name in ("__init__.py", "__main__.py", "installed_paths.py", "fresh_env.py"):
        (code / "bridge" / name).write_text(text_of(ROOT / "bridge" / name) if name != "__main__.py" else "")
    (shared / ".env.example").write_text(text_of(ROOT / ".env.example"))
    ask = (
        "from bridge import fresh_env, installed_paths as home;"
        "print(home.IS_CHECKOUT, home.HOME, home.SHARED, home.MANAGE[1:], home.STARTED_BY);"
        "print(fresh_env.write(home.HOME / '.env'), fresh_env.write(home.HOME / '.env'))"
    )
    output = subprocess.run(
        [sys.executable, "-P", "-c", ask],
        cwd=home, env={"PYTHONPATH": str(code)}, text=True, check=True, capture_output=True,
    ).stdout.splitlines()  # fmt: skip
    assert output[0] == f"False {home} {shared} ['-P', '-m', 'bridge'] kommo-bridge run"
    assert output[-1] == "True False"
    assert (home / ".env").stat().st_mode & 0o077 == 0
    assert re.search(r"^SECRET_KEY=\S{40,}$", text_of(home / ".env"), re.MULTILINE)
    [signing] = re.findall(r"^AGENT_WEBHOOK_SECRET=(whsec_\S+)$", text_of(home / ".env"), re.MULTILINE)
    assert Webhook(signing).sign("msg_1", datetime.now(UTC), "{}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder where the package is installed, as the wheel has it."""
    site = tmp_path_factory.mktemp("site")
    for name in sorted(packages_of_the_code()):
        shutil.copytree(str(folder_of(name)), site / name, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        (site / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, site / target)
    return site


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("from bridge.installed_paths import MANAGE as command", ["check"]),
        ("from bridge.management.commands.run import web_command\ncommand = web_command(0, '1')", ["--check-config"]),
        ("from bridge.web_server import COMMAND as command", ["--check-config"]),
        ("from bridge.installed_paths import MODULE\ncommand = [*MODULE, 'bridge.demo.agent']", ["--help"]),
    ],
    ids=["command", "run", "demo", "demo's agent"],
)
def test_what_lies_where_it_is_started_is_not_taken_for_ours(installed, tmp_path, code, more):
    """Beside an agent that has packages, and a gunicorn, of the same names."""
    for package in packages_of_the_code():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('the agent's own')")
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('the agent's own')")
    environment = {"PYTHONPATH": str(installed), "PATH": "", "DEBUG": "true", "DATABASE_URL": "sqlite://:memory:"}
    asked = f"import json\n{code}\nprint(json.dumps(command))"
    python = {"cwd": tmp_path, "env": environment, "text": True, "capture_output": True, "check": False}
    output = subprocess.run([sys.executable, "-P", "-c", asked], **python)
    assert output.returncode == 0, output.stderr
    done = subprocess.run([*json.loads(output.stdout), *more], **python)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_goes_into_the_package_is_there():
    inside = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [name for name in inside if not (ROOT / name).exists()] == []
    assert {Path(target).parts[:2] for target in inside.values()} == {("bridge", "shared")}


def changelogs() -> dict[str, tuple[str, Path]]:
    """Return version and changelog of each package beside the bridge."""
    found = {}
    for manifest in sorted((ROOT / "packages").glob("*/*")):
        if manifest.name == "pyproject.toml":
            found[manifest.parent.name] = (tomllib.loads(text_of(manifest))["project"]["version"], manifest)
        elif manifest.name == "package.json":
            found[manifest.parent.name] = (json.loads(text_of(manifest))["version"], manifest)
    return {name: (version, manifest.with_name("CHANGELOG.md")) for name, (version, manifest) in found.items()}


def test_each_package_has_the_version_its_changelog_tells_of():
    """As the bridge itself: what was released last is what stands in the manifest; before the first release, 0.1.0."""
    assert changelogs()
    for name, (version, changelog) in changelogs().items():
        assert version == (release_parts.newest_release(changelog) or "0.1.0"), name


LOCAL_KOMMO = ROOT / "packages" / "kommo-sandbox" / "src"


def folder_of(package: str) -> Path | None:
    """Return where a top-level package of ours lies; None of somebody else's."""
    places = (ROOT / package, LOCAL_KOMMO / package)
    return next((place for place in places if (place / "__init__.py").is_file()), None)


def imported(package: str) -> set[str]:
    """Return the top-level names that a package's modules import, whatever they are."""
    names: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def packages_of_the_code() -> set[str]:
    """Return the top-level packages of ours that the bridge is made of: it, and what these import in turn."""
    found, looked_at = {"bridge"}, set[str]()
    while waiting := found - looked_at:
        for package in waiting:
            looked_at.add(package)
            found |= {name for name in imported(package) if folder_of(name)}
    return found


def test_every_package_that_the_code_imports_is_in_wheel_and_sdist():
    ours = {str(folder.relative_to(ROOT)) for name in packages_of_the_code() if (folder := folder_of(name))}
    assert {"bridge", "common", "leads", "followups"} < ours
    build = PROJECT["tool"]["hatch"]["build"]["targets"]
    assert ours - set(build["wheel"]["packages"]) == set()
    taken = [name.removeprefix("/") for name in build["sdist"]["include"]]
    assert [name for name in ours if not any(f"{name}/".startswith(f"{place}/") for place in taken)] == []
    # What a release is compared with.
    assert {name for name in ours if "/" not in name} == set(release.PACKAGES)


def test_every_package_that_the_code_imports_is_in_the_image_but_the_local_kommo(tmp_path):
    with tarfile.open(release_parts.image_files(ROOT, tmp_path, "0.0.0")) as packed:
        there = {name.split("/")[0] for name in packed.getnames()}
    assert packages_of_the_code() - there == {"kommo_sandbox"}


def test_every_package_that_the_code_imports_is_held_to_the_checks():
    tools, ours = PROJECT["tool"], packages_of_the_code()
    assert ours - set(tools["mypy"]["packages"]) == set()
    assert ours - set(tools["importlinter"]["root_packages"]) == set()
    assert ours - {"kommo_sandbox"} == set(tools["coverage"]["run"]["source"])


@pytest.mark.parametrize(
    ("name", "is_in"),
    [("bridge/settings.py", True), ("bridge/__pycache__/settings.pyc", False), ("bridge/settings.pyc", False),
     ("deploy/gunicorn.conf.py", True), ("deploy/nginx/bridge.conf", False), ("tests/bridge/test_roles.py", False),
     (".env", False), ("somewhere/bridge/settings.py", False)],
)  # fmt: skip
def test_what_the_context_of_an_image_lets_in(name, is_in):
    rules = ["*", "!bridge", "!deploy/gunicorn.conf.py", "**/__pycache__", "**/*.pyc"]
    assert release_parts.let_in(name, rules) is is_in


def test_the_files_of_an_image_are_what_the_dockerfile_copies_and_the_context_lets_in(tmp_path):
    archive = release_parts.image_files(ROOT, tmp_path, "0.0.0")
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    assert {"Dockerfile", ".dockerignore", "manage.py", "requirements.lock", "deploy/gunicorn.conf.py"} <= names
    assert "bridge/settings.py" in names
    assert {name.split("/")[0] for name in names}.isdisjoint({"packages", "tests", ".env", "data", "scripts"})


def test_the_core_that_runs_on_the_newest_python_is_there():
    assert [name for name in check_newest.CORE if not (ROOT / name).exists()] == []
    ours = check_newest.pins(check_newest.PINS)
    assert check_newest.NEWEST.keys() <= ours.keys()
    assert set(check_newest.TOOLS) <= check_newest.pins(check_newest.DEV_PINS).keys()


def test_the_newest_python_at_hand_is_found_and_one_that_cannot_answer_is_none(tmp_path, monkeypatch):
    def python(name: str, says: str) -> None:
        found = tmp_path / ".pyenv" / "versions" / name / "bin" / "python3"
        found.parent.mkdir(parents=True)
        found.write_text(f"#!/bin/sh\n{says}\n")
        found.chmod(0o755)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(check_newest.shutil, "which", lambda name: None)
    assert check_newest.newest() is None
    python("3.2.1", "echo 3 2")
    python("broken", "exit 1")
    assert check_newest.newest() is None
    python("3.98.0", "echo 3 98")
    python("3.97.0", "echo 3 97")
    assert check_newest.newest() == tmp_path / ".pyenv" / "versions" / "3.98.0" / "bin" / "python3"
