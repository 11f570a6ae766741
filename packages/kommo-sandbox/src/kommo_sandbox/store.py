"""The account's records in memory, with the indexes that keep 20 000 leads quick. Not locked: the sandbox is."""

from __future__ import annotations

import time
import unicodedata
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from kommo_sandbox.answers import Json
from kommo_sandbox.entities import (
    COMPANIES,
    CONTACTS,
    KINDS,
    LEADS,
    LOST_STATUS_ID,
    WON_STATUS_ID,
    Contact,
    Entity,
    Field,
    Lead,
    Pipeline,
    Status,
    Subscription,
    Talk,
    Unsorted,
    User,
)

MOST_EVENTS = 100_000

E = TypeVar("E", bound=Entity)


def now() -> int:
    """Return the time as Kommo stamps it: whole unix seconds."""
    return int(time.time())


def digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


class Numbers:
    """Ever larger numbers, as itertools.count, which Python 3.14 no longer lets a store be copied with."""

    def __init__(self, first: int) -> None:
        self._next = first

    def __iter__(self) -> Numbers:
        return self

    def __next__(self) -> int:
        self._next += 1
        return self._next - 1


class EntityTable(Generic[E]):
    """One kind of entity by id, by time of change and by field value."""

    def __init__(self, first_id: int) -> None:
        self.by_id: dict[int, E] = {}
        self._next_id = Numbers(first_id)
        # (updated_at, id), kept sorted: a poll for recent changes reads its end alone.
        self._by_update: list[tuple[int, int]] = []
        self._by_value: defaultdict[tuple[int, str], dict[int, None]] = defaultdict(dict)

    def new_id(self) -> int:
        return next(self._next_id)

    def add(self, entity: E) -> None:
        self.by_id[entity.id] = entity
        insort(self._by_update, (entity.updated_at, entity.id))

    def get(self, entity_id: int) -> E | None:
        """Return the entity, or None when it is unknown or deleted."""
        entity = self.by_id.get(entity_id)
        return None if entity is None or entity.is_deleted else entity

    def remove(self, entity: E) -> None:
        """Forget the entity altogether, as a merge does."""
        for field_id in list(entity.values):
            self.set_values(entity, field_id, None)
        self._forget_update(entity)
        del self.by_id[entity.id]

    def touch(self, entity: E, updated_at: int) -> None:
        self._forget_update(entity)
        entity.updated_at = updated_at
        insort(self._by_update, (updated_at, entity.id))

    def set_values(self, entity: E, field_id: int, values: list[Json] | None) -> None:
        """Replace all values of one field; None or an empty list clears it."""
        for item in entity.values.pop(field_id, ()):
            self._by_value[field_id, str(item.get("value"))].pop(entity.id, None)
        if values:
            entity.values[field_id] = values
            for item in values:
                self._by_value[field_id, str(item.get("value"))][entity.id] = None

    def with_value(self, field_id: int, text: str) -> set[int]:
        return set(self._by_value.get((field_id, text), ()))

    def updated_between(self, start: int, end: int | None) -> Iterator[E]:
        """Yield the entities changed in `start..end` (both included), oldest change first."""
        for index in range(bisect_left(self._by_update, (start, 0)), len(self._by_update)):
            updated_at, entity_id = self._by_update[index]
            if end is not None and updated_at > end:
                return
            yield self.by_id[entity_id]

    def _forget_update(self, entity: E) -> None:
        index = bisect_left(self._by_update, (entity.updated_at, entity.id))
        del self._by_update[index]


class Tags:
    """The tags of one kind of entity; names are compared as they stand after trimming, in NFC."""

    def __init__(self, first_id: int) -> None:
        self.names: dict[int, str] = {}
        self.colors: dict[int, str | None] = {}
        self._ids: dict[str, int] = {}
        self._ids_in_any_case: dict[str, int] = {}
        self._next_id = Numbers(first_id)

    @staticmethod
    def _key(name: str) -> str:
        return unicodedata.normalize("NFC", name.strip())

    def find(self, name: str, *, any_case: bool = False) -> int | None:
        key = self._key(name)
        found = self._ids.get(key)
        return self._ids_in_any_case.get(key.casefold()) if found is None and any_case else found

    def ensure(self, name: str, color: str | None = None, *, any_case: bool = False) -> int:
        """Return the id of the tag with this name, made if it is new."""
        found = self.find(name, any_case=any_case)
        if found is not None:
            return found
        key, tag_id = self._key(name), next(self._next_id)
        self._ids[key], self.names[tag_id], self.colors[tag_id] = tag_id, name.strip(), color
        self._ids_in_any_case.setdefault(key.casefold(), tag_id)
        return tag_id


