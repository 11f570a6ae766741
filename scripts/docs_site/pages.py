"""Which page of the site a file of the repository is, and its text with links that lead to pages."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "pt-BR")
TRANSLATED = {"README.md": "README.pt-BR.md"}
# For who reads the repository; the site has no such language.
NO_PAGES = ("README.es.md",)
IN_ENGLISH = '!!! info "Em inglês"\n\n    Esta página ainda não foi traduzida.\n\n'
FENCED = re.compile(r"(^[ ]*```.*?^[ ]*```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()(?!https?:|mailto:)([^)\s]+)(\))")
HEADING = re.compile(r"^(#+ )(.+?)$", re.MULTILINE)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
# The README's line of its other languages: the site has a switch.
OTHER_LANGUAGES = re.compile(r"^\[[^\]]+\]\(README[^)]*\)(?: · \[[^\]]+\]\(README[^)]*\))*\n\n", re.MULTILINE)
# What a list needs before it that GitHub does not ask for.
TIGHT_LIST = re.compile(r"^(?![-*|>#]|\d+\. |[ ]{2,})(\S.*)\n(?=(?:[-*] |\d+\. ))", re.MULTILINE)


class BrokenLinkError(Exception):
    """A link of a page leads nowhere in the repository."""


@dataclass(frozen=True)
class Section:
    titles: dict[str, str]
    sources: tuple[str, ...]


@dataclass
class Site:
    """One language of the site: every page by where it lies in the repository."""

    language: str
    sections: list[Section]
    made: dict[str, str]
    """Pages that no file holds, by their source's name."""
    linked: set[str] = field(default_factory=set)
    """Files that pages lead to and that are no pages: each gets one that shows it."""

    def sources(self) -> list[str]:
        return [source for section in self.sections for source in section.sources]

    def text(self, source: str) -> str:
        """The page's Markdown, in this language where there is one."""
        if source in self.made:
            return self._staged(source, self.made[source], source)
        own = self._own(source)
        text = (ROOT / own).read_text(encoding="utf-8")
        if self.language != "en" and own == source:
            text = TITLE.sub(lambda found: f"{found[0]}\n\n{IN_ENGLISH}", text, count=1)
        return self._staged(source, text, own)

    def title(self, source: str) -> str:
        found = TITLE.search(self.made.get(source) or (ROOT / self._own(source)).read_text(encoding="utf-8"))
        assert found, source
        return found[1].replace("`", "")

    def is_translated(self, source: str) -> bool:
        return self.language == "en" or self._own(source) != source

    def _own(self, source: str) -> str:
        if self.language == "en":
            return source
        translated = TRANSLATED.get(source) or source.replace("docs/", f"docs/{self.language}/", 1)
        return translated if (ROOT / translated).is_file() else source

    def _staged(self, source: str, text: str, lies_at: str) -> str:
        def led(found: re.Match[str]) -> str:
            return found[1] + self._link(source, found[2], lies_at) + found[3]

        parts = FENCED.split(within_lists(OTHER_LANGUAGES.sub("", text)))
        # A file that is shown is code from end to end.
        parts[::2] = [with_anchors(TIGHT_LIST.sub(r"\1\n\n", LINK.sub(led, part))) for part in parts[::2]]
        return "".join(parts)

    def _link(self, source: str, link: str, lies_at: str) -> str:
        name, _, anchor = link.partition("#")
        target = as_source(os.path.normpath(PurePosixPath(lies_at).parent / name) if name else lies_at)
        if not (ROOT / target).exists() and target not in self.made:
            raise BrokenLinkError(f"{lies_at}: {link}")
        # Pictures and films come along as they are.
        if target.startswith("docs/images/"):
            return relative(target.removeprefix("docs/"), source)
        if (ROOT / target / "README.md").is_file():
            target = f"{target}/README.md"
        if target not in self.sources():
            self.linked.add(target)
            return relative(shown_at(target), source)
        # Another language's headings have other names.
        kept = anchor if anchor in anchors_of(self.text_as_it_lies(target)) else ""
        return relative(page(target), source) + (f"#{kept}" if kept else "")

    def text_as_it_lies(self, source: str) -> str:
        return self.made.get(source) or (ROOT / self._own(source)).read_text(encoding="utf-8")


def read(made: dict[str, str], language: str) -> Site:
    """The site as docs/navigation.toml has it, in one language."""
    with (ROOT / "docs" / "navigation.toml").open("rb") as file:
        sections = tomllib.load(file)["section"]
    return Site(
        language,
        [Section({name: section[name] for name in LANGUAGES}, tuple(expand(section["pages"]))) for section in sections],
        made,
    )


def expand(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        several = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(name)) if "*" in name else [name]
        found += [source for source in several if source not in found]
    return found


def as_source(path: str) -> str:
    """A translated file is the same page as what it translates."""
    for source, translated in TRANSLATED.items():
        if path == translated:
            return source
    for language in LANGUAGES[1:]:
        if path.startswith(f"docs/{language}/"):
            return path.replace(f"docs/{language}/", "docs/", 1)
    return path


def page(source: str) -> str:
    """Where the page lies in the site, as Markdown."""
    if source == "README.md":
        return "index.md"
    at = source.removeprefix("docs/")
    return at.removesuffix("README.md") + "index.md" if at.endswith("README.md") else at


def shown_at(target: str) -> str:
    return f"files/{target}.md"


def relative(target: str, source: str) -> str:
    start = PurePosixPath(page(source)).parent if not source.startswith("files/") else PurePosixPath(source).parent
    return os.path.relpath(target, start)


def within_lists(text: str) -> str:
    """Indent what belongs to an item of a list by four, as the site's Markdown wants it; GitHub is content with two."""
    lines: list[str] = []
    shift: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if shift is not None or line.lstrip().startswith("```"):
            # A block of code moves as one.
            moved = (4 - indent if 2 <= indent < 4 else 0) if shift is None else shift
            shift = None if shift is not None and line.strip() == "```" else moved
            lines.append(" " * moved + line if line.strip() else line)
        else:
            lines.append(" " * 4 + line.lstrip() if 2 <= indent < 4 else line)
    return "\n".join(lines) + "\n"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def anchors_of(text: str) -> set[str]:
    return {slug(heading) for _, heading in HEADING.findall("".join(FENCED.split(text)[::2]))}


def with_anchors(text: str) -> str:
    def named(found: re.Match[str]) -> str:
        anchor = slug(found[2])
        return f"{found[1]}{found[2]} {{ #{anchor} }}" if anchor else found[0]

    return HEADING.sub(named, text)


def shown(target: str, see: Callable[[str], str]) -> str:
    """A page that shows a file of the repository, or what a folder of it holds. `see` links to another such page."""
    path = ROOT / target
    if path.is_dir():
        names = sorted(str(file.relative_to(ROOT)) for file in path.iterdir() if file.is_file())
        return f"# `{target}/`\n\n" + "".join(f"- [`{PurePosixPath(name).name}`]({see(name)})\n" for name in names)
    kind = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".toml": "toml"}.get(path.suffix, "text")
    return f"# `{target}`\n\n~~~~{kind}\n{path.read_text(encoding='utf-8').rstrip()}\n~~~~\n"
