"""Ways in: made by choosing who tells, each on a page of its own with its address, its state and what it heard."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from bridge.admin import audit_record
from bridge.admin.base import StaffAdmin
from bridge.admin.confirm import AsksAgain, asks_again, question
from bridge.admin.ways import both_ways_page, intake_addresses, intake_standing
from bridge.admin.ways.intake_forms import NewForm, SettingsForm
from bridge.admin.ways.intake_guides import GUIDES, Guide
from bridge.intakes import managing_intakes
from bridge.models import Intake, IntakeCall

CALLS_SHOWN = 8
# Where somebody came from who makes a way in, to be led back there.
FROM = "from"


@admin.register(Intake)
class IntakeAdmin(AsksAgain, StaffAdmin):
    form = SettingsForm
    readonly_fields = ("kind",)

    def get_urls(self) -> list[URLPattern]:
        def guarded(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("<int:pk>/way/", guarded(self.way), name="bridge_intake_way"),
            path("<int:pk>/state/", guarded(self.state), name="bridge_intake_state"),
            path("<int:pk>/do/<slug:do>/", require_POST(guarded(self.act)), name="bridge_intake_do"),
            *super().get_urls(),
        ]

    # --- All of them

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = {"title": _("Ways in and out"), "halves": both_ways_page.halves(request)}
        return self._page(request, "list", opts=None, **page)

    # --- One more

    @method_decorator(sensitive_post_parameters())
    @method_decorator(never_cache)
    @asks_again
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask who tells, then make the way in; its page then shows the keys, this once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        guide = GUIDES.get(request.GET.get("kind", ""))
        if guide is None:
            return self._page(request, "choose", title=_("Who tells?"), guides=GUIDES.values())
        form = NewForm(request.POST if request.method == "POST" else None, guide=guide)
        if request.method == "POST" and form.is_valid():
            intake = form.save(commit=False)
            managing_intakes.set_secret(intake)
            managing_intakes.set_settings(intake, form.keys)
            intake.save()
            audit_record.note(request, "Made a way in", rows=[intake])
            return self._one(request, intake, keys=form.keys)
        return self._page(request, "make", title=guide.name, guide=guide, form=form)

    # --- One of them

    @method_decorator(never_cache)
    def way(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._one(request, self._find(request, pk), keys={})

    def state(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Answer the part of the page that changes by itself."""
        return render(request, "admin/ways/state.html", self._state(self._find(request, pk)))

    def act(self, request: HttpRequest, pk: int, do: str) -> HttpResponse:
        intake = self._find(request, pk)
        if not self.has_change_permission(request, intake):
            raise PermissionDenied
        if do == "test":
            self._test(request, intake)
        elif do == "new-address":
            if (asked := question(request)) is not None:
                return asked
            managing_intakes.set_secret(intake)
            intake.save(update_fields=["secret", "secret_hash"])
            audit_record.note(request, "Made a new address of a way in", rows=[intake])
            messages.success(request, _("A new address: paste it where the old one was, which has ended."))
        elif do in ("on", "off"):
            intake.is_active = do == "on"
            intake.save(update_fields=["is_active"])
            audit_record.note(request, f"Switched a way in {do}", rows=[intake])
            messages.success(request, _("Switched on.") if intake.is_active else _("Switched off."))
        else:
            raise Http404
        return redirect("admin:bridge_intake_way", pk)

    def _find(self, request: HttpRequest, pk: int) -> Intake:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Intake.objects.select_related("pipeline"), pk=pk)

    def _one(self, request: HttpRequest, intake: Intake, *, keys: dict[str, str]) -> HttpResponse:
        """Show a way in. The address is a secret too: whoever may not change it does not see it."""
        guide: Guide = GUIDES[intake.kind]
        may_change = self.has_change_permission(request, intake)
        address = intake_addresses.of(intake, request) if may_change else ""
        return self._page(
            request,
            "one",
            title=intake.slug,
            guide=guide,
            address=address,
            snippet=guide.filled(address, keys) if address and guide.snippet else "",
            keys=[(guide.keys[name].label, name, value) for name, value in keys.items() if value],
            is_made=bool(keys) or request.method == "POST",
            from_setup=request.GET.get(FROM) == "setup",
            **self._state(intake),
        )

    def _state(self, intake: Intake) -> dict[str, Any]:
        calls = IntakeCall.objects.filter(intake=intake).order_by("-received_at").prefetch_related("items__lead")
        return {
            "way": intake,
            "standing": intake_standing.of(intake),
            "calls": [
                (call, [(item, both_ways_page.what(item.what)) for item in call.items.all()])
                for call in calls.defer("body")[:CALLS_SHOWN]
            ],
        }

    def _test(self, request: HttpRequest, intake: Intake) -> None:
        if trouble := intake_addresses.trouble(intake_addresses.of(intake, request), request):
            text = _("The address does not answer (%(said)s). Is it the one that the internet reaches?")
            messages.error(request, text % {"said": trouble})
        else:
            messages.success(request, _("The address answers."))

    # --- Its settings

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        intake = get_object_or_404(Intake, pk=object_id)
        if not self.has_change_permission(request, intake):
            # A page of Django's that only shows would read a key's name, such as “secret”, from the row: its address.
            return self.way(request, intake.pk)
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return answer

    def get_fields(self, request: HttpRequest, obj: Intake | None = None) -> Any:
        return ("kind", "slug", "pipeline", "is_active", *(GUIDES[obj.kind].keys if obj else ()))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The keys are fields of the form alone.
        return super().get_form(request, obj, change, **kwargs | {"fields": SettingsForm.Meta.fields})

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Intake, form: Any, change: bool) -> None:
        managing_intakes.set_settings(obj, form.wanted())
        super().save_model(request, obj, form, change)

    def response_post_save_change(self, request: HttpRequest, obj: Intake) -> HttpResponse:
        return redirect("admin:bridge_intake_way", obj.pk)

    def _page(self, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return render(request, f"admin/ways/{name}.html", shared | context)
