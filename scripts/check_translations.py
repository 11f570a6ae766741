"""Check that Portuguese and Spanish say everything English says, and that what is compiled is what is written.

`--write` adds new texts to the catalogues (empty, to be translated), drops unused ones and compiles them. Uses Babel,
so no gettext has to be installed.
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
ROOMS = ("bridge", "leads", "followups", "common", "templates")
CATALOGUES = {locale: ROOT / f"locale/{locale}/LC_MESSAGES/django.po" for locale in ("pt_BR", "es")}
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


def written(locale: str) -> Catalog:
    with CATALOGUES[locale].open("rb") as file:
        return read_po(file, locale=locale)


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def faults(locale: str, wanted: Catalog) -> Iterator[str]:
    catalog, path = written(locale), CATALOGUES[locale]
    for message in wanted:
        if message.id:
            yield from (f"{locale}: {fault}" for fault in _fault_of(message, catalog.get(message.id, message.context)))
    for message in catalog:
        if message.id and wanted.get(message.id, message.context) is None:
            yield f"{locale}: not used any more: {message.id!r}"
    made = path.with_suffix(".mo")
    if not made.exists() or made.read_bytes() != compiled(catalog):
        yield f"{made.relative_to(ROOT)} is not what {path.name} says"


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


def write(locale: str, wanted: Catalog) -> None:
    catalog = written(locale)
    # The time of writing would change the file, and what is compiled of it, at every look.
    written_at = catalog.creation_date
    catalog.update(wanted, no_fuzzy_matching=True)
    catalog.creation_date = written_at
    catalog.obsolete.clear()
    with CATALOGUES[locale].open("wb") as file:
        write_po(file, catalog, sort_output=True, omit_header=False, no_location=True, width=110)
    CATALOGUES[locale].with_suffix(".mo").write_bytes(compiled(written(locale)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="bring the catalogues up to date and compile them")
    asked, wanted = parser.parse_args(), used()
    if asked.write:
        for locale in CATALOGUES:
            write(locale, wanted)
    found = [fault for locale in CATALOGUES for fault in faults(locale, wanted)]
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        where = " and ".join(str(path.relative_to(ROOT)) for path in CATALOGUES.values())
        print(f"{len(found)} faults. Translate in {where}, then: {Path(__file__).name} --write", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
