"""The README's translations say what the English one says: the same parts, commands, links and names."""

from __future__ import annotations

import re

import pytest

from tests.operations.test_documents import ROOT, text_of

ENGLISH = ROOT / "README.md"
TRANSLATIONS = [ROOT / "README.pt-BR.md", ROOT / "README.es.md"]
ALL = [ENGLISH, *TRANSLATIONS]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def headings(text: str) -> list[str]:
    return [level for level, _ in re.findall(r"^(#+) (.+)$", without_fences(text), re.MULTILINE)]


def commands(text: str) -> list[tuple[str, str]]:
    """Blocks as a shell reads them: what stands behind a # is for people, and in their language."""
    return [(kind, re.sub(r"\s+# .*$", "", code, flags=re.MULTILINE)) for kind, code in FENCE.findall(text)]


def links(text: str) -> list[str]:
    """Where it leads, beside its translations; a picture may have words of its own language in it."""
    names = {path.name for path in ALL}
    found = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if link not in names]
    return [re.sub(r"(docs/images/[\w-]+)\.(?:pt-BR|es)\.", r"\1.", link) for link in found]


def names(text: str) -> list[str]:
    """Settings, commands and files stand in all as they are; sentences have their own order."""
    return sorted(re.findall(r"`([^`\n]+)`", without_fences(text)))


def rows(text: str) -> int:
    return len(re.findall(r"^(?:\||- |\d\. )", text, re.MULTILINE))


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("part", [headings, commands, links, names, rows], ids=lambda part: part.__name__)
def test_a_translation_has_the_same(translation, part):
    assert part(text_of(translation)) == part(text_of(ENGLISH))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_each_leads_to_the_others(path):
    assert {f"({other.name})" for other in ALL if other != path} <= set(re.findall(r"\([^)]+\)", text_of(path)))
