"""A tag publishes the package it names, at the version it has, when its changelog tells of it."""

from __future__ import annotations

import json

import pytest

from scripts.release_package import asked_for, named_after, version_of
from tests.operations.test_documents import ROOT

pytestmark = pytest.mark.once


@pytest.fixture
def packages(tmp_path):
    for name, version in (("typescript-client", "1.2.0"), ("untold", "1.0.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "package.json").write_text(json.dumps({"version": version}))
        (tmp_path / name / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n## 1.2.0\n\n- First.\n")
    return tmp_path


def test_a_tag_names_a_package_that_is_ready(packages):
    assert asked_for("typescript-client-v1.2.0", packages) == packages / "typescript-client"


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("typescript-client-v1.3.0", "is 1.2.0"),
        ("untold-v1.0.0", "no part 1.0.0"),
        ("nothing-v1.0.0", "no tag of a package"),
        ("../typescript-client-v1.2.0", "no tag of a package"),
        ("typescript-client-v1.2.0; ls", "no tag of a package"),
        ("v1.2.0", "no tag of a package"),
        ("", "no tag of a package"),
    ],
)
def test_any_other_is_refused(packages, tag, why):
    with pytest.raises(SystemExit, match=why):
        asked_for(tag, packages)


def test_every_package_for_node_has_a_version_and_a_changelog():
    folders = [path.parent for path in ROOT.glob("packages/*/package.json")]
    assert len(folders) == 2
    for folder in folders:
        assert version_of(folder).count(".") == 2
        assert (folder / "CHANGELOG.md").is_file()


def test_what_npm_gets_names_the_repository_it_was_built_in():
    named = named_after({"name": "x", "repository": "old"}, "acme/bridge", "typescript-client")
    assert named["repository"]["url"] == "git+https://github.com/acme/bridge.git"
    assert named["repository"]["directory"] == "packages/typescript-client"
