"""A translated document says what the English one says: the same parts, commands, links and names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from scripts.docs_site import pages
from tests.operations.test_documents import ROOT, text_of

pytestmark = pytest.mark.once

READMES = [ROOT / "README.md", ROOT / "README.pt-BR.md", ROOT / "README.es.md"]
PAGES = sorted((ROOT / "docs" / "pt-BR").rglob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def english(translation: Path) -> Path:
    if translation in READMES:
        return READMES[0]
    return ROOT / pages.as_source(str(translation.relative_to(ROOT)))


def without_fences(path: Path) -> str:
    return FENCE.sub("", text_of(path))


def headings(path: Path) -> list[str]:
    return [level for level, _ in re.findall(r"^(#+) (.+)$", without_fences(path), re.MULTILINE)]


def commands(path: Path) -> list[tuple[str, str]]:
    """Blocks as a shell reads them: what stands behind a # is for people, and in their language."""
    return [(kind, re.sub(r"\s+# .*$", "", code, flags=re.MULTILINE)) for kind, code in FENCE.findall(text_of(path))]


def who_runs_them(path: Path) -> list[str]:
    return re.findall(r"^<!-- .+ -->$", text_of(path), re.MULTILINE)


def links(path: Path) -> list[str]:
    """Where it leads, whatever language the page is in; a picture may have words of its own language in it."""
    found = [place(path, link) for link in re.findall(r"\]\(([^)\s]+)\)", text_of(path))]
    return [re.sub(r"(docs/images/[\w-]+)\.(?:pt-BR|es)\.", r"\1.", link) for link in found if link not in ALSO_README]


def place(path: Path, link: str) -> str:
    # Headings have other words in another language, and so other anchors.
    name = link.partition("#")[0]
    if name.startswith(("https:", "http:")):
        return name
    return pages.as_source(os.path.relpath((path.parent / name) if name else path, ROOT))


ALSO_README = {path.name for path in READMES}


def names(path: Path) -> list[str]:
    """Settings, commands and files stand in all as they are; sentences have their own order."""
    return sorted(re.findall(r"`([^`\n]+)`", without_fences(path)))


def rows(path: Path) -> int:
    return len(re.findall(r"^(?:\||- |\d\. )", text_of(path), re.MULTILINE))


@pytest.mark.parametrize("translation", READMES[1:] + PAGES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.parametrize(
    "part", [headings, commands, who_runs_them, links, names, rows], ids=lambda part: part.__name__
)
def test_a_translation_has_the_same(translation, part):
    assert part(translation) == part(english(translation))


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_each_readme_leads_to_the_others(path):
    others = {f"({other.name})" for other in READMES if other != path}
    assert others <= set(re.findall(r"\([^)]+\)", text_of(path)))


@pytest.mark.parametrize("path", [READMES[1], *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_portuguese_page_leads_to_portuguese_pages(path):
    """Who reads Portuguese is not sent into English where there is a translation."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        name = link.partition("#")[0]
        led = os.path.relpath(path.parent / name, ROOT)
        if name.endswith(".md") and led.startswith("docs/") and not led.startswith("docs/pt-BR/"):
            assert not (ROOT / led.replace("docs/", "docs/pt-BR/", 1)).is_file(), link
