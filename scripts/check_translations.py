"""Check that Portuguese says everything English says, and that what is compiled is what is written.

`--write` adds new texts to the catalogue (empty, to be translated), drops unused ones and compiles it. Uses Babel, so
no gettext has to be installed.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bridge", "leads", "followups", "templates")
CATALOGUE = ROOT / "locale/pt_BR/LC_MESSAGES/django.po"
COMPILED = CATALOGUE.with_suffix(".mo")
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "pgettext_lazy": ((1, "c"), 2),
    "ngettext_lazy": (1, 2),
}


def used() -> Catalog:
    """Return every text that code and templates ask a translation for."""
    catalog = Catalog()
    for path, source in _sources():
        # What Django makes of a template is no Python, but its calls read well as JavaScript.
        method = "python" if path.endswith(".py") else "javascript"
        for line, message, comments, context in extract(method, io.BytesIO(source), keywords=KEYWORDS):
            catalog.add(message, locations=[(path, line)], auto_comments=comments, context=context)
        if method == "python":
            for line, text in _inside_f_strings(source):
                catalog.add(text, locations=[(path, line)])
    return catalog


def _inside_f_strings(source: bytes) -> Iterator[tuple[int, str]]:
    """Yield what Babel passes by: before Python 3.12 an f-string is one token to it, with the calls in it."""
    strings = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
    for call in (inner for string in strings for inner in ast.walk(string)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("_", "gettext"):
            text = call.args[0] if call.args else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.lineno, text.value


def _sources() -> Iterator[tuple[str, bytes]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            # Where the repository lies has no say in what is left out of it.
            inside = str(path.relative_to(ROOT))
            if "/migrations/" in inside:
                continue
            if path.suffix == ".py":
                yield str(path.relative_to(ROOT)), path.read_bytes()
            elif path.suffix in (".html", ".txt"):
                yield str(path.relative_to(ROOT)), templatize(path.read_text()).encode()


def written() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="pt_BR")


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def faults(catalog: Catalog, wanted: Catalog) -> Iterator[str]:
    for message in wanted:
        if message.id:
            yield from _fault_of(message, catalog.get(message.id, message.context))
    for message in catalog:
        if message.id and wanted.get(message.id, message.context) is None:
            yield f"not used any more: {message.id!r}"
    if not COMPILED.exists() or COMPILED.read_bytes() != compiled(catalog):
        yield f"{COMPILED.relative_to(ROOT)} is not what {CATALOGUE.name} says"


def _fault_of(message: Any, translated: Any) -> Iterator[str]:
    path, line = message.locations[0]
    texts = () if translated is None else translated.string
    if not texts or (isinstance(texts, tuple) and not all(texts)):
        yield f"{path}:{line}: not translated: {message.id!r}"
    elif translated.fuzzy:
        yield f"{path}:{line}: the translation is uncertain (fuzzy): {message.id!r}"
    else:
        for error in translated.check():
            yield f"{path}:{line}: {error}: {message.id!r}"


def write(catalog: Catalog, wanted: Catalog) -> None:
    # The time of writing would change the file, and what is compiled of it, at every look.
    written_at = catalog.creation_date
    catalog.update(wanted, no_fuzzy_matching=True)
    catalog.creation_date = written_at
    catalog.obsolete.clear()
    with CATALOGUE.open("wb") as file:
        write_po(file, catalog, sort_output=True, omit_header=False, no_location=True, width=110)
    COMPILED.write_bytes(compiled(written()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="bring the catalogue up to date and compile it")
    catalog, wanted = written(), used()
    if parser.parse_args().write:
        write(catalog, wanted)
        catalog = written()
    found = list(faults(catalog, wanted))
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        print(
            f"{len(found)} faults. Translate in {CATALOGUE.relative_to(ROOT)}, then: {Path(__file__).name} --write",
            file=sys.stderr,
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
