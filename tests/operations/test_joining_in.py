"""What those who join in meet: forms that ask what we need, and checks that call what there is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository import ROOT, text_of

GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
# What is done to others than us.
ELSEWHERE = ("sudo apt-get", "cosign sign", "npm publish --provenance")
INPUTS = {"textarea", "input", "dropdown", "checkboxes"}


def read(path: Path) -> Any:
    return yaml.safe_load(text_of(path))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_shows(path):
    form = read(path)
    assert set(form) <= {"name", "description", "title", "labels", "body"}
    assert form["name"] and form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in asked} <= INPUTS
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)


def test_whoever_says_that_a_card_is_wrong_is_asked_for_the_doctor_and_the_probe():
    labels = {
        field["attributes"].get("label") for field in read(GITHUB / "ISSUE_TEMPLATE" / "a-card-is-wrong.yml")["body"]
    }
    assert {"manage.py doctor --json", "manage.py kommo_probe"} <= labels


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_runs_here_and_may_only_read(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    ours = [run for run in runs if not run.startswith(ELSEWHERE)]
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for run in ours:
        command, _, rest = run.partition(" ")
        assert (command == "make" and rest.split()[0] in targets) or (ROOT / command).is_file(), run
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_a_change_is_tried_on_the_oldest_python_we_serve_and_on_one_newer_than_all_we_name():
    [python] = [
        step["with"]["python-version"].split()
        for step in read(GITHUB / "workflows" / "check.yml")["jobs"]["check"]["steps"]
        if step.get("uses", "").startswith("actions/setup-python")
    ]
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", str(project["classifiers"]))
    # The last one is `python3` there.
    assert f">={python[-1]}" == project["requires-python"]
    assert int(python[0].partition(".")[2]) > max(int(version.partition(".")[2]) for version in named)


def test_the_hooks_before_a_commit_call_what_is_installed_or_what_make_calls():
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    pinned, targets = text_of(ROOT / "requirements-dev.txt"), text_of(ROOT / "Makefile")
    for hook in hooks:
        program, *words = hook["entry"].split()
        assert (program, words[0]) == ("make", "--no-print-directory") or program == ".venv/bin/ruff"
        assert f"\n{words[-1]}: ;" in targets if program == "make" else "ruff==" in pinned


CONTAINER = json.loads(text_of(ROOT / ".devcontainer" / "devcontainer.json"))


def test_the_container_of_editors_has_what_the_suite_can_use_and_installs_by_a_target_that_is_there():
    command = CONTAINER["onCreateCommand"]
    assert command.endswith("make install")
    [listed] = re.findall(r"apt-get install -y -qq (.+?) &&", command)
    assert set(listed.split()) == set(re.findall(r"missing\+=\(([\w-]+)\)", text_of(ROOT / ".ci" / "run")))


def test_the_container_of_editors_is_the_oldest_python_we_serve_and_shows_what_the_demo_serves():
    oldest = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["requires-python"].removeprefix(">=")
    assert f"/python:{oldest}-" in CONTAINER["image"]
    served = re.findall(
        r'"--(?:sandbox-)?port", type=int, default=(\d+)', text_of(ROOT / "bridge/management/commands/demo.py")
    )
    assert sorted(map(str, CONTAINER["forwardPorts"])) == sorted(served) == sorted(CONTAINER["portsAttributes"])


def test_every_package_for_node_is_published_by_its_tag_without_a_token():
    workflow = read(GITHUB / "workflows" / "packages.yml")
    # YAML reads the word `on` as true.
    assert set(workflow[True]["push"]["tags"]) == {
        f"{path.parent.name}-v*" for path in ROOT.glob("packages/*/package.json")
    }
    job = workflow["jobs"]["npm"]
    assert job["permissions"]["id-token"] == "write" and "secrets." not in str(job)
    assert job["steps"][-1]["run"].startswith("npm publish --provenance")


def test_what_is_published_says_where_it_comes_from():
    image = read(GITHUB / "workflows" / "publish.yml")["jobs"]["image"]["steps"]
    [built] = [step["with"] for step in image if step.get("uses", "").startswith("docker/build-push-action")]
    assert built["platforms"] == "linux/amd64,linux/arm64"
    assert (built["sbom"], built["provenance"], built["push"]) == (True, "mode=max", True)
    assert any(step.get("run", "").startswith("cosign sign --yes") and "DIGEST" in step["run"] for step in image)


def test_updates_are_looked_for_in_every_place_that_pins():
    looked = {
        (update["package-ecosystem"], update["directory"]) for update in read(GITHUB / "dependabot.yml")["updates"]
    }
    assert {("pip", "/"), ("docker", "/"), ("github-actions", "/")} <= looked
    assert {("npm", f"/packages/{path.parent.name}") for path in ROOT.glob("packages/*/package.json")} <= looked


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md", "README.es.md"])
def test_it_is_said_that_nothing_is_sent_home(name):
    words = {"README.md": "Nothing is ever sent home.", "README.pt-BR.md": "Nada é enviado para casa, nunca.",
             "README.es.md": "Nada se envía a casa, nunca."}  # fmt: skip
    assert f"**{words[name]}**" in text_of(ROOT / name)
