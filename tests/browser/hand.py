"""A hand on the mouse or on the glass: it does what a person does, and every press is counted. Typing is not."""

from __future__ import annotations

import re

from django.utils import translation
from playwright.sync_api import Locator, Page, expect


class Hand:
    """Somebody at a page, who reads the words of their language.

    On a phone pages are opened by the search under the thumb, elsewhere by the sidebar: a press each.
    """

    def __init__(self, page: Page, *, language: str, viewport: str) -> None:
        self.page, self.language, self.is_phone = page, language, viewport == "phone"
        self.presses = 0

    def word(self, text: str) -> str:
        """Return a text of the pages in this person's language."""
        with translation.override(self.language.lower()):
            return translation.gettext(text)

    def press(self, what: Locator) -> None:
        what.click()
        self.presses += 1

    def write(self, text: str, *, then: str = "") -> None:
        """Type where the focus is, over whatever stands there, and press a key afterwards."""
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        if then:
            self.page.keyboard.press(then)

    def button(self, text: str, *, within: Page | Locator | None = None, exact: bool = True) -> Locator:
        return (within or self.page).get_by_role("button", name=self.word(text), exact=exact)

    def find(self, text: str, *, called: str = "") -> None:
        """Open the first thing that is found by a text; or the one that is called so, with one press more."""
        bar = self.page.get_by_role("navigation", name=self.word("At hand"))
        self.press(self.button("Search", within=bar) if self.is_phone else self.button("Search anything"))
        box = self.page.get_by_role("searchbox")
        expect(box).to_be_focused()
        self.write(text)
        expect(self.page.locator("#command-results-list li.active")).to_be_visible()
        if called:
            self.leave(lambda: self.press(self.page.locator("#command-results-list").get_by_role("link", name=called)))
        else:
            self.leave(lambda: self.page.keyboard.press("Enter"))

    def open(self, name: str, *parts: str) -> None:
        """Open a page of the sidebar, and a tab on it; on a phone what is asked for last is searched for."""
        if self.is_phone:
            wanted = [self.word(piece) for piece in (name, *parts)]
            self.find(wanted[-1], called=" ".join(reversed(wanted)))
            return
        for part in (name, *parts):
            link = self.page.get_by_role("link", name=self.word(part), exact=True)
            self.leave(lambda link=link: self.press(link.first))

    def leave(self, deed) -> None:
        """Do what opens another page, and be there."""
        with self.page.expect_navigation():
            deed()

    def sees(self, text: str | re.Pattern[str], *, at_once: bool = False) -> None:
        """Find a text on the page; at_once: on the screen, before anything is scrolled."""
        found = self.page.get_by_text(text).first
        expect(found).to_be_visible()
        if at_once:
            expect(found).to_be_in_viewport()
