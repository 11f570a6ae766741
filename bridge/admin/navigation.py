"""The sidebar: what happens, the rules, what is stuck, and the machinery."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from bridge.roles import ADVANCED

SECTIONS: tuple[tuple[Any, tuple[tuple[Any, str, str], ...]], ...] = (
    (
        _("Today"),
        (
            (_("Overview"), "dashboard", "index"),
            (_("Results"), "insights", "results-page"),
            (_("Leads"), "group", "leads_lead_changelist"),
        ),
    ),
    (
        _("Follow-ups"),
        (
            (_("Up next"), "schedule_send", "followups_enrollment_changelist"),
            (_("Messages"), "chat", "followups_attempt_changelist"),
            (_("Opt-outs"), "do_not_disturb_on", "leads_optout_changelist"),
        ),
    ),
    (
        _("Rules"),
        ((_("Rules"), "menu_book", "admin:rules"),),
    ),
    (
        _("Kommo"),
        (
            (_("Set up"), "rocket_launch", "setup"),
            (_("Accounts"), "link", "bridge_account_changelist"),
            (_("Cards"), "style", "bridge_card_changelist"),
            (_("Deliveries"), "send", "bridge_delivery_changelist"),
            (_("Webhooks"), "webhook", "bridge_webhookevent_changelist"),
            (_("Differences"), "difference", "bridge_drift_changelist"),
            (_("Erasures in Kommo"), "person_off", "bridge_forgetting_changelist"),
        ),
    ),
    (
        _("Agent"),
        (
            (_("Ways in and out"), "input", "bridge_intake_changelist"),
            (_("Calls received"), "inbox", "bridge_intakecall_changelist"),
            (_("Messages on their way"), "send", "bridge_outgoing_changelist"),
            (_("Keys"), "key", "bridge_apikey_changelist"),
            (_("Sent to the agent"), "campaign", "bridge_agentevent_changelist"),
        ),
    ),
    (
        _("System"),
        (
            (_("Health"), "monitor_heart", "health"),
            (_("Alerts"), "notifications", "bridge_alert_changelist"),
            (_("Users"), "person", "auth_user_changelist"),
            (_("Groups"), "badge", "auth_group_changelist"),
            (_("Who did what"), "history", "admin_logentry_changelist"),
            (_("Failed jobs"), "error", "django_q_failure_changelist"),
            (_("Queue"), "pending_actions", "django_q_ormq_changelist"),
            (_("Advanced"), "table_rows", "advanced"),
        ),
    ),
)

# Pages of our own, and who sees them; all others are lists of the admin, for those who may view their rows.
PAGES = {
    "results-page": "leads.view_lead",
    "setup": "bridge.add_account",
    "health": "bridge.view_account",
    "admin:rules": "leads.view_pipeline",
    "advanced": ADVANCED,
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sections with the pages this person may open; a section without any is left out."""
    sections = []
    for title, items in SECTIONS:
        shown = [
            {"title": label, "icon": icon, "link": reverse(name if name in PAGES else f"admin:{name}")}
            | _marked(request, name)
            for label, icon, name in items
            if _may_see(request, name)
        ]
        if shown:
            sections.append({"title": title, "items": shown})
    return sections


def _marked(request: HttpRequest, name: str) -> dict[str, Any]:
    """Say which of two links is meant where one address begins like the other's."""
    is_rules = "/pipeline/" in request.path and "/rules/" in request.path
    return {"active": is_rules} if name == "admin:rules" else {"active": False} if is_rules else {}


def _may_see(request: HttpRequest, name: str) -> bool:
    if name == "index":
        return True
    if name in PAGES:
        return bool(request.user.has_perm(PAGES[name]))
    app, model = name.removesuffix("_changelist").rsplit("_", 1)
    return bool(request.user.has_perm(f"{app}.view_{model}"))
