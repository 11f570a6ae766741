"""How does this very account behave? Asked by a few calls with a lead of our own, and kept as the account's traits.

Accounts differ by plan, age and settings, and Kommo's pages are silent on much. Each probe is one question with what is
expected and what was found; nothing of anybody's leads, names or numbers is in an answer. The lead is made closed, so
that no automation of an open stage starts, and stays closed; Kommo deletes nothing by its API.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.utils import timezone

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts import catalogue as catalogues
from bridge.accounts import webhook_subscription
from bridge.cards.plan import LOST_STATUS_ID
from bridge.errors import BridgeError, KommoError, KommoRejectedError
from bridge.inbound.probe_lead import NAME, is_one
from bridge.kommo import token_expiry
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import UserReply
from bridge.models import Account

# What people would have to do: named in the table, asked of nobody.
BY_HAND = (
    ("two leads merged by hand", "`entity_merged` in the events feed, the other lead 204"),
    ("a Salesbot outside WhatsApp's 24 hours", "no message, and nobody is told"),
)
# No lead has such an id.
NOBODY = 9_007_199_254_740_991
# As long as ids get.
LONG_ID = 9_999_999_999
TAG = "bridge_probe"
LONG_TEXT, LONGER_TEXT = 300, 3000
MANY_IDS = 250
TYPES = ("text", "textarea", "date", "date_time", "checkbox", "url", "numeric")
EMOJI = "antes 👍 depois"


class ProbeError(BridgeError):
    """The account cannot be probed now, and why."""


@dataclass(frozen=True)
class Finding:
    """One question to the account. `is_as_expected` None: it was not asked."""

    asked: str
    expected: str
    found: str
    is_as_expected: bool | None


@dataclass
class Probe:
    """One run against one account. `tell` hears what is being asked."""

    account: Account
    client: KommoClient
    create_fields: bool = False
    tell: Callable[[str], None] = lambda line: None
    findings: list[Finding] = field(default_factory=list)
    learnt: dict[str, Any] = field(default_factory=dict)

    def run(self) -> list[Finding]:
        """Ask everything, keep the traits, and return the table. Raises ProbeError or KommoError."""
        if self.account.state != Account.State.ACTIVE:
            raise ProbeError(f"the account is {self.account.get_state_display()}: nothing is written to it")
        self.catalogue = catalogues.refresh(self.account, self.client, now=timezone.now())
        self.fields = self._fields()
        self._close_earlier()
        self._make_lead()
        try:
            self._ask_all()
        finally:
            # Whatever ended the run.
            self._close(self.lead_id)
        self.findings += [Finding(asked, expected, "not asked: by hand", None) for asked, expected in BY_HAND]
        for trait, value in self.learnt.items():
            account_traits.remember(self.account, Trait(trait), value)
        account_traits.remember(self.account, Trait.PROBED_AT, timezone.now().isoformat(timespec="minutes"))
        return self.findings

    def _ask_all(self) -> None:
        for ask in (
            self._closed,
            self._author,
            self._tags,
            self._dates,
            self._texts,
            self._emoji,
            self._boxes,
            self._numbers,
            self._links,
            self._filters,
            self._lists,
            self._batches,
            self._nothing,
            self._many_ids,
            self._rights,
        ):
            self.tell(ask.__name__.strip("_").replace("_", " "))
            try:
                ask()
            except KommoError as error:
                self._note(ask.__name__.strip("_"), "an answer", f"{error.status_code or 'none'}", False)

    # --- The lead of our own

    def _fields(self) -> dict[str, int]:
        """Return a field of each type there is; with `create_fields` those that are missing are made."""
        found = {
            lead_field["type"]: lead_field["id"]
            for lead_field in reversed(self.catalogue.lead_fields)
            if lead_field["type"] in TYPES
        }
        missing = [type_ for type_ in TYPES if type_ not in found]
        if missing and self.create_fields:
            bodies = [{"name": f"{NAME} ({type_})", "type": type_} for type_ in missing]
            found |= {created.type: created.id for created in self.client.create_custom_fields("leads", bodies)}
        return found

    def _make_lead(self) -> None:
        """Make the lead, closed, with two tags: a complex create may keep the first only."""
        pipeline = next((candidate for candidate in self.catalogue.pipelines if not candidate["is_archive"]), None)
        if pipeline is None:
            raise ProbeError("the account has no pipeline")
        body = {
            "name": NAME,
            "pipeline_id": pipeline["id"],
            "status_id": LOST_STATUS_ID,
            "request_id": "probe",
            "_embedded": {"tags": [{"name": TAG}, {"name": f"{TAG}_2"}]},
        }
        [made] = self.client.create_leads_complex([body])
        self.lead_id = made.lead_id

    def _close_earlier(self) -> None:
        """Close what a run that was killed has left: leads of our name with our tag, which nobody else gives."""
        for reply in islice(self.client.iterate_leads(query=NAME, limit=MANY_IDS), MANY_IDS):
            is_left = reply.status_id != LOST_STATUS_ID or reply.name != NAME
            if is_one(reply) and TAG in {tag.lower() for tag in reply.tags} and is_left and not reply.is_deleted:
                self._close(reply.id)

    def _close(self, lead_id: int) -> None:
        self.client.ask("PATCH", "/api/v4/leads", body=[{"id": lead_id, "name": NAME, "status_id": LOST_STATUS_ID}])

    def _write(self, **changes: Any) -> tuple[int, Any]:
        return self.client.ask("PATCH", "/api/v4/leads", body=[{"id": self.lead_id, **changes}])

    def _write_field(self, type_: str, value: Any) -> tuple[int, Any]:
        given = [{"field_id": self.fields[type_], "values": [{"value": value}]}]
        return self._write(custom_fields_values=given)

    def _held(self, type_: str) -> Any:
        reply = self.client.lead(self.lead_id)
        return reply.field_value(self.fields[type_])

    # --- The questions

    def _closed(self) -> None:
        found = self.client.ask("GET", f"/api/v4/leads/{self.lead_id}")[1]
        status = found.get("status_id") if isinstance(found, dict) else None
        standing = "closed" if status == LOST_STATUS_ID else "not shown to us" if status is None else "open"
        self._note("a lead that is made closed", "closed", standing, standing == "closed")
        if standing == "open":
            self._close(self.lead_id)

    def _author(self) -> None:
        self._write(name=f"{NAME}.")
        by = self.client.lead(self.lead_id).updated_by
        found = "robot" if by == 0 else "user" if by == self.account.kommo_user_id else "somebody else"
        if found != "somebody else":
            self.learnt[Trait.WRITES_BY] = found
        self._note("`updated_by` of our own write", "our user", found, found == "user")

    def _tags(self) -> None:
        tags = set(self.client.lead(self.lead_id).tags)
        keeps_one = "bridge_probe_2" not in tags
        self.learnt[Trait.FIRST_TAG_ONLY] = keeps_one
        self._note("two tags with a complex create", "both", "the first" if keeps_one else "both", not keeps_one)
        self._write(tags_to_add=[{"name": "Bridge_Probe"}])
        same = "Bridge_Probe" not in self.client.lead(self.lead_id).tags
        self.learnt[Trait.TAG_CASE] = "ignored" if same else "kept"
        self._note("a tag in another case", "another tag", "the same tag" if same else "another tag", not same)

    def _dates(self) -> None:
        zone = account_traits.zone_of(self.account)
        noon = datetime.combine(timezone.now().date() + timedelta(days=30), datetime.min.time(), zone).replace(hour=12)
        if self._asks("date", "a `date` at noon", "midnight of its day in the account's zone"):
            self._write_field("date", noon.isoformat())
            moment = datetime.fromtimestamp(int(self._held("date") or 0), UTC).astimezone(zone)
            is_midnight = moment == noon.replace(hour=0)
            found = "midnight of its day" if is_midnight else "as sent" if moment == noon else "another moment"
            self.learnt[Trait.DATES] = "midnight" if is_midnight else "as_sent"
            self._note("a `date` at noon", "midnight of its day in the account's zone", found, is_midnight)
        if self._asks("date_time", "a `date_time`", "as sent"):
            self._write_field("date_time", noon.isoformat())
            same = int(self._held("date_time") or 0) == int(noon.timestamp())
            self._note("a `date_time`", "as sent", "as sent" if same else "another moment", same)

    def _texts(self) -> None:
        for type_, sizes, trait in (
            ("text", (LONG_TEXT, 256, 255), Trait.TEXT_LIMIT),
            ("textarea", (LONGER_TEXT, 1000, 256), Trait.TEXTAREA_LIMIT),
        ):
            asked = f"{sizes[0]} characters into `{type_}`"
            expected = "refused above 256" if type_ == "text" else "taken"
            if not self._asks(type_, asked, expected):
                continue
            takes = next((size for size in sizes if self._takes(type_, size)), 0)
            self.learnt[trait] = 0 if takes == sizes[0] else takes
            found = "taken" if takes == sizes[0] else f"refused; {takes} are taken"
            self._note(asked, expected, found, (takes == sizes[0]) == (type_ == "textarea"))

    def _takes(self, type_: str, size: int) -> bool:
        status, _ = self._write_field(type_, "x" * size)
        return status < 300 and len(str(self._held(type_) or "")) >= size

    def _emoji(self) -> None:
        if self._asks("text", "an emoji in a text", "kept"):
            self._write_field("text", EMOJI)
            kept = self._held("text") == EMOJI
            self.learnt[Trait.EMOJI] = "kept" if kept else "cut"
            self._note("an emoji in a text", "kept", "kept" if kept else "the text ends before it", kept)
        if self._asks("text", "spaces in a text", "kept"):
            self._write_field("text", "a  b")
            kept = self._held("text") == "a  b"
            self._note("spaces in a text", "kept", "kept" if kept else "tidied", kept)

    def _boxes(self) -> None:
        if self._asks("checkbox", "a box set to no", "no"):
            self._write_field("checkbox", False)
            box = self._held("checkbox")
            self.learnt[Trait.EMPTY_BOX] = "empty" if box is None else "no"
            self._note("a box set to no", "no", "empty" if box is None else "no", box is not None)

    def _numbers(self) -> None:
        if self._asks("numeric", "a number", "read as text"):
            self._write_field("numeric", "1234.5")
            number = self._held("numeric")
            how_read = (
                "read as text" if number == "1234.5" else "read as a number" if number == 1234.5 else "another value"
            )
            self._note("a number", "read as text", how_read, how_read == "read as text")

    def _links(self) -> None:
        if self._asks("url", "a link without https://", "taken"):
            status, _ = self._write_field("url", "www.example.com")
            self._note("a link without https://", "taken", "taken" if status < 300 else "refused", status < 300)

    def _filters(self) -> None:
        proof = self.account.bridge_id_field_id or next(iter(self.fields.values()), 0)
        for asked, key, value, trait in (
            ("a filter on a custom field", f"filter[custom_fields_values][{proof}][]", NAME * 2, Trait.VALUE_FILTER),
            ("a filter on `updated_at`", "filter[updated_at][from]", str(int(time.time()) + 10**8), Trait.TIME_FILTER),
        ):
            status, _data = self.client.ask("GET", "/api/v4/leads", query=[(key, value), ("limit", "1")])
            works = status == 204
            self.learnt[trait] = "works" if works else "ignored"
            self._note(asked, "finds nobody", "finds nobody" if works else "ignored", works)

    def _lists(self) -> None:
        query = [("filter[id][]", str(self.lead_id))]
        _, data = self.client.ask("GET", "/api/v4/leads", query=query)
        ends = not (isinstance(data, dict) and data.get("_links", {}).get("next"))
        self._note("a next page after the last", "none", "none" if ends else "named", ends)
        rows = data.get("_embedded", {}).get("leads", []) if isinstance(data, dict) else []
        odd = sum(row.get("id") != self.lead_id or not isinstance(row.get("price"), int) for row in rows)
        self._note("rows that nobody asked for", "none", str(odd) if odd else "none", not odd)
        in_minor_units = any("price_with_minor_units" in row for row in rows)
        self._note("minor units of prices", "told", "told" if in_minor_units else "not told", in_minor_units)
        _, trash = self.client.ask("GET", "/api/v4/leads", query=[("with", "only_deleted"), ("limit", "250")])
        deleted = trash.get("_embedded", {}).get("leads", []) if isinstance(trash, dict) else []
        honest = all(row.get("is_deleted") for row in deleted if isinstance(row.get("price"), int | None))
        found = "ignored" if not honest else f"{'many' if len(deleted) >= MANY_IDS else len(deleted)} in the trash"
        self._note("`with=only_deleted`", "deleted leads alone", found, honest)

    def _batches(self) -> None:
        marked = f"{NAME}!"
        body = [{"id": self.lead_id, "name": marked}, {"id": self.lead_id, "price": "no number"}]
        status, error = self.client.ask("PATCH", "/api/v4/leads", body=body)
        in_part = self.client.lead(self.lead_id).name == marked
        self.learnt[Trait.BATCHES] = "parts" if in_part else "whole"
        self._note(
            "a batch with one bad item", "refused whole", "applied in part" if in_part else "refused", not in_part
        )
        if isinstance(error, KommoRejectedError):
            is_english = all(item.detail.isascii() for item in error.items)
            self._note("the language of errors", "English", "English" if is_english else "another", is_english)
        status, _ = self.client.ask("PATCH", "/api/v4/leads", body=[{"id": self.lead_id, "name": NAME}, {"id": NOBODY}])
        found = "left_out" if status < 300 else "refused"
        self.learnt[Trait.UNKNOWN_IDS] = found
        self._note("an unknown id in a batch", "refused", found.replace("_", " "), status >= 300)

    def _nothing(self) -> None:
        before = self.client.lead(self.lead_id)
        # Kommo's clock has a grain of a second.
        time.sleep(1.1)
        self._write(name=before.name)
        bumps = self.client.lead(self.lead_id).updated_at != before.updated_at
        self.learnt[Trait.UNCHANGED] = "bumps" if bumps else "quiet"
        self._note("a write that changes nothing", "a new `updated_at`", "a new one" if bumps else "the old one", bumps)

    def _many_ids(self) -> None:
        query = [("filter[id][]", str(LONG_ID - number)) for number in range(MANY_IDS)]
        status, _ = self.client.ask("GET", "/api/v4/leads", query=query)
        self._note(f"{MANY_IDS} ids in one request", "answered", str(status), status < 300)

    def _rights(self) -> None:
        scopes = token_expiry.claims(self.account.access_token).get("scopes")
        scopes_told = ", ".join(map(str, scopes)) if isinstance(scopes, list) else "not told"
        self._note("scopes of the token", "crm", scopes_told, not isinstance(scopes, list) or "crm" in scopes)
        for asked, path in (
            ("users", "/api/v4/users"),
            ("loss reasons", "/api/v4/leads/loss_reasons"),
            ("the events feed", "/api/v4/events"),
            ("webhooks", "/api/v4/webhooks"),
            ("Salesbots", "/api/v4/bots"),
            ("what the plan holds", "/private/api/v2/json/accounts/current"),
        ):
            status, _ = self.client.ask("GET", path, query=[("limit", "1")])
            self._note(f"reading {asked}", "answered", "answered" if status < 300 else str(status), status < 300)
        self._users()
        kinds = [
            contact_field.get("enums") or ()
            for contact_field in self.catalogue.contact_fields
            if contact_field.get("code") == "PHONE"
        ]
        has = any(str(enum["value"]).upper() == "MOB" for enums in kinds for enum in enums)
        self._note("the phone kind MOB", "there", "there" if has else "missing", has)
        if self.account.webhook_destination:
            webhook_subscription.subscribe(self.account, self.client, self.account.webhook_destination)
            refused = self.account.traits.get(Trait.REFUSED_SETTINGS, [])
            self._note(
                "news a webhook may bring", "all", f"not {', '.join(refused)}" if refused else "all", not refused
            )

    def _users(self) -> None:
        """What our user may do, and whether it may act as another one: by two harmless reads."""
        status, found = self.client.ask("GET", f"/api/v4/users/{self.account.kommo_user_id}")
        if status == 200:
            user = UserReply.read(found)
            lacks = [] if user.is_admin else ["administrator", *user.denied]
            summary = f"not {', '.join(lacks)}" if lacks else "all"
        else:
            summary = str(status)
        self._note("rights of our user", "all", summary, summary == "all")
        other = next(
            (colleague["id"] for colleague in self.catalogue.users if colleague["id"] != self.account.kommo_user_id),
            None,
        )
        if other is not None:
            with self.client.in_the_name_of(other):
                status, _ = self.client.ask("GET", "/api/v4/account")
            found = "taken" if status < 300 else "refused"
            self._note("a call in another user's name", "taken", found, found == "taken")

    # --- The table

    def _asks(self, type_: str, asked: str, expected: str) -> bool:
        if type_ in self.fields:
            return True
        self.findings.append(Finding(asked, expected, f"not asked: no lead field of type {type_}", None))
        return False

    def _note(self, asked: str, expected: str, found: str, is_as_expected: bool) -> None:
        self.findings.append(Finding(asked, expected, found, is_as_expected))


def table(findings: list[Finding]) -> Iterator[str]:
    """Yield the lines of the table, its columns as wide as they need to be."""
    rows = [("asked", "expected", "found"), *((finding.asked, finding.expected, finding.found) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    marks = {None: " ", True: "✓", False: "≠"}
    for row, mark in zip(rows, [" ", *(marks[finding.is_as_expected] for finding in findings)], strict=True):
        yield f"{mark} " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
