"""Logging in to the admin: name and password, then the code of those who have a second factor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.signals import user_login_failed
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from bridge import second_factor
from bridge.admin import login_limits

CODE_INPUT = {"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}


class LoginForm(AuthenticationForm):
    """Name and password, then the code of those who have a second factor; a wrong one counts like a wrong password."""

    code = forms.CharField(
        label=gettext_lazy("Code of your app, or a recovery code"),
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget(attrs={**CODE_INPUT, "form": "login-form"}),
    )
    asks_for_code = False

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        # Django means this bound for browsers alone. Nobody's name is longer, and no table of failed logins takes it.
        if len(name) > getattr(self.fields["username"], "max_length", 150):
            raise self.get_invalid_login_error()
        return name

    def clean(self) -> dict[str, Any]:
        # Before the password is looked at: each look costs half a second of a processor, also for names nobody has.
        if login_limits.is_exceeded(self.request):
            text = _("Too many attempts from your address. Wait a minute and try again.")
            raise forms.ValidationError(text, code="too_many")
        cleaned: dict[str, Any] = super().clean()
        return cleaned

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if second_factor.of(user) is None:
            return
        code = self.cleaned_data.get("code", "")
        if code and second_factor.is_right(user, code):
            return
        self.asks_for_code = True
        # The password waits in the page for the code, as what is typed here always does.
        self.fields["password"].widget.render_value = True
        if not code:
            raise forms.ValidationError(_("Give the code that your app shows now."), code="code_needed")
        credentials = {"username": user.get_username()}
        user_login_failed.send(sender=type(self).__module__, credentials=credentials, request=self.request)
        raise forms.ValidationError(
            _("This code is not right, or was used already. Wait for the next one and try again."), code="code_wrong"
        )
