"""What pages of rows about leads share: found by their lead, however it is called, and with a link to it."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from bridge.admin.paging import LogAdmin
from bridge.selectors import finding_leads

FIND_A_LEAD = _("Name, phone, e-mail, or the lead's number in Kommo")


def pretty(value: Any) -> SafeString:
    """Return a stored value as a person reads it: indented, in its own order, and escaped."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return format_html('<div class="kb-page"><pre class="kb-raw" tabindex="0">{}</pre></div>', text)


def lead_link(lead: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:leads_lead_change", args=[lead.pk]), lead)


class AboutLeads(LogAdmin):
    """A log whose rows are found by their lead, however it is called; `lead_path` leads from a row to its lead."""

    lead_path = "card__lead"
    # Only so that the box is there; `get_search_results` finds.
    search_fields = ("pk",)
    search_help_text = FIND_A_LEAD
    list_filter_submit = True

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(**{f"{self.lead_path}__in": finding_leads.ids(search_term)}), False