class Store:
    """Everything one Kommo account holds."""

    def __init__(self, account_id: int, subdomain: str) -> None:
        self.account_id = account_id
        self.subdomain = subdomain
        self.currency = "BRL"
        self.users: dict[int, User] = {}
        self.admin_id = 0
        self.pipelines: dict[int, Pipeline] = {}
        self.fields: dict[str, dict[int, Field]] = {kind: {} for kind in KINDS}
        self.loss_reasons: dict[int, str] = {}
        self.task_types: dict[int, str] = {}
        self.bots: dict[int, str] = {}
        # Ranges differ so that an id in the wrong place is found nowhere.
        self.leads: EntityTable[Lead] = EntityTable(20_000_001)
        self.contacts: EntityTable[Contact] = EntityTable(40_000_001)
        self.companies: EntityTable[Contact] = EntityTable(60_000_001)
        self.tags = {LEADS: Tags(482_001), CONTACTS: Tags(492_001), COMPANIES: Tags(498_001)}
        self.notes: dict[int, Json] = {}
        self.notes_of: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        self.tasks: dict[int, Json] = {}
        self._open_tasks: defaultdict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        self.events: deque[Json] = deque(maxlen=MOST_EVENTS)
        self.talks: dict[int, Talk] = {}
        self.unsorted: dict[str, Unsorted] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.bot_runs: list[Json] = []
        # Chat messages sent by the API, for the quota.
        self.messages_sent = 0
        # (pipeline, status) -> ids of living leads, last changed last.
        self.standing: defaultdict[tuple[int, int], dict[int, None]] = defaultdict(dict)
        # Grows with every change a person could see on the board; after a reset it is another one at once.
        self.version = time.time_ns() // 1_000_000
        self._ids = {
            "status": Numbers(91_000_001),
            "pipeline": Numbers(11_700_001),
            "field": Numbers(1_300_001),
            "enum": Numbers(1_200_001),
            "note": Numbers(4_600_001),
            "task": Numbers(1_564_001),
            "event": Numbers(1),
            "talk": Numbers(191),
            "subscription": Numbers(839_601),
        }

    def new_id(self, of: str) -> int:
        return next(self._ids[of])

    # --- Entities of any kind

    def table(self, kind: str) -> EntityTable[Lead] | EntityTable[Contact]:
        if kind == LEADS:
            return self.leads
        return self.contacts if kind == CONTACTS else self.companies

    def entity(self, kind: str, entity_id: int) -> Entity | None:
        return self.table(kind).get(entity_id)

    def reindex(self, entity: Entity) -> None:
        """Rebuild what a text search finds: the name, every value, and the digits of phone numbers."""
        parts = [entity.name]
        for values in entity.values.values():
            for item in values:
                text = str(item.get("value"))
                parts.append(text)
                if text[:1] in "+(0123456789" and (bare := digits(text)) != text and len(bare) >= 8:
                    parts.append(bare)
        entity.haystack = "\n".join(parts).lower()

    def place(self, lead: Lead, pipeline_id: int, status_id: int) -> None:
        """Stand the lead in a stage and make it the last changed there."""
        self.standing[lead.pipeline_id, lead.status_id].pop(lead.id, None)
        lead.pipeline_id, lead.status_id = pipeline_id, status_id
        if not lead.is_deleted:
            self.standing[pipeline_id, status_id][lead.id] = None
        self.version += 1

    def note_task(self, task: Json) -> None:
        """Keep the index of open tasks by entity in step with a task that was added or changed."""
        open_ones = self._open_tasks[str(task["entity_type"]), task["entity_id"] or 0]
        open_ones.pop(task["id"], None)
        if not task["is_completed"]:
            open_ones[task["id"]] = task["complete_till"]

    def closest_task_at(self, kind: str, entity_id: int) -> int | None:
        """Return when the next open task of an entity is due; None without one."""
        open_ones = self._open_tasks.get((kind, entity_id))
        return min(open_ones.values()) if open_ones else None

    # --- Pipelines, fields, people

    @property
    def main_pipeline(self) -> Pipeline:
        return next(pipeline for pipeline in self.pipelines.values() if pipeline.is_main)

    def pipeline_of(self, status_id: int) -> Pipeline | None:
        """Return the pipeline a stage belongs to; None when unknown, or won or lost, which all of them have."""
        if status_id in (WON_STATUS_ID, LOST_STATUS_ID):
            return None
        return next((p for p in self.pipelines.values() if status_id in p.statuses), None)

    def status(self, pipeline_id: int, status_id: int) -> Status | None:
        pipeline = self.pipelines.get(pipeline_id)
        return pipeline.statuses.get(status_id) if pipeline else None

    def field(self, kind: str, *, field_id: object = None, code: object = None) -> Field | None:
        if field_id is not None:
            return self.fields[kind].get(field_id) if isinstance(field_id, int) else None
        return next((field for field in self.fields[kind].values() if code and field.code == code), None)

    def is_user(self, user_id: int, *, robot: bool = False) -> bool:
        return user_id in self.users or (robot and user_id == 0)

    # --- The audit feed

    def record(
        self,
        type_: str,
        *,
        entity: Entity,
        by: int,
        before: list[Json] | None = None,
        after: list[Json] | None = None,
        kind: str = "",
        at: int | None = None,
    ) -> None:
        """Append to the events feed; `kind` is the singular entity type, taken from the entity if empty."""
        self.events.append(
            {
                "id": f"{self.new_id('event'):026d}",
                "type": type_,
                "entity_id": entity.id,
                "entity_type": kind or entity.kind.removesuffix("s").replace("companie", "company"),
                "created_by": by,
                "created_at": now() if at is None else at,
                "value_after": after or [],
                "value_before": before or [],
                "account_id": self.account_id,
            }
        )
