"""A person's own page for the second factor, and who may not do without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from bridge import second_factor
from bridge.admin import audit_record
from bridge.admin.confirm import asks_again
from bridge.admin.is_admin_request import is_for_the_admin
from bridge.admin.login import LoginForm

# Where somebody without a second factor may go although everybody needs one.
OPEN = frozenset({"second-factor", "admin:login", "admin:logout", "admin:jsi18n"})


class RequiredMiddleware:
    """With ADMIN_REQUIRE_SECOND_FACTOR, lead staff who have none to the page that sets one up.

    Looked up with each page, so it holds for sessions that were open before, too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.ADMIN_REQUIRE_SECOND_FACTOR:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        view = request.resolver_match.view_name if request.resolver_match else ""
        if view in OPEN or not is_for_the_admin(request):
            return None
        if not request.user.is_authenticated or second_factor.of(request.user):
            return None
        return redirect("second-factor")


# Not by unfold's setting: it would import these pages while the site they register with is still being made.
admin.site.login_form = LoginForm


@asks_again
def page(request: HttpRequest) -> HttpResponse:
    """Set it up, confirm it, renew the recovery codes, or give it up: all one's own."""
    # Whoever is not logged in does not come here: the admin's own guard stands before it.
    user = cast(User, request.user)
    codes: list[str] = []
    begun = None
    do = request.POST.get("do", "")
    if do == "begin":
        begun = second_factor.begin(user)
    elif do == "confirm":
        codes = second_factor.confirm(user, request.POST.get("code", ""))
        if not codes:
            messages.error(
                request, _("This code is not right, or was used already. Wait for the next one and try again.")
            )
            begun = second_factor.begin(user)
    elif do == "renew":
        codes = second_factor.renew_recovery_codes(user)
    elif do == "off":
        second_factor.reset([user])
        audit_record.note(request, "Gave up the second factor", rows=[user])
        if not settings.ADMIN_REQUIRE_SECOND_FACTOR:
            messages.success(request, _("From now on your password alone opens this."))
        return redirect("second-factor")
    if codes:
        audit_record.note(request, f"Second factor: {do}", rows=[user])
    factor = second_factor.of(user)
    setting_up = begun if factor is None else None
    context = {
        **admin.site.each_context(request),
        "title": _("Two-step verification"),
        "factor": factor,
        "codes": codes,
        "left": len(factor.recovery_hashes) if factor else 0,
        "begun": setting_up,
        "required": settings.ADMIN_REQUIRE_SECOND_FACTOR,
        "qr": segno.make(second_factor.address(setting_up)).svg_data_uri(scale=5, light="white") if setting_up else "",
        "secret": " ".join(setting_up.key[at : at + 4] for at in range(0, 32, 4)) if setting_up else "",
    }
    answer = render(request, "admin/second_factor.html", context)
    add_never_cache_headers(answer)
    return answer
