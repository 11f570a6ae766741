"""Webhook subscriptions; the exact destination URL is a subscription's identity."""

from __future__ import annotations

from urllib.parse import urlsplit

from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import Subscription
from kommo_sandbox.faults import unauthorized
from kommo_sandbox.store import now
from kommo_sandbox.validation import Errors, object_of

MOST_SUBSCRIPTIONS = 100

_ENTITY_ACTIONS = ["add", "update", "delete", "restore", "responsible", "note"]
SETTINGS = {
    *(f"{action}_{entity}" for entity in ("lead", "contact", "company") for action in _ENTITY_ACTIONS),
    *(f"{action}_task" for action in ("add", "update", "delete", "responsible")),
    *(f"{action}_customer" for action in ("add", "update", "delete", "responsible", "note")),
    *(f"{action}_unsorted" for action in ("add", "update", "delete")),
    *(f"{action}_catalog" for action in ("add", "update", "delete")),
    "status_lead",
    "add_talk",
    "update_talk",
    "add_message",
    "add_outgoing_message",
    "add_chat_template_review",
}


def show(call: Call, subscription: Subscription) -> Json:
    return {
        "id": subscription.id,
        "destination": subscription.destination,
        "created_at": subscription.created_at,
        "updated_at": subscription.updated_at,
        "account_id": call.store.account_id,
        "created_by": subscription.created_by,
        "sort": subscription.sort,
        "disabled": subscription.disabled,
        "settings": subscription.settings,
        "_links": call.link(f"/api/v4/webhooks/{subscription.id}"),
    }


def list_subscriptions(call: Call) -> Answer:
    _require_plan(call)
    if call.options.webhooks_401_for_non_admin and not call.is_admin():
        # As seen live: reading is answered 401, everything else 403.
        raise Refusal(unauthorized())
    call.require_admin()
    wanted = call.filter("destination")
    shown = [
        show(call, subscription)
        for subscription in call.store.subscriptions.values()
        if wanted in (None, subscription.destination)
    ]
    if not shown:
        return nothing()
    return Answer({"_total_items": len(shown), "_links": call.link(call.path), "_embedded": {"webhooks": shown}})


def subscribe(call: Call) -> Answer:
    """Make a subscription, or change the settings of the one with this destination, enabling it again."""
    _require_plan(call)
    call.require_admin()
    item = object_of(call.body)
    errors = Errors()
    destination = item.get("destination")
    if destination is None:
        errors.add("FieldMissing", "destination")
    elif errors.text(destination, "destination") and not _is_address(destination):
        errors.add("InvalidType", "destination", "This value is not a valid URL.")
    settings = item.get("settings")
    if not isinstance(settings, list) or not settings:
        errors.add("FieldMissing", "settings")
    else:
        for index, setting in enumerate(settings):
            if setting not in SETTINGS or call.options.lists("refused_settings", str(setting)):
                errors.add("NotSupportedChoice", f"settings.{index}")
    if errors:
        raise Refusal.validation([{"request_id": "0", "errors": errors.found}])
    assert isinstance(destination, str) and isinstance(settings, list)
    known = call.store.subscriptions
    if destination not in known:
        if len(known) >= MOST_SUBSCRIPTIONS:
            raise Refusal.problem(400, f"An account has at most {MOST_SUBSCRIPTIONS} webhooks")
        number = call.store.new_id("subscription")
        known[destination] = Subscription(number, destination, [], now(), now(), call.user_id, sort=len(known) + 1)
    subscription = known[destination]
    subscription.settings, subscription.updated_at = list(dict.fromkeys(settings)), now()
    subscription.disabled, subscription.bad_answers = False, []
    return Answer(show(call, subscription), 201)


def _require_plan(call: Call) -> None:
    if not call.options.plan_has_webhooks:
        raise Refusal.problem(402, "Account is not paid")


def unsubscribe(call: Call) -> Answer:
    _require_plan(call)
    call.require_admin()
    destination = object_of(call.body).get("destination")
    if call.store.subscriptions.pop(str(destination), None) is None:
        raise Refusal.problem(404, "Webhook not found")
    return nothing()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


ROUTES: list[Route] = [
    ("GET", "/api/v4/webhooks", list_subscriptions),
    ("POST", "/api/v4/webhooks", subscribe),
    ("DELETE", "/api/v4/webhooks", unsubscribe),
]
