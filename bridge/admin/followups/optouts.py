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
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from bridge.admin import moments_shown
from bridge.admin.base import ReadOnlyAdmin, safe
from bridge.reasons import in_words
from common.reasons import Reason
from leads import optout
from leads.models import Lead, OptOut, Pipeline
from leads.phone import Phone, PhoneError, parse


class PhoneForm(forms.Form):
    """A person by their number, whatever way it is written, whether or not anybody is known by it yet."""

    phone = forms.CharField(label=_("phone"), max_length=40, widget=UnfoldAdminTextInputWidget())

    def clean_phone(self) -> Phone:
        pipeline = Pipeline.objects.order_by("-is_default").first()
        try:
            return parse(self.cleaned_data["phone"], region=pipeline.phone_region if pipeline else "BR")
        except PhoneError as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(OptOut)
class OptOutAdmin(ReadOnlyAdmin):
    nothing_here = _("Nobody has opted out.")
    list_display = ("who", "since", "by", "reason_in_words")
    search_fields = ("phone_key", "lead_name")
    search_help_text = _("Phone or name")
    ordering = ("-opted_out_at", "pk")
    actions = ("take_back",)
    actions_list = ("add_person",)
    fields = ("who", "opted_out_at", "by", "reason_in_words")
    readonly_fields = fields
    export_columns = ("opted_out_at", "phone_key", "by", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptOut]:
        rows: QuerySet[OptOut] = super().get_queryset(request)
        theirs = Lead.objects.filter(phone_key=OuterRef("phone_key")).exclude(name="").order_by("-updated_at")
        return rows.annotate(lead_name=Subquery(theirs.values("name")[:1]))

    @display(description=_("person"), ordering="phone_key", header=True)
    def who(self, row: Any) -> tuple[str, str]:
        return (row.lead_name, row.phone_key) if row.lead_name else (str(row), "")

    @admin.display(description=_("opted out at"), ordering="opted_out_at")
    def since(self, row: OptOut) -> SafeString:
        return moments_shown.cell(row.opted_out_at)

    @admin.display(description=_("reason"))
    def reason_in_words(self, row: OptOut) -> str:
        return in_words(row.reason) or "–"

    @admin.action(description=_("Take the opt-out back: the person asked for it, or it was a mistake"))
    def take_back(self, request: HttpRequest, rows: QuerySet[OptOut]) -> None:
        reason = Reason("opt_out_taken_back_by", a=request.user.get_username())
        now = timezone.now()
        known = [row.phone_key for row in rows if row.phone_key]
        done = sum(optout.take_back_number(phone_key, reason=reason, now=now) for phone_key in known)
        self.message_user(
            request,
            ngettext("%(count)d opt-out taken back.", "%(count)d opt-outs taken back.", done) % {"count": done},
            messages.SUCCESS,
        )
        if len(known) < len(rows):
            text = _("Nobody knows who was erased: the opt-out can be taken back when the person writes again.")
            self.message_user(request, text, messages.WARNING)

    @safe
    @action(description=_("Opt somebody out"), icon="do_not_disturb_on")
    def add_person(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:leads_optout_person")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.person_view)
        return [path("person/", view, name="leads_optout_person"), *super().get_urls()]

    def person_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the number of somebody who wants no more follow-ups."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = PhoneForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason, now = Reason("opted_out_by", a=request.user.get_username()), timezone.now()
            done = optout.opt_out_number(form.cleaned_data["phone"], by=Lead.Actor.STAFF, reason=reason, now=now)
            text = _("Opted out: no follow-up ever again.") if done else _("This person had opted out already.")
            self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
            return redirect("admin:leads_optout_changelist")
        context = {**self.admin_site.each_context(request), "title": _("Opt somebody out"), "form": form}
        return TemplateResponse(request, "admin/followups/person.html", context)
