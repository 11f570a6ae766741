"""The sidebar: what a seller works with first, then the manager's rules, then the machinery for administrators."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from bridge.roles import ADVANCED, EXPORT

# The rest of what a role may open has an address and a place on the page it belongs to; a sidebar is for every day.
EVERYBODY, MANAGERS, ADMINISTRATORS = "", EXPORT, ADVANCED
Item = tuple[Any, str, str]
SECTIONS: tuple[tuple[Any, str, tuple[Item, ...]], ...] = (
    (
        _("Today"),
        EVERYBODY,
        (
            (_("Overview"), "dashboard", "index"),
            (_("Results"), "insights", "results-page"),
            (_("Leads"), "group", "leads_lead_changelist"),
        ),
    ),
    (
        _("Follow-ups"),
        EVERYBODY,
        (
            (_("Up next"), "schedule_send", "followups_enrollment_changelist"),
            (_("Messages sent"), "chat", "followups_attempt_changelist"),
            (_("Opt-outs"), "do_not_disturb_on", "leads_optout_changelist"),
        ),
    ),
    (
        _("Manager"),
        MANAGERS,
        (
            (_("Rules"), "menu_book", "admin:rules"),
            (_("Differences"), "difference", "bridge_drift_changelist"),
            (_("Health"), "monitor_heart", "health"),
        ),
    ),
    (
        _("Kommo"),
        ADMINISTRATORS,
        (
            (_("Set up"), "rocket_launch", "setup"),
            (_("Accounts"), "link", "bridge_account_changelist"),
            (_("Cards"), "style", "bridge_card_changelist"),
            (_("Deliveries"), "send", "bridge_delivery_changelist"),
            (_("Webhooks"), "webhook", "bridge_webhookevent_changelist"),
            (_("Erasures in Kommo"), "person_off", "bridge_forgetting_changelist"),
        ),
    ),
    (
        _("Agent"),
        ADMINISTRATORS,
        (
            (_("Ways in and out"), "input", "bridge_intake_changelist"),
            (_("Calls received"), "inbox", "bridge_intakecall_changelist"),
            (_("Messages on their way"), "outgoing_mail", "bridge_outgoing_changelist"),
            (_("Keys"), "key", "bridge_apikey_changelist"),
            (_("Sent to the agent"), "campaign", "bridge_agentevent_changelist"),
        ),
    ),
    (
        _("System"),
        ADMINISTRATORS,
        (
            (_("Users"), "person", "auth_user_changelist"),
            (_("Groups"), "badge", "auth_group_changelist"),
            (_("Who did what"), "history", "admin_logentry_changelist"),
            (_("Alerts"), "notifications", "bridge_alert_changelist"),
            (_("Failed jobs"), "error", "django_q_failure_changelist"),
            (_("Queue"), "pending_actions", "django_q_ormq_changelist"),
            (_("Advanced"), "table_rows", "advanced"),
        ),
    ),
)
# Where a thumb reaches on a phone: the pages of every day, by the words there is room for.
AT_HAND = ("index", "leads_lead_changelist", "followups_enrollment_changelist", "results-page")
SHORT_TITLES = {"followups_enrollment_changelist": _("Follow-ups")}

# Pages of our own, and who sees them; all others are lists of the admin, for those who may view their rows.
PAGES = {
    "results-page": "leads.view_lead",
    "setup": "bridge.add_account",
    "health": "bridge.view_account",
    "admin:rules": "leads.view_pipeline",
    "advanced": ADVANCED,
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sections of this person with the pages they may open; a section without any is left out."""
    sections = []
    for title, whose, items in SECTIONS:
        if whose and not request.user.has_perm(whose):
            continue
        shown = [_link(request, item) for item in items if _may_see(request, item[2])]
        if shown:
            sections.append({"title": title, "items": shown, "collapsible": whose == ADMINISTRATORS})
    return sections


def at_hand(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links of a phone's bottom bar."""
    items = {name: item for _title, _whose, section in SECTIONS for item in section if (name := item[2]) in AT_HAND}
    links = [
        _link(request, items[name]) | ({"title": SHORT_TITLES[name]} if name in SHORT_TITLES else {})
        for name in AT_HAND
        if _may_see(request, name)
    ]
    return [link | {"active": link.get("active", request.path == link["link"])} for link in links]


def titles() -> dict[str, Any]:
    """Return what each page is called, by its address: the same in the sidebar and above the page."""
    return {_address(name): label for _title, _whose, section in SECTIONS for label, _icon, name in section}


def _link(request: HttpRequest, item: Item) -> dict[str, Any]:
    label, icon, name = item
    return {"title": label, "icon": icon, "link": _address(name)} | _marked(request, name)


def _address(name: str) -> str:
    return reverse(name if name in PAGES else f"admin:{name}")


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
