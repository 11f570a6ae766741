"""What a tester may change in the sandbox while it runs, and the profiles that change much at once.

Defaults are what Kommo is known to do; where nobody knows, what is documented. The profile `hostile` has every
behaviour that one account or another has been reported to show.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kommo_sandbox.answers import Refusal

SCOPES = "crm,files,files_delete,list_external_messages,send_external_messages,notifications,push_notifications,users"


@dataclass
class Options:
    """Switches of one sandbox; lists are texts with commas."""

    # The name of the profile set last.
    profile: str = "default"
    # Limits: 0 lifts the ceiling. `retry_after` is what a 429 asks for, in seconds.
    requests_per_second: int = 7
    retry_after: float = 1.0
    # Kommo blocks the address of a client that ignores 429s: after this many in a minute (0: never), for so long.
    block_after: int = 0
    block_seconds: float = 60.0
    # A longer request line (method, path and query, in bytes) is answered 414; 0 lifts the limit.
    request_line_limit: int = 8190
    # Every call of the API takes at least so long, in seconds, as over an ocean: each another time, by so large a share
    # more or less. The part of it that lies before the call is counted is its way there (1.0: all of it).
    latency: float = 0.0
    latency_jitter: float = 0.0
    latency_before: float = 0.0
    # Access: with strict_tokens only tokens the sandbox has issued (and `sandbox-token`) are accepted.
    strict_tokens: bool = False
    access_token_seconds: int = 86_400
    # False: a used refresh token stays good until its successor is used (documented). True: it ends at once.
    strict_rotation: bool = False
    # Whose tokens they are that name nobody; 0: the administrator's.
    token_user_id: int = 0
    # What tokens may do; what they may not is answered 403.
    token_scopes: str = SCOPES
    # Users who are no administrators: 401 on reading webhooks (True), 403 as for all else (False).
    webhooks_401_for_non_admin: bool = True
    # Webhooks are a matter of the plan: False answers 402 to everything about them.
    plan_has_webhooks: bool = True
    # The plan may have no Salesbots either: 403 to everything about them.
    plan_has_bots: bool = True
    # What users who are no administrators may not do: `leads.add,contacts.view`; told of each, heeded for creates.
    denied_rights: str = ""
    # A call in another user's name (X-Context-User-ID) is taken, or refused (403).
    context_user: str = "taken"
    # The account's new host (`127.0.0.1:8011`) after its owner renamed it; this host then refuses everybody.
    moved_to: str = ""
    moved_status: int = 401
    # The language of what is said about an error: en, ru or pt.
    language: str = "en"
    # Where a card's details on the board lead to, `{id}` standing for its number. Empty: nowhere.
    card_link: str = ""
    # The zone of the account; a plain date becomes the start of its day there (True) or stays as sent (False).
    account_time_zone: str = "America/Sao_Paulo"
    dates_at_midnight: bool = True
    # Characters that a text, a long text take by the API; people may type more. 0: any number.
    text_limit: int = 256
    textarea_limit: int = 0
    # Characters that the name of a lead or contact takes by the API. 0: any number.
    name_limit: int = 0
    # Texts end before the first character beyond the basic plane (most emoji).
    cut_text_at_emoji: bool = False
    # Signs of texts come back as HTML writes them; names end after so many characters without a word (0: never).
    escapes_html: bool = False
    names_end_after: int = 0
    # Spaces around and repeated ones go, and so do line breaks in one-line texts.
    tidy_spaces: bool = False
    # A link must begin with http:// or https://.
    strict_links: bool = False
    # A box that is set to no is kept as empty.
    unticked_as_empty: bool = False
    # Numbers come back in other forms: as JSON numbers, money with two decimals.
    other_number_forms: bool = False
    # Leads and webhooks tell `price_with_minor_units` (Kommo), or not (amoCRM).
    minor_units: bool = True
    # Prices in webhooks are told with decimals.
    decimals_in_hooks: bool = False
    # Tags: a complex create keeps the first one only; names are the same whatever their case.
    first_tag_only_on_complex: bool = False
    tags_ignore_case: bool = False
    # Options that the PHONE field of contacts does not have: `MOB,FAX`.
    missing_phone_kinds: str = ""
    # The options of a field are told as an object with their places as keys, as the answer to a change of them shows.
    enums_as_object: bool = False
    # Batches: False refuses the whole batch for one bad item; True applies the good ones and names only those.
    partial_batches: bool = False
    # Unknown ids in a batch PATCH: False refuses (400 at `id`), True leaves them out of the answer.
    skip_unknown_ids: bool = False
    duplicate_control: bool = False
    # True: a loss reason is checked against the stage *before* the PATCH, as one team measured it.
    loss_reason_before_move: bool = True
    enforce_required_statuses: bool = False
    # An archived pipeline takes no writes.
    archived_refuses_writes: bool = False
    # True: a PATCH that changes nothing neither bumps updated_at nor sends a webhook.
    quiet_when_unchanged: bool = False
    # Who `updated_by` names after a write by the API: `user` (whose token it is) or `robot` (0).
    writes_are_by: str = "user"
    # A full account: creating leads and contacts is answered 402, 403 or 400 (with error code 244); 0: it is not full.
    full_account_status: int = 0
    # How many leads or contacts the account may hold before it is full (0: any number).
    leads_limit: int = 0
    contacts_limit: int = 0
    # Whether the older API (`accounts/current`) tells these limits, or is not there.
    tells_limits: bool = True
    # Lists: filters that are ignored (`custom_fields_values,updated_at`, or `*`), `with` words that are.
    ignored_filters: str = ""
    ignored_with: str = ""
    # Every list names a next page, the last one too.
    endless_next: bool = False
    # A changed lead is in no list for so long, in seconds.
    lists_lag_seconds: float = 0.0
    # The rights of the token's user show no lead at all.
    hides_leads: bool = False
    # Every page of leads has one more row, of a shape that nobody expects.
    odd_rows: bool = False
    # So many leads more in the trash, listed by `with=only_deleted`.
    trash_size: int = 0
    # A merge is told in the events feed.
    merge_events: bool = True
    # Which lead that event names: the one that stays, or the one that is gone.
    merge_events_name_the_lost: bool = False
    # Chats: messages that may be sent by the API before it answers 402; 0: any number.
    messages_quota: int = 500
    # Bots: whether what is queued runs, and the lead's field whose text a bot then says.
    bots_run: bool = True
    bots_say_field: str = "Follow-up"
    # A bot says nothing into a chat that was closed; and shows links in Kommo's short form.
    bots_need_open_talk: bool = False
    bots_shorten_links: bool = False
    # Webhooks out. The time scale multiplies the waits of the retry ladder and the disabling window.
    drop_webhooks: bool = False
    duplicate_webhooks: bool = False
    reorder_webhooks: bool = False
    # A move is told by `update` alone.
    no_status_hooks: bool = False
    # Settings that a subscription may not name: `update_task`.
    refused_settings: str = ""
    webhook_delay: float = 0.0
    webhook_group_size: int = 50
    webhook_time_scale: float = 1.0
    webhook_timeout: float = 2.0
    webhook_disable_after: int = 100
    # Every random choice (faults with a probability, reordering) comes from one generator with this seed.
    seed: int = 1
    journal_limit: int = 50_000

    @classmethod
    def of_profile(cls, name: str, **more: Any) -> Options:
        """Return the options of a profile, changed by `more`."""
        options = cls()
        options.update({"profile": name, **more})
        return options

    def update(self, changes: Any) -> None:
        """Set the named options; a `profile` first. Raises Refusal (400) for an unknown name or another type."""
        if not isinstance(changes, dict):
            raise Refusal.control("options must be an object", 'send {"requests_per_second": 7}')
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        checked: dict[str, Any] = {}
        if "profile" in changes:
            checked |= _profile(changes["profile"])
        for name, value in changes.items():
            kind = known.get(name)
            if kind is None:
                raise Refusal.control(f"unknown option {name!r}", f"known options: {', '.join(sorted(known))}")
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if type(value) is not kind:
                raise Refusal.control(f"option {name!r} must be a {kind.__name__}", f"got {value!r}")
            _check_choice(name, value)
            checked[name] = value
        for name, value in checked.items():
            setattr(self, name, value)

    def lists(self, name: str, value: str) -> bool:
        """Say if an option that is a list holds a value, or everything."""
        listed = members(getattr(self, name))
        return value in listed or "*" in listed

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


CHOICES: dict[str, tuple[Any, ...]] = {
    "context_user": ("taken", "refused"),
    "language": ("en", "ru", "pt"),
    "writes_are_by": ("user", "robot"),
    "full_account_status": (0, 400, 402, 403),
}

PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    # Not here: what nobody can live with (rights that show nothing, a lost plan, a full account), the weather (faults,
    # lags, lost webhooks), and what hides another switch: a robot as author or not, `only_deleted` ignored or a full
    # trash, `merge_events` told or not, a write that changes nothing quiet or not. Those have tests of their own.
    "hostile": {
        "language": "ru",
        "cut_text_at_emoji": True,
        "tidy_spaces": True,
        "strict_links": True,
        "unticked_as_empty": True,
        "other_number_forms": True,
        "decimals_in_hooks": True,
        "first_tag_only_on_complex": True,
        "tags_ignore_case": True,
        "missing_phone_kinds": "MOB",
        "enums_as_object": True,
        "name_limit": 250,
        "partial_batches": True,
        "skip_unknown_ids": True,
        "enforce_required_statuses": True,
        "archived_refuses_writes": True,
        "ignored_filters": "custom_fields_values,updated_at,tags",
        "endless_next": True,
        "odd_rows": True,
        "trash_size": 600,
        "no_status_hooks": True,
        "duplicate_webhooks": True,
        "refused_settings": "update_task",
        "context_user": "refused",
        "strict_rotation": True,
        "bots_need_open_talk": True,
        "bots_shorten_links": True,
    },
}


def members(text: str) -> list[str]:
    """Return the parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _profile(name: Any) -> dict[str, Any]:
    """Return every behaviour of a profile: those it does not name go back to their defaults.

    What a tester sets the machine by (pace, seed, times) is nobody's behaviour and stays.
    """
    if name not in PROFILES:
        raise Refusal.control(f"unknown profile {name!r}", f"known profiles: {', '.join(PROFILES)}")
    behaviours = {key for profile in PROFILES.values() for key in profile}
    defaults = {field.name: field.default for field in fields(Options) if field.name in behaviours}
    return {**defaults, **PROFILES[name]}


def _check_choice(name: str, value: Any) -> None:
    if name in CHOICES and value not in CHOICES[name]:
        raise Refusal.control(f"option {name!r} cannot be {value!r}", f"choose one of {list(CHOICES[name])}")
    if name == "account_time_zone":
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise Refusal.control(f"unknown time zone {value!r}", 'send one like "America/Sao_Paulo"') from None
