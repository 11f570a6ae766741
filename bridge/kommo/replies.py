"""The parts of Kommo's answers that we use, typed.

Fields new to us are welcome; missing ones we need raise ReplyShapeError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from bridge.kommo.reply_values import (
    LARGEST_ID,
    ReplyShapeError,
    embedded,
    integer,
    is_said,
    listed,
    number,
    rows,
    seconds,
    text,
    texts,
    whole,
)

# As ISO 4217 has them.
CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class AccountReply:
    id: int
    name: str
    subdomain: str
    current_user_id: int
    # As the account's settings name it, and its offset; empty when they do not.
    time_zone: str = ""
    utc_offset: str = ""
    # Three letters, such as BRL; empty when the answer does not say.
    currency: str = ""
    # False: filters on custom fields and times are silently ignored; None when the answer does not say.
    filters_work: bool | None = None

    @classmethod
    def read(cls, data: Any) -> AccountReply:
        inner = data.get("_embedded")
        settings = inner.get("datetime_settings") if isinstance(inner, dict) else None
        times = settings if isinstance(settings, dict) else {}
        filters, currency = data.get("is_api_filter_enabled"), data.get("currency")
        return cls(
            integer(data, "id"),
            text(data, "name"),
            text(data, "subdomain"),
            data.get("current_user_id") or 0,
            str(times.get("timezone") or ""),
            str(times.get("timezone_offset") or ""),
            currency if isinstance(currency, str) and CURRENCY.fullmatch(currency) else "",
            filters if isinstance(filters, bool) else None,
        )


@dataclass(frozen=True)
class StatusReply:
    id: int
    name: str
    pipeline_id: int
    sort: int
    type: int
    color: str

    @classmethod
    def read(cls, data: Any) -> StatusReply:
        return cls(
            integer(data, "id"),
            text(data, "name"),
            data.get("pipeline_id") or 0,
            data.get("sort") or 0,
            data.get("type") or 0,
            data.get("color") or "",
        )


@dataclass(frozen=True)
class PipelineReply:
    id: int
    name: str
    is_main: bool
    is_archive: bool
    statuses: tuple[StatusReply, ...]

    @classmethod
    def read(cls, data: Any) -> PipelineReply:
        statuses = (StatusReply.read(status) for status in embedded(data, "statuses"))
        return cls(
            integer(data, "id"),
            text(data, "name"),
            bool(data.get("is_main")),
            bool(data.get("is_archive")),
            tuple(sorted(statuses, key=lambda status: status.sort)),
        )


@dataclass(frozen=True)
class EnumReply:
    id: int
    value: str
    sort: int


@dataclass(frozen=True)
class FieldReply:
    id: int
    name: str
    type: str
    code: str | None
    enums: tuple[EnumReply, ...]
    # The stages that a lead may enter only with a value here.
    required_statuses: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, data: Any) -> FieldReply:
        options = rows(data.get("enums"))
        enums = tuple(
            EnumReply(integer(option, "id"), str(option.get("value", "")), option.get("sort") or 0)
            for option in options
        )
        required = tuple(row for row in rows(data.get("required_statuses")) if isinstance(row, dict))
        return cls(integer(data, "id"), text(data, "name"), text(data, "type"), data.get("code"), enums, required)


@dataclass(frozen=True)
class NamedReply:
    """A loss reason or a bot: an id and a name."""

    id: int
    name: str

    @classmethod
    def read(cls, data: Any) -> NamedReply:
        return cls(integer(data, "id"), str(data.get("name") or ""))


@dataclass(frozen=True)
class ColleagueReply:
    """A user as the list of users shows them; `email` empty where it does not."""

    id: int
    name: str
    email: str = ""

    @classmethod
    def read(cls, data: Any) -> ColleagueReply:
        return cls(integer(data, "id"), str(data.get("name") or ""), str(data.get("email") or ""))


# Of entities, what a user may do to them: A all of them, G those of the group, M one's own, D none.
DENIED, IN_PART = "D", ("G", "M")
RIGHTS_OF, RIGHTS = ("leads", "contacts"), ("view", "add", "edit")


@dataclass(frozen=True)
class UserReply:
    """A user with rights. None: the answer does not say. denied: `leads.add`; of what is seen in part, `leads.view`.

    Source: https://developers.kommo.com/reference/user-by-id
    """

    id: int
    is_admin: bool | None
    is_active: bool | None
    denied: tuple[str, ...]

    @classmethod
    def read(cls, data: Any) -> UserReply:
        rights = data.get("rights")
        rights = rights if isinstance(rights, dict) else {}
        of = {kind: found for kind in RIGHTS_OF if isinstance(found := rights.get(kind), dict)}
        denied = [
            f"{kind}.{right}"
            for kind, permitted in of.items()
            for right in RIGHTS
            if permitted.get(right) == DENIED or (right == "view" and permitted.get(right) in IN_PART)
        ]
        admin, active = rights.get("is_admin"), rights.get("is_active")
        return cls(
            integer(data, "id"),
            admin if isinstance(admin, bool) else None,
            active if isinstance(active, bool) else None,
            tuple(denied),
        )


@dataclass(frozen=True)
class LimitsReply:
    """How many open leads, and contacts with companies, an account may hold; None: any number, or nobody says."""

    leads: int | None = None
    contacts: int | None = None

    @classmethod
    def read(cls, data: Any) -> LimitsReply:
        found = data
        for key in ("response", "account", "limits"):
            found = found.get(key) if isinstance(found, dict) else None
        limits = found if isinstance(found, dict) else {}
        return cls(_limit(limits.get("active_deals_count")), _limit(limits.get("contacts_count")))


def _limit(given: Any) -> int | None:
    """Return a ceiling; `false` is none at all, and numbers may be texts."""
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= LARGEST_ID else None


@dataclass(frozen=True)
class FieldValuesReply:
    field_id: int
    field_type: str
    values: list[dict[str, Any]]
    name: str = ""


@dataclass(frozen=True)
class LeadReply:
    """A lead. `updated_at` and `created_at` are Unix seconds; ids of value 0 are read as none."""

    id: int
    name: str
    price: int
    pipeline_id: int
    status_id: int
    responsible_user_id: int | None
    loss_reason_id: int | None
    created_at: int
    updated_at: int
    is_deleted: bool
    tags: tuple[str, ...]
    custom_fields: tuple[FieldValuesReply, ...]
    contact_ids: tuple[int, ...] = ()
    main_contact_id: int | None = None
    # Who changed it last; 0 is a robot or an automation, None when the answer does not say.
    updated_by: int | None = None
    # In which dates are days.
    zone: tzinfo = UTC
    # Why nothing but its id, pipeline and time, and the fields if they are well, can be read. It is there, though: what
    # is said of leads that are not does not hold for it.
    unreadable: str = ""

    @classmethod
    def read(cls, data: Any, zone: tzinfo = UTC) -> LeadReply:
        """Read a lead; one that has an id and is odd otherwise is read as `unreadable`."""
        kommo_id = integer(data, "id")
        try:
            return cls._read(data, zone)
        except (ReplyShapeError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
            updated_at = seconds(data.get("updated_at"))
            pipeline_id = data.get("pipeline_id")
            pipeline_id = pipeline_id if isinstance(pipeline_id, int) else 0
            return cls(
                kommo_id, "", 0, pipeline_id, 0, None, None, 0, updated_at, is_said(data.get("is_deleted")), (),
                _fields_at_least(data), zone=zone, unreadable=str(error) or type(error).__name__,
            )  # fmt: skip

    @classmethod
    def _read(cls, data: Any, zone: tzinfo) -> LeadReply:
        contacts = [contact for contact in embedded(data, "contacts") if isinstance(contact.get("id"), int)]
        main = next(
            (contact["id"] for contact in contacts if contact.get("is_main")), contacts[0]["id"] if contacts else None
        )
        return cls(
            id=integer(data, "id"),
            name=str(data.get("name") or ""),
            price=whole(data.get("price")),
            pipeline_id=number(data, "pipeline_id") or 0,
            status_id=number(data, "status_id") or 0,
            responsible_user_id=number(data, "responsible_user_id"),
            loss_reason_id=number(data, "loss_reason_id"),
            created_at=seconds(data.get("created_at")),
            updated_at=seconds(data.get("updated_at")),
            is_deleted=is_said(data.get("is_deleted")),
            tags=tuple(_tag(tag) for tag in listed(data.get("_embedded") or {}, "tags")),
            custom_fields=tuple(field_values(data)),
            contact_ids=tuple(contact["id"] for contact in contacts),
            main_contact_id=main,
            updated_by=data.get("updated_by") if isinstance(data.get("updated_by"), int) else None,
            zone=zone,
        )

    def field_value(self, field_id: int) -> Any:
        """Return the first value of a custom field; None when it is empty."""
        for custom_field in self.custom_fields:
            if custom_field.field_id == field_id and custom_field.values:
                return custom_field.values[0].get("value")
        return None


def _fields_at_least(data: Any) -> tuple[FieldValuesReply, ...]:
    """Return the fields of an odd lead: they may prove whose it is."""
    try:
        return tuple(field_values(data))
    except (ReplyShapeError, AttributeError, TypeError, ValueError):
        return ()


@dataclass(frozen=True)
class ContactReply:
    """A contact as it is listed, or as the answer to a write names it: then times and author may be missing."""

    id: int
    name: str
    phones: tuple[str, ...]
    lead_ids: tuple[int, ...] = ()
    # As Kommo has them, each with its kind: what is written back must be whole.
    phone_values: tuple[dict[str, Any], ...] = ()
    email_values: tuple[dict[str, Any], ...] = ()
    created_at: int = 0
    updated_at: int = 0
    updated_by: int | None = None
    # What staff call the other fields that hold anything, and how many tags there are.
    other_fields: tuple[str, ...] = ()
    tag_count: int = 0

    @classmethod
    def read(cls, data: Any) -> ContactReply:
        return cls(
            integer(data, "id"),
            str(data.get("name") or ""),
            _coded_values(data, "PHONE"),
            tuple(lead["id"] for lead in embedded(data, "leads") if isinstance(lead.get("id"), int)),
            _coded_entries(data, "PHONE"),
            _coded_entries(data, "EMAIL"),
            seconds(data.get("created_at")),
            seconds(data.get("updated_at")),
            data.get("updated_by") if isinstance(data.get("updated_by"), int) else None,
            tuple(_filled_beside(data, "PHONE", "EMAIL")),
            len(embedded(data, "tags")),
        )


@dataclass(frozen=True)
class Created:
    """One lead of a complex create; `merged` when duplicate control joined it to an older lead.

    request_ids: of what became this lead; several where those of one request were joined.
    """

    request_ids: tuple[str, ...]
    lead_id: int
    contact_id: int | None
    merged: bool

    @classmethod
    def read(cls, data: Any) -> Created:
        asked = texts(data.get("request_id"))
        return cls(
            asked, integer(data, "id"), number(data, "contact_id"), is_said(data.get("merged")) or len(asked) > 1
        )


@dataclass(frozen=True)
class Updated:
    lead_id: int
    updated_at: int

    @classmethod
    def read(cls, data: Any) -> Updated:
        return cls(integer(data, "id"), data.get("updated_at") or 0)


@dataclass(frozen=True)
class EventReply:
    """A row of the events feed; `created_by` 0 is a robot."""

    id: str
    type: str
    entity_id: int
    entity_type: str
    created_by: int
    created_at: int

    @classmethod
    def read(cls, data: Any) -> EventReply:
        created_at = seconds(data.get("created_at"))
        if not created_at:
            raise ReplyShapeError("no time in “created_at”")
        return cls(
            str(data.get("id") or ""),
            text(data, "type"),
            number(data, "entity_id") or 0,
            str(data.get("entity_type") or ""),
            number(data, "created_by") or 0,
            created_at,
        )


@dataclass(frozen=True)
class TalkReply:
    """A chat with a contact; `lead_id` is the card it belongs to, 0 for none."""

    id: int
    contact_id: int
    lead_id: int
    is_open: bool
    updated_at: int

    @classmethod
    def read(cls, data: Any) -> TalkReply:
        talk_id = number(data, "talk_id") or number(data, "id")
        if not talk_id:
            raise ReplyShapeError("no “talk_id”")
        is_of_lead = str(data.get("entity_type") or "lead").startswith("lead")
        return cls(
            talk_id,
            number(data, "contact_id") or 0,
            (number(data, "entity_id") or 0) if is_of_lead else 0,
            data.get("is_in_work") is not False and data.get("status", "in_work") == "in_work",
            seconds(data.get("updated_at")),
        )


@dataclass(frozen=True)
class NoteReply:
    id: int
    entity_id: int
    text: str

    @classmethod
    def read(cls, data: Any) -> NoteReply:
        params = data.get("params")
        return cls(
            integer(data, "id"),
            data.get("entity_id") or 0,
            str(params.get("text") or "") if isinstance(params, dict) else "",
        )


@dataclass(frozen=True)
class TaskReply:
    id: int
    entity_id: int
    text: str
    is_completed: bool = False

    @classmethod
    def read(cls, data: Any) -> TaskReply:
        text = str(data.get("text") or "")
        return cls(integer(data, "id"), data.get("entity_id") or 0, text, bool(data.get("is_completed")))


@dataclass(frozen=True)
class WebhookReply:
    destination: str
    disabled: bool
    settings: tuple[str, ...] = field(default=())

    @classmethod
    def read(cls, data: Any) -> WebhookReply:
        return cls(text(data, "destination"), bool(data.get("disabled")), tuple(data.get("settings") or ()))


def _tag(given: Any) -> str:
    name = given if isinstance(given, str) else text(given, "name")
    if not name:
        raise ReplyShapeError("a tag without a name")
    return name


def field_values(data: Any) -> Iterable[FieldValuesReply]:
    for row in listed(data, "custom_fields_values"):
        values = [value for value in listed(row, "values") if isinstance(value, dict)]
        name = str(row.get("field_name") or "")
        yield FieldValuesReply(integer(row, "field_id"), str(row.get("field_type") or ""), values, name)


def is_filled(values: Iterable[Any]) -> bool:
    """Say whether any of a field's values is more than nothing; a box that nobody ticked is nothing."""
    return any(
        isinstance(value, dict) and (given := value.get("value", value)) not in (None, "") and given is not False
        for value in values
    )


def _filled_beside(data: Any, *codes: str) -> Iterable[str]:
    """Yield what staff call the fields that hold anything; one of an odd shape says at least that it is there."""
    for row in listed(data, "custom_fields_values"):
        if row.get("field_code") not in codes and is_filled(rows(row.get("values"))):
            yield str(row.get("field_name") or row.get("field_id") or "")


def _coded_values(data: Any, code: str) -> tuple[str, ...]:
    return tuple(str(entry.get("value") or "") for entry in _coded_entries(data, code))


def _coded_entries(data: Any, code: str) -> tuple[dict[str, Any], ...]:
    for row in listed(data, "custom_fields_values"):
        if row.get("field_code") == code:
            return tuple(entry for entry in listed(row, "values") if isinstance(entry, dict))
    return ()
