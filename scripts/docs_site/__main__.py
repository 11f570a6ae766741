"""`make docs`: build the site into build/docs, and check its links. DOCS_ADDRESS is where it will be served from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import django

from scripts.docs_site import links, pages

ROOT = pages.ROOT
# As manage.py has it: the commands are read from the code.
sys.path.append(str(ROOT / "packages" / "kommo-sandbox" / "src"))
BUILD = ROOT / "build"
ZENSICAL = ROOT / ".venv" / "docs" / "bin" / "zensical"
WORDS = {
    "en": {"theme": "en", "name": "English", "home": "Start", "title": "Kommo bridge", "files": "Files"},
    "pt-BR": {"theme": "pt-BR", "name": "Português", "home": "Início", "title": "Kommo bridge", "files": "Arquivos"},
}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
    django.setup()
    from scripts.docs_site import reference

    made = reference.pages()
    shutil.rmtree(BUILD, ignore_errors=True)
    for language in pages.LANGUAGES:
        build(pages.read(made, language))
    wrong = links.broken(BUILD / "docs")
    print(
        "\n".join(wrong)
        or f"{len(list((BUILD / 'docs').rglob('*.html')))} pages in build/docs, every link leads somewhere"
    )
    return 1 if wrong else 0


def build(site: pages.Site) -> None:
    at = BUILD / "staged" / site.language
    stage(site, at)
    (at / "zensical.toml").write_text(configuration(site), encoding="utf-8")
    done = subprocess.run([ZENSICAL, "build", "--strict", "--clean"], cwd=at, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    target = BUILD / "docs" if site.language == "en" else BUILD / "docs" / site.language
    shutil.copytree(at / "site", target, dirs_exist_ok=True)


def stage(site: pages.Site, at: Path) -> None:
    """Write every page, then those that show files the pages lead to."""
    for source in site.sources():
        write(at / "docs" / pages.page(source), site.text(source))
    seen: set[str] = set()
    while site.linked - seen:
        for target in sorted(site.linked - seen):
            seen.add(target)

            def see(other: str, target: str = target) -> str:
                site.linked.add(other)
                return os.path.relpath(pages.shown_at(other), Path(pages.shown_at(target)).parent)

            write(at / "docs" / pages.shown_at(target), pages.shown(target, see))
    shutil.copytree(ROOT / "docs" / "images", at / "docs" / "images")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def configuration(site: pages.Site) -> str:
    words = WORDS[site.language]
    root = "" if site.language == "en" else "../"
    others = [
        {
            "name": WORDS[language]["name"],
            "lang": WORDS[language]["theme"],
            "link": f"./{root}{'' if language == 'en' else language + '/'}",
        }
        for language in pages.LANGUAGES
    ]
    navigation = ",\n".join(section(site, part) for part in site.sections)
    alternate = "\n".join(
        "[[project.extra.alternate]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in language.items())
        for language in others
    )
    address = os.environ.get("DOCS_ADDRESS", "").rstrip("/")
    where = (
        f"site_url = {json.dumps(address + '/' + ('' if site.language == 'en' else site.language + '/'))}"
        if address
        else ""
    )
    # No fonts from elsewhere: whoever reads is told to nobody.
    return f"""[project]
site_name = {json.dumps(words["title"])}
{where}
docs_dir = "docs"
site_dir = "site"
nav = [
{navigation}
]

[project.theme]
language = {json.dumps(words["theme"])}
font = false
features = ["content.code.copy", "navigation.footer", "navigation.indexes", "navigation.sections", "navigation.tabs",
  "navigation.top", "search.highlight", "toc.follow"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"

{alternate}

[project.markdown_extensions]
admonition = {{}}
attr_list = {{}}
md_in_html = {{}}
tables = {{}}
toc.permalink = true
pymdownx.highlight.use_pygments = true
pymdownx.superfences = {{}}
"""


def section(site: pages.Site, part: pages.Section) -> str:
    entries = ", ".join(
        f"{{ {json.dumps(entry(site, source))} = {json.dumps(pages.page(source))} }}" for source in part.sources
    )
    return f"  {{ {json.dumps(part.titles[site.language], ensure_ascii=False)} = [{entries}] }}"


def entry(site: pages.Site, source: str) -> str:
    title = WORDS[site.language]["home"] if source == "README.md" else site.title(source)
    number = Path(source).name[:4] if source.startswith("docs/decisions/0") else ""
    return f"{number} {title}".strip() + ("" if site.is_translated(source) else " (en)")


if __name__ == "__main__":
    sys.exit(main())
