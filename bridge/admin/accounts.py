"""Kommo accounts: how to reach them, whether to, and their secrets, which are written and never shown."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget

from bridge import oauth
from bridge.accounts import account_state, leaving_shadow
from bridge.admin.base import StaffAdmin
from bridge.admin.confirm import AsksAgain, asks_again
from bridge.cards import nudge
from bridge.configuration.account_addresses import given_by_staff
from bridge.configuration.account_from_environment import begin_as_told
from bridge.errors import ConfigurationError
from bridge.models import Account, AccountPipeline
from bridge.reasons import in_words
from common.reasons import Reason


class SecretInput(UnfoldAdminPasswordWidget):
    """A field one can write and never read: what is stored does not reach the page."""

    def __init__(self) -> None:
        super().__init__(render_value=False, attrs={"autocomplete": "off"})


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    SECRETS = frozenset({"access_token", "client_secret"})

    class Meta:
        model = Account
        fields = (
            "name",
            "base_url",
            "access_token",
            "client_id",
            "client_secret",
            "redirect_uri",
            "requests_per_second",
            "batch_size",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.SECRETS & self.fields.keys():
            self.fields[name].widget = SecretInput()
            self.fields[name].required = False
            self.fields[name].help_text = _("Leave empty to keep what is stored.")
            self.initial.pop(name, None)

    def clean_base_url(self) -> str:
        """Refuse every host that is not Kommo's: the bridge sends a token there, and reads what comes back."""
        try:
            return given_by_staff(self.cleaned_data["base_url"])
        except ConfigurationError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name in self.SECRETS & self.fields.keys():
            # An empty box means "as it was"; the stored secret was never on the page.
            if not cleaned.get(name):
                cleaned[name] = getattr(Account.objects.filter(pk=self.instance.pk).first(), name, "")
        return cleaned


class AccountPipelineForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = AccountPipeline
        fields = ("pipeline",)
        labels = MappingProxyType({"pipeline": _("pipeline")})


class AccountPipelineInline(TabularInline):
    model = AccountPipeline
    form = AccountPipelineForm
    extra = 0


@admin.register(Account)
class AccountAdmin(AsksAgain, StaffAdmin):
    form = AccountForm
    list_display = ("name", "base_url", "state_badge", "why", "token_expires_at", "webhook_heard_at")
    inlines = (AccountPipelineInline,)
    actions = ("pause", "resume", "shadow", "unshadow")
    # From here on everything is written to Kommo, and people are written to.
    sensitive_actions = ("shadow", "unshadow")
    actions_detail = ("connect_kommo",)
    readonly_fields = (
        "kommo_account_id",
        "state",
        "why",
        "paused_by",
        "paused_until",
        "shadow_since",
        "token_expires_at",
        "retry_at",
    )

    @action(description=_("Connect Kommo"), icon="link", permissions=["change"])
    @asks_again
    def connect_kommo(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return oauth.begin(request, object_id)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        """Save; a new way to Kommo is tried at once where Kommo had refused the old one."""
        if not change:
            begin_as_told(obj)
        super().save_model(request, obj, form, change)
        if {"access_token", "client_secret", "base_url"} & set(form.changed_data):
            account_state.reopen(obj, now=timezone.now())
            nudge.send(obj.pk)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = (*AccountForm.Meta.fields, *self.readonly_fields)
        if self.has_change_permission(request, obj):
            return fields
        # A page that only shows would show them in clear.
        return tuple(name for name in fields if name not in AccountForm.SECRETS)

    @display(
        description=_("state"),
        label={
            Account.State.ACTIVE.label: "success",
            Account.State.SHADOW.label: "info",
            Account.State.PAUSED.label: "danger",
        },
    )
    def state_badge(self, account: Account) -> str:
        return str(account.get_state_display())

    @admin.display(description=_("reason"))
    def why(self, account: Account) -> str:
        return in_words(account.state_reason)

    @admin.action(description=_("Pause deliveries"), permissions=["manage"])
    def pause(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        for account in accounts:
            by = Account.PausedBy.PERSON
            account_state.pause(account, reason=Reason("paused_by", a=request.user), now=timezone.now(), by=by)

    @admin.action(description=_("Resume deliveries"), permissions=["manage"])
    def resume(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        for account in accounts:
            account_state.resume(account, now=timezone.now())
            nudge.send(account.pk)

    @admin.action(description=_("Only show what would be sent (shadow)"), permissions=["change"])
    def shadow(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        for account in accounts:
            account_state.enter_shadow(account, now=timezone.now())

    @admin.action(description=_("Leave shadow: send from now on"), permissions=["change"])
    def unshadow(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        for account in accounts:
            leaving_shadow.leave(account, now=timezone.now())
