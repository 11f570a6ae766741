"""Opening the admin as a certain person, in a certain language, at a certain size, with an eye on what goes wrong."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
VIEWPORTS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
}
PASSWORD = "a-password-of-tests"
PATIENCE_MS = 30_000


def chromium() -> str | None:
    """Return the path of a Chromium, Debian's by default; None when there is none."""
    named = os.environ.get("CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def person(role: str) -> User:
    """Return the member of staff with that role, made when there is none; a `superuser` may do everything."""
    found = User.objects.filter(username=role).first()
    if found:
        return found
    if role == "superuser":
        return User.objects.create_superuser(role, f"{role}@example.com", PASSWORD)
    made = User.objects.create_user(role, f"{role}@example.com", PASSWORD, is_staff=True)
    made.groups.add(Group.objects.get_or_create(name=role)[0])
    return made


class Visits:
    """The pages a test opened, and what went wrong on any of them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.faults: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        path: str = "/admin/",
        *,
        role: str | None = "superuser",
        language: str = "en",
        viewport: str = "desktop",
        dark: bool = False,
    ) -> Page:
        """Open a page as a person of a role (None: nobody), in `en` or `pt-BR`, on a `desktop` or a `phone`."""
        context = self.browser.new_context(
            **VIEWPORTS[viewport],
            base_url=self.url,
            locale=language,
            timezone_id="America/Sao_Paulo",
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        if role:
            client = Client()
            client.force_login(person(role), backend="django.contrib.auth.backends.ModelBackend")
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": self.url}])
        page = context.new_page()
        page.on("request", self._check_request)
        page.on("response", self._check_response)
        page.on("console", self._check_console)
        page.on("pageerror", lambda error: self._fault(f"script error: {error}"))
        page.goto(path)
        return page

    def expect_fault(self, pattern: str) -> None:
        """Let faults that match a regular expression pass: a test that provokes a 403 says so with it."""
        self._expected.append(re.compile(pattern))

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _check_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(self.url).netloc:
            self._fault(f"asked another host: {request.url}")

    def _check_response(self, response: Response) -> None:
        if response.status >= 400:
            self._fault(f"{response.status} {response.request.method} {urlsplit(response.url).path}")

    def _check_console(self, message: ConsoleMessage) -> None:
        # A refused request is told by its answer, with more to go by.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._fault(f"console: {message.text}")

    def _fault(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self._expected):
            self.faults.append(text)


def barriers(page: Page, *, only: Sequence[str] = (), with_small: bool = False) -> list[str]:
    """Return what axe-core finds serious or critical on the page, a line each: rule, help, and the first elements.

    only: of these rules alone. with_small: what is moderate or minor too.
    """
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(only)} if only else {})
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{barrier['id']} ({barrier['impact']}): {barrier['help']}: "
        + "; ".join(" ".join(node["html"].split())[:150] for node in barrier["nodes"][:3])
        for barrier in found
        if with_small or barrier["impact"] in ("serious", "critical")
    ]


IN_CONTENT = "document.querySelector('main')?.contains(document.activeElement)"
ON_SKIP_LINK = "document.activeElement?.matches('a[href^=\"#\"]:focus')"


def tab_stops_before_content(page: Page) -> int:
    """Return how often somebody without a mouse presses Tab before they are in the page's main part."""
    # As just opened, whatever has the focus by itself.
    stops = 0
    while not page.evaluate(IN_CONTENT) and stops < 40:
        page.keyboard.press("Tab")
        stops += 1
        if page.evaluate(ON_SKIP_LINK):
            page.keyboard.press("Enter")
    return stops


def fits(page: Page) -> bool:
    """Say whether the page needs no sideways scrolling."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1"))
