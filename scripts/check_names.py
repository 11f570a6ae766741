"""Check that nothing is called `one`, `said`, `told` or `held`: a name says what it stands for (docs/glossary.md).

Attributes may be called so, for some are columns; what a class defines is looked at like everything else.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bridge", "common", "followups", "leads", "scripts", "packages", "benchmarks", "tests")
WORDS = {"one", "said", "told", "held"}
# What others know by its name: columns, a field of the API, a form that travels with a page, methods of the clients.
KEPT = {
    "followups/models.py": {"held"},
    "bridge/models/channel.py": {"told"},
    "bridge/api/answer_shapes.py": {"held"},
    "bridge/configuration/whatif.py": {"held"},
    "packages/python-client/src/kommo_bridge_client/reporter.py": {"said"},
    "tests/crm_service.py": {"said"},
}


def bound(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name that the code gives to something, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)):
                yield node.lineno, name
            case ast.alias():
                yield node.lineno, node.asname or node.name


def faults(path: Path) -> list[str]:
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    refused = WORDS - KEPT.get(place, set())
    found = sorted((line, name) for line, name in bound(ast.parse(path.read_bytes())) if name in refused)
    return [f"{place}:{line}: `{name}` does not say what it stands for" for line, name in found]


if __name__ == "__main__":
    rooms = [Path(room).resolve() for room in sys.argv[1:]] or [ROOT / room for room in ROOMS]
    paths = sorted(path for room in rooms for path in room.rglob("*.py") if "node_modules" not in path.parts)
    found = [fault for path in paths for fault in faults(path)]
    print("\n".join(found) or "Names say what they stand for.")
    if found:
        sys.exit("Name it after what it is: stage, card, reply, number, sentence (docs/glossary.md)")
