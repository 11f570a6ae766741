"""What the documents name exists: files, headings, commands with their options, make's targets, variables."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.core.management import get_commands, load_command_class

from bridge.models import Channel
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
    "name",
    [
        "README.md",
        "AGENTS.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/integrating-an-agent.md",
        "docs/sandbox.md",
    ],
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


# Django's own folders.
NO_ROOMS = {"migrations", "static", "templatetags"}


@pytest.mark.parametrize("name", ["docs/architecture.md", "AGENTS.md"])
def test_every_room_of_the_house_stands_in_the_table_of_rooms(name):
    rooms = {place.parent.name for place in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    rooms |= {f"bridge/{place.parent.name}" for place in ROOT.glob("bridge/*/__init__.py")} - {
        f"bridge/{room}" for room in NO_ROOMS
    }
    # `bridge/` itself is its rooms.
    table = "\n".join(line.split("|")[1] for line in text_of(ROOT / name).splitlines() if line.startswith("| `"))
    named = {mentioned.rstrip("/") for mentioned in re.findall(r"`([\w/-]+)`", table)}
    assert rooms - {"bridge"} - named == set()
    assert [
        mentioned for mentioned in named if not ((ROOT / mentioned).exists() or (ROOT / "bridge" / mentioned).exists())
    ] == []


def wrong_commands(text: str) -> list[str]:
    """Return what of the commands in a text there is not: their names, and their options."""
    wrong = []
    for name, rest in COMMAND.findall(text):
        if name not in get_commands():
            wrong.append(name)
            continue
        app = get_commands()[name]
        command = load_command_class(app, name) if isinstance(app, str) else app
        known = command.create_parser("manage.py", name)._option_string_actions
        options = [word.partition("=")[0] for word in shlex.split(rest) if word.startswith("-")]
        wrong += [f"{name} {option}" for option in options if option not in known]
    return wrong


@each_document
def test_every_command_exists_with_its_options(document):
    assert wrong_commands(text_of(document)) == []


def test_every_command_that_the_product_tells_people_to_run_exists_with_its_options():
    """In remedies, errors and helps: whoever reads them types them."""
    texts = [
        node.value
        for room in ("bridge", "leads", "followups", "common")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "manage.py " in node.value
    ]
    assert len(texts) > 20
    # In a sentence a command ends with its part of it.
    parts = [part for text in texts for part in re.split(r"[,;:.](?:\s|$)", text)]
    assert [wrong for part in parts for wrong in wrong_commands(part)] == []


def test_every_document_that_the_product_names_exists():
    named = {
        name
        for room in ("bridge", "leads", "followups", "templates")
        for path in (ROOT / room).rglob("*.*")
        if path.suffix in (".py", ".html", ".txt")
        for name in re.findall(r"docs/[\w/-]+\.md", text_of(path))
    }
    assert "docs/operating.md" in named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_page_of_data_protection_names_everybody_messages_leave_to():
    page = text_of(ROOT / "docs" / "data-protection.md")
    ours = {Channel.Kind.AGENT, Channel.Kind.KOMMO_CHATS, Channel.Kind.KOMMO_SALESBOT, Channel.Kind.LOG}
    others = {str(kind.label) for kind in Channel.Kind if kind not in ours}
    assert {name for name in others if name not in page} == set()


@each_document
def test_every_target_of_make_exists(document):
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(TARGET.findall(text_of(document))) - targets == set()


def test_the_example_of_an_environment_lists_every_variable_that_is_read_and_no_other():
    read = set(VARIABLE.findall(text_of(ROOT / "bridge" / "settings.py"))) - {"ENV_FILE"}
    listed = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text_of(ROOT / ".env.example"), re.MULTILINE))
    assert listed == read


# Names of another program's pages, of a file's kind, and of a heading of the same document.
NOT_OURS = {"Compose", "Docker Compose", "CSV", "From SQLite to PostgreSQL", "De SQLite para PostgreSQL"}
OURS = re.compile(r"(?<![\w*])\*([^\W\d_a-zà-ÿ][^*\n]{2,60}?)\*(?![\w*])")
OF_THE_ADMIN = {
    "en": [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "docs" / "ways-in" / "README.md"],
    "pt_BR": [*ROOT.glob("docs/pt-BR/**/*.md"), ROOT / "README.pt-BR.md"],
    "es": [ROOT / "README.es.md"],
}


def words_of_the_admin(language: str) -> set[str]:
    with (ROOT / "locale" / ("pt_BR" if language == "en" else language) / "LC_MESSAGES" / "django.po").open(
        "rb"
    ) as file:
        messages = list(read_po(file))
    texts = [message.id if language == "en" else message.string for message in messages]
    return {word.casefold() for text in texts for word in ([text] if isinstance(text, str) else text)}


@pytest.mark.parametrize("language", OF_THE_ADMIN)
def test_pages_and_buttons_that_documents_name_are_called_so_in_the_admin(language):
    """*Rules → History*, or the beginning of what stands beside a box to tick."""
    known = words_of_the_admin(language)
    wrong = []
    for document in OF_THE_ADMIN[language]:
        for path in OURS.findall(re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)):
            named = {word.strip(" .") for word in path.split(" → ")} - NOT_OURS
            wrong += [
                f"{document.relative_to(ROOT)}: {word}"
                for word in named
                if word.casefold() not in known and not any(label.startswith(f"{word.casefold()}:") for label in known)
            ]
    assert wrong == []
