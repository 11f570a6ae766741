"""The second factor with a keyboard alone: set up on its page, and asked for at the login."""

from __future__ import annotations

from base64 import b32decode
from time import time

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import expect

from bridge import second_factor
from tests.browser.visits import PASSWORD, barriers, fits, person


def code_of(factor, *, later=0):
    """Return what the app shows now, or in so many seconds."""
    totp = TOTP(b32decode(factor.key))
    totp.time = time() + later
    return f"{totp.token():06d}"


@pytest.mark.parametrize(("viewport", "language"), [("desktop", "en"), ("phone", "pt-BR")])
def test_the_code_can_be_typed_as_soon_as_it_is_asked_for(open_page, picture, viewport, language):
    factor = second_factor.begin(person("seller"))
    second_factor.confirm(factor.user, code_of(factor))
    page = open_page("/admin/login/", role=None, viewport=viewport, language=language)
    page.locator("#id_username").fill("seller")
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("#id_code")).to_have_js_property("autofocus", True)
    assert fits(page)
    assert barriers(page) == []
    picture(page, f"second-factor-login-{viewport}")

    page.locator("#id_code").press_sequentially(code_of(factor, later=30))
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")


def test_it_is_set_up_without_a_mouse(open_page, picture):
    page = open_page("/admin/second-factor/", role="seller")
    page.get_by_role("button", name="Set it up").press("Enter")
    expect(page.locator("#code")).to_have_js_property("autofocus", True)
    picture(page, "second-factor-setup")
    assert fits(page)
    assert barriers(page) == []

    page.locator("#code").press_sequentially(code_of(person("seller").second_factor))
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    picture(page, "second-factor-codes")
    assert barriers(page) == []
