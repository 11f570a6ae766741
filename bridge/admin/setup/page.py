"""What all steps share: who may see them, the list of steps beside them, and trouble with Kommo said in plain words."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from bridge.admin.setup.steps import STEPS, Progress, Step, after
from bridge.errors import (
    BridgeError,
    ConfigurationError,
    KommoAccessError,
    KommoError,
    KommoRateLimitError,
    KommoUnreachableError,
)
from bridge.models import Account

log = structlog.get_logger(__name__)

View = Callable[[HttpRequest, Progress], HttpResponse]


def step(name: str) -> Callable[[View], Callable[[HttpRequest], HttpResponse]]:
    """Make a view of one step: for those who may change accounts, with what is known of the progress.

    All but the first steps need an account that is connected, and lead to the first one otherwise.
    """

    def decorate(view: View) -> Callable[[HttpRequest], HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            if not request.user.has_perms(("bridge.add_account", "bridge.change_account", "bridge.add_apikey")):
                raise PermissionDenied
            progress = Progress(account_of(request))
            if name not in ("connect", "ways", "key") and not progress.done["connect"]:
                messages.info(request, _("Connect Kommo first."))
                return redirect("setup-connect")
            return view(request, progress)

        # A view of the admin: who is not logged in is led to the login and back.
        wrapped: Callable[[HttpRequest], HttpResponse] = admin.site.admin_view(guarded)
        return wrapped

    return decorate


def account_of(request: HttpRequest) -> Account | None:
    """Return the account being set up: the one in the address, else the first."""
    accounts = Account.objects.order_by("pk")
    asked = request.GET.get("account", "")
    if asked.isdecimal() and len(asked) < 19:
        return accounts.filter(pk=int(asked)).first()
    return None if asked == "new" else accounts.first()


def show(request: HttpRequest, progress: Progress, name: str, *, template: str = "", **context: Any) -> HttpResponse:
    current = next(step for step in STEPS if step.name == name)
    return render(
        request,
        f"admin/setup/{template or name}.html",
        {
            **admin.site.each_context(request),
            "title": _("Set up"),
            "step": current,
            "number": STEPS.index(current) + 1,
            "rows": progress.rows(name),
            "next": after(name),
            "done": progress.done[name],
            "account": progress.account,
            "query": f"?{request.GET.urlencode()}" if request.GET else "",
            **context,
        },
    )


def go_on(request: HttpRequest, name: str) -> HttpResponse:
    """Go to the step after this one, with the same account."""
    following: Step | None = after(name)
    target = following.url if following else STEPS[-1].url
    asked = request.GET.get("account", "")
    return redirect(f"{target}?account={asked}" if asked.isdecimal() else target)


def trouble(error: BridgeError) -> str:
    """Say what staff can do about a failure, in their language; the technical words follow in brackets."""
    log.info("setup_step_failed", error=type(error).__name__)
    if isinstance(error, KommoAccessError) and error.status_code == 401:
        message = _("Kommo does not accept this token. Copy it again: it is long, and shown only once.")
    elif isinstance(error, KommoAccessError) and error.status_code == 402:
        message = _("Kommo wants the account to be paid before it answers.")
    elif isinstance(error, KommoAccessError):
        message = _(
            "Kommo refuses this integration. Give it access to the account's data, and use an administrator's token."
        )
    elif isinstance(error, KommoUnreachableError):
        message = _(
            "Kommo did not answer. Check the address, and that this server reaches the internet; then try again."
        )
    elif isinstance(error, KommoRateLimitError):
        message = _("Kommo asks for a moment. Wait a minute and try again.")
    elif isinstance(error, KommoError):
        message = _("Kommo did not do it. Nothing is lost: try again.")
    elif isinstance(error, ConfigurationError):
        return str(error)
    else:
        message = _("It did not work. Nothing is lost: try again.")
    return f"{message} ({error})"
