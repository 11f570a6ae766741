"""The documents as a site, without what draws it: every document has its place, every link its page."""

from __future__ import annotations

import pytest

from scripts.docs_site import links, pages, reference
from tests.operations.test_documents import ROOT

pytestmark = pytest.mark.once

MADE = ("reference/api.md", "reference/commands.md", "reference/settings.md")


@pytest.fixture(scope="module", params=pages.LANGUAGES)
def site(request):
    return pages.read(reference.pages(), request.param)


def test_every_document_has_its_place(site):
    documents = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    documents |= {str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("packages/*/README.md"))}
    documents -= set(pages.NO_PAGES)
    assert {pages.as_source(path) for path in documents} <= set(site.sources())
    assert len(site.sources()) == len(set(site.sources()))


def test_every_page_is_there_and_every_link_has_a_page_to_lead_to(site):
    texts = {source: site.text(source) for source in site.sources()}
    assert set(MADE) <= texts.keys()
    assert all((ROOT / target).exists() for target in site.linked)
    assert all(pages.shown(target, str) for target in site.linked)


def test_a_page_that_is_not_translated_says_so():
    site = pages.read(reference.pages(), "pt-BR")
    assert "ainda não foi traduzida" in site.text("docs/performance.md")
    for source in (
        "README.md",
        "docs/first-run.md",
        "docs/integrating-an-agent.md",
        "docs/operating.md",
        "docs/ways-in/README.md",
    ):
        assert site.is_translated(source) and "ainda não foi traduzida" not in site.text(source)


def test_a_translation_translates_something():
    assert all(
        (ROOT / pages.as_source(str(path.relative_to(ROOT)))).is_file() for path in ROOT.glob("docs/pt-BR/**/*.md")
    )


def test_a_link_that_leads_nowhere_stops_the_build():
    site = pages.read({"reference/api.md": "# Api\n\n[gone](gone.md)\n"}, "en")
    with pytest.raises(pages.BrokenLinkError, match=r"gone\.md"):
        site.text("reference/api.md")


def test_a_link_to_another_language_keeps_its_page_and_loses_a_place_that_is_not_there():
    site = pages.read(reference.pages(), "pt-BR")
    assert site._link("docs/adopting.md", "first-run.md#who-may-do-what", "docs/adopting.md") == "first-run.md"
    assert site._link("docs/adopting.md", "kommo.md", "docs/adopting.md") == "kommo.md"


def test_what_stands_under_an_item_stays_under_it():
    text = "1. **One**\n\n   ![a](b.png)\n\n   ```sh\n   make\n     deep\n   ```\n2. Two\n   goes on\n"
    wanted = "1. **One**\n\n    ![a](b.png)\n\n    ```sh\n    make\n      deep\n    ```\n2. Two\n    goes on\n"
    assert pages.within_lists(text) == wanted


@pytest.mark.parametrize("link", ["missing/", "../outside.html", "page/#nowhere", "javascript:alert(1)"])
def test_a_link_of_the_site_that_leads_nowhere_is_found(tmp_path, link):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text('<h1 id="here"></h1><a href="../#top">x</a>')
    good = '<a id="top"></a><a href="page/#here"></a><a href="https://example.com/"></a>'
    (tmp_path / "index.html").write_text(good)
    assert links.broken(tmp_path) == []
    (tmp_path / "index.html").write_text(f'{good}<a href="{link}"></a>')
    assert links.broken(tmp_path) == [f"index.html: {link}"]


def test_the_reference_has_every_call_and_setting():
    made = reference.pages()
    assert "## `POST /api/v1/interactions/`" in made["reference/api.md"]
    assert "`lead.phone`" in made["reference/api.md"] and "### `followup.due`" in made["reference/api.md"]
    assert (
        "## `kommo_connect`" in made["reference/commands.md"] and "`--create-missing`" in made["reference/commands.md"]
    )
    assert "`AGENT_WEBHOOK_URL`" in made["reference/settings.md"]
