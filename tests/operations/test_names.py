"""The check that refuses names which do not say what they stand for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.operations.document import ROOT

pytestmark = pytest.mark.once


def judged(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "check_names.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "for one in stages: pass",
        "names = [one.name for one in stages]",
        "for place, (one, other) in pairs: pass",
        "first, *told = rows",
        "if said := answer(): pass",
        "with opened() as held: pass",
        "def move(one): pass",
        "def move(*said): pass",
        "def move(**told): pass",
        "def told(): pass",
        "async def said(): pass",
        "class Desired:\n    held: str = ''",
        "by_name = sorted(rows, key=lambda one: one.name)",
        "from reasons import told",
        "from reasons import in_words as said",
        "try: pass\nexcept OSError as held: pass",
        "match row:\n    case [one, *_]: pass",
        "match row:\n    case [_, *told]: pass",
        "match row:\n    case {'a': 1, **said}: pass",
    ],
)
def test_a_name_that_does_not_say_what_it_stands_for_is_refused_with_its_place(tmp_path, code):
    (tmp_path / "room.py").write_text(code + "\n")

    found = judged(tmp_path)

    assert found.returncode == 1
    assert found.stdout.startswith("room.py:") and "does not say what it stands for" in found.stdout
    assert "docs/glossary.md" in found.stderr


def test_what_others_called_so_may_be_read_and_passed_on(tmp_path):
    (tmp_path / "room.py").write_text(
        "row.held = True\nrows.update(held=False)\nprint(message.told, one_by_one, {'said': 1})\n"
    )

    assert judged(tmp_path).returncode == 0


def test_the_house_keeps_to_it():
    assert judged().returncode == 0, judged().stdout
