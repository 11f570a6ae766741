"""Ways in: who calls, what was last heard of them, the address to copy, and what they told."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import requests
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from bridge.admin.base import StaffAdmin, Tones
from bridge.admin.confirm import AsksAgain
from bridge.admin.logs import lead_link
from bridge.intakes import inbox, ways
from bridge.intakes.kinds import SOURCES
from bridge.models import Intake, IntakeCall, IntakeItem
from bridge.reasons import told

TEST_SECONDS = 5
# Our public address in this request; empty for whoever may not see the addresses, which are secrets.
_base: ContextVar[str] = ContextVar("base", default="")
# What each kind has to be told by whoever sets it up there.
WHERE = {
    Intake.Kind.EVOLUTION: _("Webhook of the instance, events MESSAGES_UPSERT, SEND_MESSAGE and MESSAGES_UPDATE"),
    Intake.Kind.WAHA: _("Webhook of the session, events message.any and message.ack"),
    Intake.Kind.ZAPI: _("Webhooks on receiving, on sending and on status, with “notify sent by me” switched on"),
    Intake.Kind.WHATSAPP_CLOUD: _("Webhooks of the app, fields messages and smb_message_echoes"),
    Intake.Kind.CHATWOOT: _("Settings, Integrations, Webhooks: message_created and message_updated"),
    Intake.Kind.CALCOM: _("Settings, Developer, Webhooks: bookings created, rescheduled, cancelled and no-show"),
    Intake.Kind.CALENDLY: _("Webhook subscription: invitee.created, invitee.canceled and invitee_no_show.created"),
}
KEYS = {
    "jwt_key": _("jwt_key of Evolution's webhook"),
    "hmac_key": _("HMAC key of WAHA's webhook"),
    "app_secret": _("App secret of Meta's app"),
    "verify_token": _("Verify token of your choice"),
    "secret": _("Secret of the webhook"),
}


class IntakeForm(forms.ModelForm):  # type: ignore[type-arg]
    """Keys are write-only: an empty field leaves the key as it is, a dash takes it away."""

    class Meta:
        model = Intake
        fields = ("kind", "slug", "pipeline", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = ways.settings_of(self.instance)
        for name, label in KEYS.items():
            is_set = _("is set; a dash takes it away") if name in self._kept else _("not set")
            self.fields[name] = forms.CharField(
                label=label, required=False, widget=forms.PasswordInput(), help_text=is_set, strip=True, max_length=500
            )
        if self.instance.pk and "kind" in self.fields:
            known = SOURCES[self.instance.kind].settings
            for name in KEYS.keys() - set(known):
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        known = SOURCES[said["kind"]].settings if said.get("kind") else tuple(KEYS)
        for name in KEYS:
            if said.get(name) and name not in known:
                self.add_error(name, _("This kind has no such key."))
        return said

    def wanted(self) -> dict[str, str]:
        """Return the keys as they are to be kept."""
        named = {name: self.cleaned_data.get(name, "") for name in KEYS}
        kept = self._kept | {name: value for name, value in named.items() if value}
        return {name: value for name, value in kept.items() if value != "-"}


@admin.register(Intake)
class IntakeAdmin(AsksAgain, StaffAdmin):
    list_display = ("slug", "kind", "whose", "state", "heard_at", "refused_at", "address")
    list_select_related = ("pipeline",)
    readonly_fields = ("where", "address", "heard_at", "refused_at")
    form = IntakeForm
    actions = ("test", "new_address")
    sensitive_actions = ("new_address",)

    def get_fields(self, request: HttpRequest, obj: Intake | None = None) -> Any:
        keys = SOURCES[obj.kind].settings if obj else tuple(KEYS)
        shown = ("where", "address", "heard_at", "refused_at") if obj else ()
        return ("kind", "slug", "pipeline", "is_active", *keys, *shown)

    def get_readonly_fields(self, request: HttpRequest, obj: Intake | None = None) -> Any:
        return ("kind", *self.readonly_fields) if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The keys are fields of the form alone.
        kwargs["fields"] = ("slug", "pipeline", "is_active") if obj else ("kind", "slug", "pipeline", "is_active")
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Intake, form: Any, change: bool) -> None:
        if not obj.secret:
            ways.set_secret(obj)
        ways.set_settings(obj, form.wanted())
        super().save_model(request, obj, form, change)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        _base.set(request.build_absolute_uri("/").rstrip("/") if self.has_change_permission(request) else "")
        return super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        _base.set(request.build_absolute_uri("/").rstrip("/") if self.has_change_permission(request) else "")
        return super().changeform_view(request, *args, **kwargs)

    @admin.display(description=_("pipeline"))
    def whose(self, intake: Intake) -> str:
        return str(intake.pipeline or _("the default one"))

    @display(
        description=_("state"),
        label=Tones({"off": "neutral", "refused": "danger", "silent": "warning", "heard": "success"}),
    )
    def state(self, intake: Intake) -> tuple[str, str]:
        if not intake.is_active:
            return "off", str(_("switched off"))
        if intake.refused_at and (intake.heard_at is None or intake.refused_at > intake.heard_at):
            return "refused", str(_("calls with a wrong signature"))
        if intake.heard_at is None:
            return "silent", str(_("nothing heard yet"))
        return "heard", str(_("hears"))

    @admin.display(description=_("address to copy"))
    def address(self, intake: Intake) -> SafeString | str:
        if not (base := _base.get()):
            return str(_("for admins"))
        return format_html('<code class="select-all">{}{}</code>', base, ways.path_of(intake))

    @admin.display(description=_("where to paste it"))
    def where(self, intake: Intake) -> str:
        return str(WHERE[Intake.Kind(intake.kind)])

    @admin.action(description=_("Test the address"), permissions=["change"])
    def test(self, request: HttpRequest, rows: QuerySet[Intake]) -> None:
        """Call each address as the other side would reach it; nothing is told by that."""
        for intake in rows:
            url = request.build_absolute_uri(ways.path_of(intake))
            try:
                answer = requests.head(url, timeout=TEST_SECONDS, allow_redirects=False)
                works, said = answer.status_code == 200, str(answer.status_code)
            except requests.RequestException as error:
                works, said = False, type(error).__name__
            if works:
                text, level = _("%(name)s: the address answers."), messages.SUCCESS
            else:
                text = _("%(name)s: the address does not answer (%(said)s). Is it the one the internet reaches?")
                level = messages.ERROR
            self.message_user(request, text % {"name": intake.slug, "said": said}, level)

    @admin.action(description=_("Make a new address; the old one ends"), permissions=["change"])
    def new_address(self, request: HttpRequest, rows: QuerySet[Intake]) -> None:
        for intake in rows:
            ways.set_secret(intake)
            intake.save(update_fields=["secret", "secret_hash"])
        text = _("%(count)d new address(es): paste them where the old ones were.")
        self.message_user(request, text % {"count": len(rows)})


@admin.register(IntakeCall)
class IntakeCallAdmin(StaffAdmin):
    list_display = ("received_at", "intake", "state_badge", "what_it_told", "fault")
    list_filter = ("state", "intake")
    list_select_related = ("intake",)
    fields = (("received_at", "intake", "state", "processed_at"), "what_it_told", "fault", "body_as_text")
    readonly_fields = ("what_it_told", "fault", "body_as_text", "received_at", "intake", "state", "processed_at")
    actions = ("read_again",)
    ordering = ("-received_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[IntakeCall]:
        rows: QuerySet[IntakeCall] = super().get_queryset(request).prefetch_related("items__lead")
        return rows

    @display(
        description=_("state"),
        label=Tones(
            {
                IntakeCall.State.RECEIVED: "info",
                IntakeCall.State.PROCESSED: "success",
                IntakeCall.State.FAILED: "danger",
            }
        ),
    )
    def state_badge(self, call: IntakeCall) -> tuple[str, str]:
        return call.state, str(call.get_state_display())

    @admin.display(description=_("what it told"))
    def what_it_told(self, call: IntakeCall) -> SafeString:
        return format_html_join(", ", "{}: {} {}", (self._told(item) for item in call.items.all()))

    def _told(self, item: IntakeItem) -> tuple[str, str, SafeString | str]:
        who = lead_link(item.lead) if item.lead else f"({told(item.reason)})" if item.reason else ""
        return item.what, str(item.get_result_display()), who

    @admin.display(description=_("error"))
    def fault(self, call: IntakeCall) -> str:
        return told(call.error)

    @admin.display(description=_("body"))
    def body_as_text(self, call: IntakeCall) -> SafeString:
        said = bytes(call.body).decode(errors="replace")[:20_000]
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', said)

    @admin.action(description=_("Read again"), permissions=["operate"])
    def read_again(self, request: HttpRequest, rows: QuerySet[IntakeCall]) -> None:
        done = inbox.reprocess(rows, now=timezone.now())
        self.message_user(request, _("%(count)d call(s) will be read again.") % {"count": done})
