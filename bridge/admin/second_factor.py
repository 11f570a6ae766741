"""A person's own page for the second factor, and the login that asks for its code."""

from __future__ import annotations

from typing import Any, cast

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from bridge import second_factor
from bridge.admin import record
from bridge.admin.confirm import asks_again

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
        record.note(request, "Gave up the second factor", rows=[user])
        messages.success(request, _("From now on your password alone opens this."))
        return redirect("second-factor")
    if codes:
        record.note(request, f"Second factor: {do}", rows=[user])
    factor = second_factor.of(user)
    setting_up = begun if factor is None else None
    context = {
        **admin.site.each_context(request),
        "title": _("Second factor"),
        "factor": factor,
        "codes": codes,
        "left": len(factor.recovery_hashes) if factor else 0,
        "begun": setting_up,
        "qr": segno.make(second_factor.address(setting_up)).svg_data_uri(scale=5, light="white") if setting_up else "",
        "secret": " ".join(setting_up.key[at : at + 4] for at in range(0, 32, 4)) if setting_up else "",
    }
    answer = render(request, "admin/second_factor.html", context)
    add_never_cache_headers(answer)
    return answer
