"""What the documents name exists: files, headings, commands with their options, make's targets, variables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.repository import ROOT, text_of

pytestmark = pytest.mark.once

WHERE = ("*.md", "docs/**/*.md", "packages/*/README.md", "llms.txt", ".github/**/*.md", ".github/**/*.yml")
DOCUMENTS = sorted(path for places in WHERE for path in ROOT.glob(places))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
# `leads/phone.py`, `bridge/kommo/` and, in a list behind one of them, `plan.py` of the same folder.
CODE = re.compile(r"`((?:[\w.-]+/)*[\w-]+(?:\.py|/))`")
COMMAND = re.compile(r"manage\.py ([a-z][\w]*)((?: [^\s`|;&)…]+)*)")
TARGET = re.compile(r"(?:`|^)make ([a-z]+)", re.MULTILINE)
VARIABLE = re.compile(r"""env(?:\.\w+)?\(["']([A-Z][A-Z0-9_]*)["']""")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_link_leads_somewhere(document):
    missing = []
    for link in LINK.findall(text_of(document)):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


# What a decision named when it was taken may have moved since: those are dated papers.
@pytest.mark.parametrize(
    "name", ["README.md", "docs/architecture.md", "docs/integrating-an-agent.md", "docs/sandbox.md"]
)
def test_every_file_of_the_code_that_is_named_exists(name):
    missing = []
    for line in text_of(ROOT / name).splitlines():
        # In what is about the bridge, its folder goes without saying.
        folders = [ROOT, ROOT / "bridge"]
        for path in CODE.findall(line):
            found = next((folder for folder in folders if (folder / path).exists()), None)
            if found is None:
                missing.append(path)
            else:
                named = found / path
                folders.append(named if named.is_dir() else named.parent)
    assert missing == []


@each_document
def test_every_command_exists_with_its_options(document):
    wrong = []
    for name, rest in COMMAND.findall(text_of(document)):
        if name not in get_commands():
            wrong.append(name)
            continue
        app = get_commands()[name]
        command = load_command_class(app, name) if isinstance(app, str) else app
        known = command.create_parser("manage.py", name)._option_string_actions
        options = [word.partition("=")[0] for word in shlex.split(rest) if word.startswith("-")]
        wrong += [f"{name} {option}" for option in options if option not in known]
    assert wrong == []


@each_document
def test_every_target_of_make_exists(document):
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(TARGET.findall(text_of(document))) - targets == set()


def test_the_example_of_an_environment_lists_every_variable_that_is_read_and_no_other():
    read = set(VARIABLE.findall(text_of(ROOT / "bridge" / "settings.py"))) - {"ENV_FILE"}
    listed = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text_of(ROOT / ".env.example"), re.MULTILINE))
    assert listed == read
