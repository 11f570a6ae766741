"""The records of a Kommo account as the sandbox keeps them; statuses are Kommo's word for stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kommo_sandbox.answers import Json

WON_STATUS_ID = 142  # the same in every pipeline
LOST_STATUS_ID = 143  # the same in every pipeline
INCOMING_TYPE = 1  # the type of "Incoming leads"; every other status has 0, won and lost included

LEADS, CONTACTS, COMPANIES = "leads", "contacts", "companies"
KINDS = (LEADS, CONTACTS, COMPANIES)
SINGULAR = {LEADS: "lead", CONTACTS: "contact", COMPANIES: "company"}
# What a kind is called in the old numeric naming of webhooks.
ELEMENT_TYPE = {LEADS: 2, CONTACTS: 1, COMPANIES: 3}


@dataclass(slots=True)
class Status:
    id: int
    name: str
    pipeline_id: int
    sort: int
    color: str
    type: int = 0
    is_editable: bool = True

    @property
    def is_incoming(self) -> bool:
        return self.type == INCOMING_TYPE


@dataclass(slots=True)
class Pipeline:
    id: int
    name: str
    sort: int
    is_main: bool
    is_archive: bool = False
    statuses: dict[int, Status] = field(default_factory=dict)

    def in_order(self) -> list[Status]:
        return sorted(self.statuses.values(), key=lambda status: (status.sort, status.id))

    def first_status(self) -> Status:
        """Return the stage a lead starts in: the first that is neither incoming, won nor lost."""
        closed = (WON_STATUS_ID, LOST_STATUS_ID)
        return next(s for s in self.in_order() if not s.is_incoming and s.id not in closed)

    def incoming_status(self) -> Status:
        return next(status for status in self.statuses.values() if status.is_incoming)


@dataclass(slots=True)
class Enum:
    id: int
    value: str
    sort: int
    code: str | None = None


@dataclass(slots=True)
class Field:
    id: int
    name: str
    type: str
    entity_type: str
    sort: int
    code: str | None = None
    enums: dict[int, Enum] = field(default_factory=dict)
    is_api_only: bool = False
    is_predefined: bool = False
    required_statuses: list[Json] = field(default_factory=list)
    currency: str | None = None


@dataclass(slots=True)
class User:
    id: int
    name: str
    email: str
    is_admin: bool = False


@dataclass(slots=True)
class Entity:
    """What leads, contacts and companies have in common; times are unix seconds, user 0 is the robot."""

    id: int
    kind: str
    name: str
    responsible_user_id: int
    created_by: int
    updated_by: int
    created_at: int
    updated_at: int
    is_deleted: bool = False
    # By field id, each list as the API shows it: [{"value": …, "enum_id": …, "enum_code": …}].
    values: dict[int, list[Json]] = field(default_factory=dict)
    # Tag ids in the order they were attached.
    tags: dict[int, None] = field(default_factory=dict)
    companies: dict[int, None] = field(default_factory=dict)
    # Lower-cased text that `query=` searches in.
    haystack: str = ""


@dataclass(slots=True)
class Lead(Entity):
    price: float = 0
    status_id: int = 0
    pipeline_id: int = 0
    loss_reason_id: int | None = None
    closed_at: int | None = None
    # Contact id -> is it the main one.
    contacts: dict[int, bool] = field(default_factory=dict)
    # Wall-clock seconds with fraction of the last change and the last move, for the board.
    changed_at: float = 0.0
    moved_at: float = 0.0


@dataclass(slots=True)
class Contact(Entity):
    """A person, or with kind `companies` a company."""

    first_name: str = ""
    last_name: str = ""
    leads: dict[int, None] = field(default_factory=dict)


@dataclass(slots=True)
class Talk:
    id: int
    chat_id: str
    contact_id: int
    lead_id: int
    created_at: int
    updated_at: int
    is_in_work: bool = True
    messages: list[Json] = field(default_factory=list)
    # Those no webhook has told of yet.
    kept_back: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Unsorted:
    """A lead that waits in "Incoming leads" for somebody to accept it."""

    uid: str
    category: str
    pipeline_id: int
    lead_id: int
    contact_id: int | None
    created_at: int
    metadata: Json


@dataclass(slots=True)
class Subscription:
    """A webhook destination; the exact URL is its identity."""

    id: int
    destination: str
    settings: list[str]
    created_at: int
    updated_at: int
    created_by: int
    sort: int
    disabled: bool = False
    # Moments (perf_counter) of bad answers, for the rule that switches a destination off.
    bad_answers: list[float] = field(default_factory=list)


Record = dict[str, Any]
