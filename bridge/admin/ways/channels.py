"""Ways out: made by choosing by what messages leave, each on a page of its own with its state and its messages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bridge.admin import audit_record
from bridge.admin.base import StaffAdmin
from bridge.admin.confirm import AsksAgain, asks_again
from bridge.admin.ways import both_ways_page, intake_standing
from bridge.channels import managing_channels, metered_messages, testing_channels
from bridge.channels.channel_kinds import PLAIN, WAYS
from bridge.errors import ConfigurationError
from bridge.models import Channel, Outgoing

MESSAGES_SHOWN = 15
LABELS = {
    "url": gettext_lazy("Address of the server"),
    "instance": gettext_lazy("Instance or session"),
    "api_key": gettext_lazy("Key"),
    "client_token": gettext_lazy("Client-Token of the account"),
    "token": gettext_lazy("Token"),
    "phone_number_id": gettext_lazy("Phone number id"),
    "account_id": gettext_lazy("Account id"),
    "bot_id": gettext_lazy("Bot id"),
    "field": gettext_lazy("Field of the lead that the bot reads out"),
}


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Secrets are write-only: an empty field leaves one as it is, a dash takes it away."""

    class Meta:
        model = Channel
        fields = ("slug", "pipeline", "position", "is_active")
        widgets = {
            "slug": UnfoldAdminTextInputWidget,
            "pipeline": UnfoldAdminSelectWidget,
            "position": UnfoldAdminTextInputWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = managing_channels.settings_of(self.instance)
        way = WAYS[self.instance.kind]
        if self.instance.pk is None:
            del self.fields["position"], self.fields["is_active"]
            self.initial["slug"] = self.instance.kind.replace("_", "-")
        else:
            # Messages name it, and so do pipelines.
            del self.fields["slug"]
        for name in way.settings:
            is_plain = name in PLAIN
            about = "" if is_plain or name not in self._kept else _("is set; a dash takes it away")
            self.fields[name] = forms.CharField(
                label=LABELS[name],
                help_text=about,
                initial=self._kept.get(name, "") if is_plain else "",
                required=name in way.needs and name not in self._kept,
                max_length=500,
                widget=(UnfoldAdminTextInputWidget if is_plain else UnfoldAdminPasswordWidget)(
                    attrs={"autocomplete": "off", "spellcheck": "false"}
                ),
            )

    def wanted(self) -> dict[str, str]:
        """Return what is to be changed of the settings."""
        way = WAYS[self.instance.kind]
        values = {name: self.cleaned_data.get(name, "").strip() for name in way.settings}
        return {name: "" if value == "-" else value for name, value in values.items() if value or name in PLAIN}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        url = cleaned.get("url", "").strip()
        if url and url != self._kept.get("url"):
            try:
                managing_channels.check_url(url, by_staff=True)
            except ConfigurationError as error:
                self.add_error("url", str(error))
            # A key that no page shows is not shown by sending it to another server either.
            kept = [name for name in WAYS[self.instance.kind].settings if name not in PLAIN and name in self._kept]
            for name in kept:
                if not cleaned.get(name, "").strip():
                    self.add_error(name, _("Another server: type the key once more."))
        return cleaned


@admin.register(Channel)
class ChannelAdmin(AsksAgain, StaffAdmin):
    def get_urls(self) -> list[URLPattern]:
        def guarded(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("<int:pk>/way/", guarded(self.way), name="bridge_channel_way"),
            path("<int:pk>/do/<slug:do>/", require_POST(guarded(self.act)), name="bridge_channel_do"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(request, "list", title=_("Ways in and out"), halves=both_ways_page.halves(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its messages tell by which way they left; one that is not wanted is switched off.
        return False

    @method_decorator(sensitive_post_parameters())
    @method_decorator(never_cache)
    @asks_again
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        kind = request.GET.get("kind", "")
        if kind not in WAYS:
            kinds = [(choice.value, choice.label, both_ways_page.picture_of(choice.value)) for choice in Channel.Kind]
            return self._page(request, "choose_out", title=_("By what do messages leave?"), kinds=kinds)
        return self._form(request, Channel(kind=kind))

    @method_decorator(sensitive_post_parameters())
    @method_decorator(never_cache)
    @asks_again
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        channel = get_object_or_404(Channel, pk=object_id)
        if not self.has_change_permission(request, channel):
            return self.way(request, channel.pk)
        return self._form(request, channel)

    def _form(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        is_new = channel.pk is None
        form = ChannelForm(request.POST if request.method == "POST" else None, instance=channel)
        if request.method == "POST" and form.is_valid():
            try:
                saved = self._save(form)
            except ConfigurationError as error:
                form.add_error(None, str(error))
            else:
                testing_channels.prepare(saved)
                audit_record.note(request, "Made a way out" if is_new else "Changed a way out", rows=[saved])
                return redirect("admin:bridge_channel_way", saved.pk)
        title = str(channel.get_kind_display())
        return self._page(
            request, "make_out", title=title, form=form, way=channel, picture=both_ways_page.picture_of(channel.kind)
        )

    @transaction.atomic
    def _save(self, form: ChannelForm) -> Channel:
        cleaned, channel = form.cleaned_data, form.instance
        slug = cleaned.get("slug") or channel.slug
        found = managing_channels.establish(
            channel.kind, slug, pipeline=cleaned["pipeline"], settings=form.wanted(), by_staff=True
        )
        if channel.pk is not None:
            found.pipeline, found.position, found.is_active = (
                cleaned["pipeline"],
                cleaned["position"],
                cleaned["is_active"],
            )
            found.save(update_fields=["pipeline", "position", "is_active"])
        return found

    @method_decorator(never_cache)
    def way(self, request: HttpRequest, pk: int) -> HttpResponse:
        channel = self._find(request, pk)
        settings = managing_channels.settings_of(channel)
        sent = Outgoing.objects.filter(channel=channel).select_related("message", "lead").order_by("-created_at")
        return self._page(
            request,
            "one_out",
            title=channel.slug,
            way=channel,
            picture=both_ways_page.picture_of(channel.kind),
            standing=intake_standing.of_channel(channel, timezone.now()),
            settings=[
                (LABELS[name], settings[name])
                for name in WAYS[channel.kind].settings
                if name in settings and name in PLAIN
            ],
            count=metered_messages.this_month(channel, timezone.now()),
            messages_shown=sent[:MESSAGES_SHOWN],
            may_change=self.has_change_permission(request, channel),
        )

    def act(self, request: HttpRequest, pk: int, do: str) -> HttpResponse:
        channel = self._find(request, pk)
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        if do == "test":
            if trouble := testing_channels.trouble(channel):
                messages.error(request, _("It does not work: %(said)s") % {"said": trouble})
            else:
                messages.success(request, _("It answers as it should. Nothing was said to anybody."))
        elif do in ("on", "off"):
            channel.is_active = do == "on"
            channel.save(update_fields=["is_active"])
            audit_record.note(request, f"Switched a way out {do}", rows=[channel])
            messages.success(request, _("Switched on.") if channel.is_active else _("Switched off."))
        else:
            raise Http404
        return redirect("admin:bridge_channel_way", pk)

    def _find(self, request: HttpRequest, pk: int) -> Channel:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Channel.objects.select_related("pipeline"), pk=pk)

    def _page(self, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return render(request, f"admin/ways/{name}.html", shared | context)
