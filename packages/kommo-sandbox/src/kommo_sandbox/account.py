"""The account, its users and its bots; the OAuth endpoints."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from kommo_sandbox import talks
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import KINDS, LEADS, User
from kommo_sandbox.faults import unauthorized
from kommo_sandbox.options import members
from kommo_sandbox.store import now
from kommo_sandbox.tokens import CLIENT_ID
from kommo_sandbox.validation import Errors, items_of, object_of

ENTITY_TYPES = {1: "contacts", 2: "leads"}
MOST_RUNS = 100
LINK = re.compile(r"https?://\S+")


def get_account(call: Call) -> Answer:
    store, with_ = call.store, call.with_()
    account: Json = {
        "id": store.account_id,
        "name": "Sandbox Solar",
        "subdomain": store.subdomain,
        "created_at": 1_700_000_000,
        "created_by": store.admin_id,
        "updated_at": 1_700_000_000,
        "updated_by": store.admin_id,
        "current_user_id": call.user_id,
        "country": "BR",
        "currency": store.currency,
        "currency_symbol": "R$",
        "customers_mode": "disabled",
        "is_unsorted_on": True,
        "mobile_feature_version": 0,
        "is_loss_reason_enabled": True,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
        "_links": {"self": {"href": f"{call.base_url}/api/v4/account"}},
        "_embedded": {},
    }
    if "amojo_id" in with_:
        account["amojo_id"] = "9c2f2a4e-2a55-4a6b-8f8e-3b1d70e6a001"
    if "version" in with_:
        account["version"] = 14
    if "is_api_filter_enabled" in with_:
        account["is_api_filter_enabled"] = not call.options.ignored_filters
    if "users_groups" in with_:
        account["_embedded"]["users_groups"] = [{"id": 0, "name": "Vendas", "uuid": None}]
    if "task_types" in with_:
        account["_embedded"]["task_types"] = [
            {"id": id_, "name": name, "color": None, "icon_id": None, "code": name.upper()}
            for id_, name in store.task_types.items()
        ]
    if "datetime_settings" in with_:
        zone = ZoneInfo(call.options.account_time_zone)
        account["_embedded"]["datetime_settings"] = {
            "date_pattern": "d/m/Y H:i",
            "short_date_pattern": "d/m/Y",
            "time_pattern": "H:i",
            "timezone": zone.key,
            "timezone_offset": datetime.now(zone).isoformat()[-6:],
        }
    return Answer(account)


def show_user(call: Call, user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "lang": "pt",
        "rights": _rights(call, user),
        "_links": call.link(f"/api/v4/users/{user.id}"),
        "_embedded": {"roles": [], "groups": []},
    }


def _rights(call: Call, user: User) -> Json:
    rights: Json = {
        kind: dict.fromkeys(("view", "edit", "add", "delete", "export"), "A")
        for kind in ("leads", "contacts", "companies")
    }
    for right in members(call.options.denied_rights):
        kind, _, what = right.partition(".")
        rights[kind][what] = "D"
    return {**rights, "is_admin": user.is_admin, "is_free": False, "is_active": True, "group_id": None, "role_id": None}


def current_account(call: Call) -> Answer:
    """Answer as the older API does: what the plan holds, `false` for any number."""
    if not call.options.tells_limits:
        raise Refusal.problem(404, "Page not found")
    limits = {
        "users_count": len(call.store.users),
        "contacts_count": call.options.contacts_limit or False,
        "active_deals_count": call.options.leads_limit or False,
    }
    account = {"id": str(call.store.account_id), "subdomain": call.store.subdomain, "limits": limits}
    return Answer({"response": {"account": account, "server_time": now()}}, content_type="application/json")


def list_users(call: Call) -> Answer:
    call.require_scope("users")
    total = len(call.store.users)
    return call.page(call.store.users.values(), "users", lambda user: show_user(call, user), _total_items=total)


def get_user(call: Call, user_id: int) -> Answer:
    call.require_scope("users")
    user = call.store.users.get(user_id)
    return Answer(show_user(call, user)) if user else nothing()


# --- Bots


def list_bots(call: Call) -> Answer:
    _require_plan(call)
    return call.page(
        call.store.bots.items(),
        "items",
        lambda bot: {"id": bot[0], "name": bot[1], "_links": call.link(f"/api/v4/bots/{bot[0]}")},
    )


def run_bots_v2(call: Call) -> Answer:
    """Queue bots in the old form, entity types as numbers."""
    _run(call, items_of(call.body, MOST_RUNS), is_old=True)
    return Answer({"success": True}, 202)


def run_bots(call: Call) -> Answer:
    _run(call, items_of(call.body, MOST_RUNS), is_old=False)
    return Answer("", 202)


def run_bot(call: Call, bot_id: int) -> Answer:
    _run(call, [{"bot_id": bot_id, **object_of(call.body)}], is_old=False)
    return Answer("Accepted", 202, content_type="text/plain")


def stop_bot(call: Call, bot_id: int) -> Answer:
    call.store.bot_runs.append({"bot_id": bot_id, "stopped": True, **object_of(call.body)})
    return Answer({"success": True}, 202)


def _require_plan(call: Call) -> None:
    if not call.options.plan_has_bots:
        raise Refusal.problem(403, "Access denied")


def _run(call: Call, items: list[Json], *, is_old: bool) -> None:
    _require_plan(call)

    def check(item: Json, errors: Errors) -> Json:
        if item.get("bot_id") not in call.store.bots:
            errors.add("NotSupportedChoice", "bot_id")
        given = item.get("entity_type")
        if is_old or isinstance(given, int):
            # The old numbers are a wrong type in the new form.
            if not is_old:
                errors.wrong_type("entity_type", "string")
                return item
            kind = ENTITY_TYPES.get(int(str(given))) if str(given).isdigit() else None
        else:
            kind = given if given in KINDS else None
        if kind is None:
            errors.add("NotSupportedChoice", "entity_type")
        elif errors.integer(item.get("entity_id"), "entity_id") and not call.store.entity(kind, item["entity_id"]):
            errors.add("NotSupportedChoice", "entity_id")
        return item

    def apply(item: Json, request_id: str) -> Json:
        call.store.bot_runs.append(item)
        if call.options.bots_run:
            _talk(call, item)
        return item

    call.batch(items, check, apply)


def _talk(call: Call, run: Json) -> None:
    """Let a bot that was queued for a lead say what the lead's field for it holds."""
    lead = call.store.leads.get(run["entity_id"]) if str(run.get("entity_type")) in ("leads", "2") else None
    field = next(
        (candidate for candidate in call.store.fields[LEADS].values() if candidate.name == call.options.bots_say_field),
        None,
    )
    if lead and field and (text := str(next(iter(lead.values.get(field.id, [{}])), {}).get("value") or "")):
        if call.options.bots_need_open_talk and talks.are_closed(call, lead):
            return
        if call.options.bots_shorten_links:
            text = LINK.sub("https://kommo.cc/x7Yq2", text)
        talks.say(call, lead, direction="outgoing", text=text, user_id=0)


