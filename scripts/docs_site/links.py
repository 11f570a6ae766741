"""Whether every link of the built site leads to a page of it, and to a place on that page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page leads to, and what can be led to on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if place := values.get("id") or (values.get("name") if tag == "a" else None):
            self.places.add(place)
        for name in ("href", "src"):
            if link := values.get(name):
                self.links.append(link)


def broken(site: Path) -> list[str]:
    """Links that lead nowhere, each with its page; and whatever a page would fetch from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    return sorted({
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items() if path.name != "404.html"
        for link in page.links if not _leads(path, link, pages, site)
    })  # fmt: skip


def _leads(path: Path, link: str, pages: dict[Path, Page], site: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme in ("https", "http", "mailto", "data")
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].places
