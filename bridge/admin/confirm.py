"""Asking again who it is before something sensitive: secrets, erasure, roles, rolling back.

The question comes in place: what was typed waits in the page and goes on once the password is right; nothing is lost.

    @asks_again                      # a view (request, …), or a method (self, request, …): its POSTs
    @asks_again(always=True)         # its GETs too: a link that acts

    class KeyAdmin(AsksAgain, StaffAdmin):       # saving, deleting, and these actions of the list
        sensitive_actions = ("revoke",)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget

SESSION_KEY = "confirmed_at"
PASSWORD = "_confirm_password"
USERNAME = "_confirm_username"
WAS_GET = "_confirm_get"
HAD_FILES = "_confirm_files"
OURS = (PASSWORD, USERNAME, WAS_GET, HAD_FILES, "csrfmiddlewaretoken")


class PasswordForm(forms.Form):
    password = forms.CharField(
        label=_("Your password"),
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def add_prefix(self, field_name: str) -> str:
        return PASSWORD


def is_fresh(request: HttpRequest) -> bool:
    """Say whether this person gave the password within the last minutes (ADMIN_CONFIRM_MINUTES)."""
    at = float(request.session.get(SESSION_KEY, 0))
    minutes: int = settings.ADMIN_CONFIRM_MINUTES
    return 0 <= timezone.now().timestamp() - at < 60 * minutes


@receiver(user_logged_in)
def remember(request: HttpRequest | None = None, **_: Any) -> None:
    """Keep that the password was given just now: at the login, or when asked again."""
    if request is not None:
        request.session[SESSION_KEY] = timezone.now().timestamp()


def question(request: HttpRequest) -> HttpResponse | None:
    """Return the page that asks for the password, or None when the request may go on."""
    given = request.POST.get(PASSWORD)
    if given is None:
        return None if is_fresh(request) else _page(request, PasswordForm())
    username = request.user.get_username()
    if authenticate(request, username=username, password=given) != request.user:
        form = PasswordForm({PASSWORD: given})
        form.add_error("password", _("This is not your password."))
        return _page(request, form)
    remember(request)
    if request.POST.get(WAS_GET):
        return redirect(request.get_full_path())
    waited = request.POST.copy()
    del waited[PASSWORD]
    waited.pop(USERNAME, None)
    if waited.pop(HAD_FILES, None):
        messages.warning(request, _("Thank you. Choose the file once more: it could not wait in the page."))
        return redirect(request.get_full_path())
    request.POST = waited  # type: ignore[assignment]
    return None


def _page(request: HttpRequest, form: PasswordForm) -> HttpResponse:
    kept = [(name, value) for name, values in request.POST.lists() for value in values if name not in OURS]
    if request.method != "POST" or WAS_GET in request.POST:
        kept.append((WAS_GET, "1"))
    if request.FILES or HAD_FILES in request.POST:
        kept.append((HAD_FILES, "1"))
    answer = render(
        request,
        "admin/confirm.html",
        {
            **admin.site.each_context(request),
            "title": _("Please confirm that it is you"),
            "form": form,
            "kept": kept,
        },
    )
    # What was typed waits in this page: no cache may keep it.
    add_never_cache_headers(answer)
    return answer


def asks_again(view: Callable[..., Any] | None = None, *, always: bool = False) -> Any:
    """Let a view, or a method that takes a request first, ask for the password unless it was given just now."""
    if view is None:
        return partial(asks_again, always=always)

    @wraps(view)
    def asking(*args: Any, **kwargs: Any) -> Any:
        request = next(argument for argument in args if isinstance(argument, HttpRequest))
        if always or request.method == "POST":
            asked = question(request)
            if asked is not None:
                return asked
        return view(*args, **kwargs)

    return asking


class AsksAgain:
    """An admin whose saving and deleting ask again, and the named actions of its list."""

    sensitive_actions: ClassVar[tuple[str, ...]] = ()

    @asks_again
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(*args, **kwargs)  # type: ignore[misc]

    @asks_again
    def delete_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().delete_view(*args, **kwargs)  # type: ignore[misc]

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *more: Any, **named: Any
    ) -> HttpResponse | None:
        # Where Django runs what was chosen, whatever road led there.
        if chosen_action(request) in ("delete_selected", *self.sensitive_actions):
            asked = question(request)
            if asked is not None:
                return asked
        response: HttpResponse | None = super().response_action(request, queryset, *more, **named)  # type: ignore[misc]
        return response


def chosen_action(request: HttpRequest) -> str:
    """Return the name of the list action that Django is going to run: of several posted, the one at `index`."""
    names = request.POST.getlist("action")
    try:
        index = int(request.POST.get("index", 0))
    except ValueError:
        index = 0
    try:
        return str(names[index])
    except IndexError:
        return str(names[-1]) if names else ""