# --- OAuth


def exchange_token(call: Call) -> Answer:
    given = call.body if isinstance(call.body, dict) else {}
    return call.sandbox.tokens.exchange(given, host=_host(call))


def current_subdomain(call: Call) -> Answer:
    """Answer where the account lives now; asked with the refresh token when its old host refuses."""
    if not call.sandbox.tokens.is_refresh_token(call.headers.get("X-Refresh-Token", "")):
        raise Refusal(unauthorized())
    domain = call.options.moved_to or _host(call)
    body = {
        "id": call.store.account_id,
        "subdomain": domain.partition(".")[0] if call.options.moved_to else call.store.subdomain,
        "domain": domain,
        "top_level_domain": domain.rpartition(".")[2],
    }
    return Answer(body, content_type="application/json")


def old_subdomain(call: Call) -> Answer:
    """Answer the same in the older way: asked with an access token, also a long-lived one."""
    token = call.headers.get("Authorization", "").partition(" ")[2].strip()
    if not token or call.sandbox.tokens.has_ended(token):
        raise Refusal(unauthorized())
    domain = call.options.moved_to or _host(call)
    subdomain = domain.partition(".")[0] if call.options.moved_to else call.store.subdomain
    return Answer(
        {"id": call.store.account_id, "subdomain": subdomain, "domain": domain}, content_type="application/json"
    )


def consent(call: Call) -> Answer:
    """Stand in for the consent page: agree at once and send the browser back with a code."""
    query = {name: str(value) for name, value in call.query.items()}
    redirect_uri = query.get("redirect_uri", "")
    if query.get("client_id") != CLIENT_ID or urlsplit(redirect_uri).scheme not in ("http", "https"):
        raise Refusal.control(
            "this is the sandbox's consent page",
            f"open it with client_id={CLIENT_ID}, state and redirect_uri",
        )
    back = {
        "code": call.sandbox.tokens.issue_code(),
        "state": query.get("state", ""),
        "referer": _host(call),
        "client_id": CLIENT_ID,
    }
    joined = "&" if "?" in redirect_uri else "?"
    return Answer(status=302, headers={"Location": f"{redirect_uri}{joined}{urlencode(back)}"})


def _host(call: Call) -> str:
    return call.base_url.partition("//")[2]


ROUTES: list[Route] = [
    ("GET", "/api/v4/account", get_account),
    ("GET", "/private/api/v2/json/accounts/current", current_account),
    ("GET", "/api/v4/users", list_users),
    ("GET", "/api/v4/users/<int:user_id>", get_user),
    ("GET", "/api/v4/bots", list_bots),
    ("POST", "/api/v4/bots/run", run_bots),
    ("POST", "/api/v4/bots/<int:bot_id>/run", run_bot),
    ("POST", "/api/v4/bots/<int:bot_id>/stop", stop_bot),
    ("POST", "/api/v2/salesbot/run", run_bots_v2),
    ("POST", "/oauth2/access_token", exchange_token),
    ("GET", "/oauth2/account/current/subdomain", current_subdomain),
    ("GET", "/oauth2/account/subdomain", old_subdomain),
    ("GET", "/oauth", consent),
]
# Nobody has a token yet where tokens are given out.
WITHOUT_TOKEN = {exchange_token, current_subdomain, old_subdomain, consent}
