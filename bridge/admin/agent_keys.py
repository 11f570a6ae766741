"""Keys of agents: named, revocable, shown once when they are made."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from bridge.admin.base import StaffAdmin
from bridge.admin.confirm import AsksAgain
from bridge.api import api_keys
from bridge.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(AsksAgain, StaffAdmin):
    nothing_here = _("Nobody has a key yet.")
    list_display = ("name", "prefix", "pipeline", "may_act", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("pipeline",)
    fields = ("name", "pipeline", "may_act")
    actions = ("revoke",)
    sensitive_actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        key = api_keys.issue(obj)
        text = _("The key is shown this once; keep it now: %(key)s") % {"key": key}
        self.message_user(request, text, messages.WARNING)

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        done = rows.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(
            request, ngettext("%(count)d key revoked.", "%(count)d keys revoked.", done) % {"count": done}
        )
