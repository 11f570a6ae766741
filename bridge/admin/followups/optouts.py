"""Who wants no more follow-ups: since when, who said so, and taking it back where it was a mistake."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from bridge.admin.base import ReadOnlyAdmin
from bridge.reasons import told
from followups.models import OptOut
from leads import optout
from leads.models import Event, Lead, Pipeline
from leads.phone import PhoneError, parse


class PhoneForm(forms.Form):
    """A person by their number, whatever way it is written."""

    phone = forms.CharField(label=_("phone"), max_length=40, widget=UnfoldAdminTextInputWidget())

    def clean_phone(self) -> QuerySet[Lead]:
        pipeline = Pipeline.objects.order_by("-is_default").first()
        try:
            phone = parse(self.cleaned_data["phone"], region=pipeline.phone_region if pipeline else "BR")
        except PhoneError as error:
            raise forms.ValidationError(str(error)) from error
        leads = Lead.objects.filter(phone_key=phone.key)
        if not leads:
            raise forms.ValidationError(_("Nobody with this number is known."))
        return leads


@admin.register(OptOut)
class OptOutAdmin(ReadOnlyAdmin):
    list_display = ("who", "opted_out_at", "said_by", "said")
    search_fields = ("phone", "name")
    search_help_text = _("Phone or name")
    ordering = ("-opted_out_at", "pk")
    actions = ("take_back",)
    actions_list = ("add_person",)
    fields = ("who", "opted_out_at", "said_by", "said")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptOut]:
        rows: QuerySet[OptOut] = super().get_queryset(request)
        said = Event.objects.filter(lead=OuterRef("pk"), kind=Event.Kind.OPTED_OUT).order_by("-at", "-id")
        return rows.annotate(
            said_reason=Subquery(said.values("reason")[:1]), said_actor=Subquery(said.values("actor")[:1])
        )

    @display(description=_("person"), ordering="name", header=True)
    def who(self, lead: OptOut) -> tuple[str, str]:
        return str(lead), lead.phone or ""

    @admin.display(description=_("said by"))
    def said_by(self, lead: Any) -> str:
        return str(dict(Lead.Actor.choices).get(lead.said_actor, "–"))

    @admin.display(description=_("reason"))
    def said(self, lead: Any) -> str:
        return told(lead.said_reason or "") or "–"

    @admin.action(description=_("Take the opt-out back: the person asked for it, or it was a mistake"))
    def take_back(self, request: HttpRequest, leads: QuerySet[OptOut]) -> None:
        who, now = request.user.get_username(), timezone.now()
        done = sum(optout.take_back(lead, reason=f"taken back by {who}", now=now) for lead in leads)
        self.message_user(request, _("%(count)d opt-out(s) taken back.") % {"count": done}, messages.SUCCESS)

    @action(description=_("Opt somebody out"), icon="do_not_disturb_on")
    def add_person(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:followups_optout_person")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.person_view)
        return [path("person/", view, name="followups_optout_person"), *super().get_urls()]

    def person_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the number of somebody who wants no more follow-ups."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = PhoneForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason, now = f"opted out by {request.user.get_username()}", timezone.now()
            done = [
                optout.opt_out(lead, by=Lead.Actor.STAFF, reason=reason, now=now) for lead in form.cleaned_data["phone"]
            ]
            text = _("Opted out: no follow-up ever again.") if any(done) else _("This person had opted out already.")
            self.message_user(request, text, messages.SUCCESS if any(done) else messages.WARNING)
            return redirect("admin:followups_optout_changelist")
        context = {**self.admin_site.each_context(request), "title": _("Opt somebody out"), "form": form}
        return TemplateResponse(request, "admin/followups/person.html", context)
