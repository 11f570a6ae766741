"""One lead from three sides: what we hold, what Kommo holds, and what both last agreed on, subject by subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from django.utils.formats import number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from bridge.cards.desired import desired, shown_facts, wanted_tags
from bridge.cards.plan import Observed, Plan, plan
from bridge.models import Account, Card, Catalogue
from bridge.money_shown import written
from leads.models import FieldMapping, Lead
from leads.rulebook import Rulebook

CHOICES = (FieldMapping.Type.SELECT, FieldMapping.Type.MULTISELECT)
TIMES = (FieldMapping.Type.DATE, FieldMapping.Type.DATE_TIME)


class Verdict(StrEnum):
    """TO_SEND: ours goes with the next write; IN_DOUBT: sent, not confirmed; THEIRS: Kommo's stands, on purpose."""

    EQUAL = "equal"
    TO_SEND = "to_send"
    IN_DOUBT = "in_doubt"
    THEIRS = "theirs"


@dataclass(frozen=True)
class Side:
    """One subject. `by` and `at` say who set it last, where that is known."""

    subject: str
    ours: str
    theirs: str
    agreed: str
    verdict: Verdict
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Sides:
    """The rows, and the write that would make both sides equal: what it says, and what keeps it back."""

    rows: list[Side]
    plan: Plan

    @property
    def differs(self) -> bool:
        return not self.plan.is_empty


def compare(card: Card, book: Rulebook, account: Account, catalogue: Catalogue | None) -> Sides:
    """Return the sides of a card whose lead, with pipeline, stage and objections, is loaded. No query."""
    wanted = desired(card, book, account, catalogue)
    writing = plan(wanted, Observed(card.kommo_lead_id, card.observed, card.in_doubt))
    return Sides(list(_Comparison(card, book, catalogue, writing).rows()), writing)


class _Comparison:
    def __init__(self, card: Card, book: Rulebook, catalogue: Catalogue | None, writing: Plan) -> None:
        self.card, self.book, self.catalogue, self.plan = card, book, catalogue, writing
        self.lead: Lead = card.lead
        self.facts = shown_facts(self.lead, book)

    def rows(self) -> Iterator[Side]:
        observed, agreed, lead = self.card.observed, self.card.agreed, self.lead
        standing = lead.stage.name if lead.stage else lead.other_stage_name
        yield self._side(
            _("Stage"),
            standing,
            self._status(observed),
            self._status(agreed),
            key="status_id",
            owner={"by": lead.stage_set_by, "at": lead.stage_set_at.isoformat()},
            # By id: the two sides may call one stage by different names.
            is_theirs=bool(lead.stage and observed.get("status_id") not in (None, lead.stage.kommo_status_id)),
        )
        name = lead.provenance.get("name")
        yield self._side(_("Name"), lead.name, observed.get("name"), agreed.get("name"), key="name", owner=name)
        for mapping in self.book.field_mappings:
            yield self._field(mapping)
        yield self._tags()
        # Kommo's own: we look at them and never write them.
        for key, subject in (("price", _("Sale value")), ("responsible_user_id", _("Responsible"))):
            if key in observed:
                shown = self._user if key == "responsible_user_id" else self._price
                owner = self.card.ownership.get(key)
                yield self._side(subject, "", shown(observed[key]), shown(agreed.get(key)), owner=owner)

    def _side(
        self,
        subject: str,
        ours: Any,
        theirs: Any,
        agreed: Any,
        *,
        key: str = "",
        owner: Mapping[str, Any] | None = None,
        is_sent: bool | None = None,
        in_doubt: bool | None = None,
        is_theirs: bool | None = None,
    ) -> Side:
        """Return a row. `key` is what a write and a doubt call the subject, where they have one name for it."""
        ours, theirs, agreed = text(ours), text(theirs), text(agreed)
        if key in self.card.in_doubt if in_doubt is None else in_doubt:
            verdict = Verdict.IN_DOUBT
        elif key in self.plan.effect if is_sent is None else is_sent:
            verdict = Verdict.TO_SEND
        else:
            differs = bool(theirs) and ours != theirs if is_theirs is None else is_theirs
            verdict = Verdict.THEIRS if differs else Verdict.EQUAL
        at = datetime.fromisoformat(owner["at"]) if owner and owner.get("at") else None
        return Side(subject, ours, theirs, agreed, verdict, str(owner["by"]) if owner else "", at)

    def _field(self, mapping: FieldMapping) -> Side:
        key = str(mapping.kommo_field_id)
        ours = self.facts.get(mapping.attribute)
        observed_value = self.card.observed.get("fields", {}).get(key)
        agreed = self.card.agreed.get("fields", {}).get(key)
        owners = (self.lead.provenance.get(mapping.attribute), self.card.ownership.get(f"field:{key}"))
        owner = max(
            (candidate for candidate in owners if candidate), key=lambda candidate: str(candidate["at"]), default=None
        )
        is_sent = key in self.plan.effect.get("fields", {})
        return self._side(
            mapping.kommo_field,
            self._ours(mapping, ours),
            self._value(mapping, observed_value),
            self._value(mapping, agreed),
            owner=owner,
            is_sent=is_sent,
            in_doubt=key in self.card.in_doubt.get("fields", {}),
            # As the plan compares: names of options differ between the two sides.
            is_theirs=observed_value is not None and ours is None,
        )

    def _tags(self) -> Side:
        wanted = wanted_tags(self.lead, self.book)
        observed, agreed = self.card.observed.get("tags", ()), self.card.agreed.get("tags", ())
        changes = ("tags", "tags_to_add", "tags_to_delete")
        wanted_text, held_text, agreed_text = (", ".join(sorted(tags)) for tags in (wanted, observed, agreed))
        return self._side(
            _("Tags"),
            wanted_text,
            held_text,
            agreed_text,
            is_sent=any(key in self.plan.effect for key in changes),
            in_doubt=any(key in self.card.in_doubt for key in changes),
            is_theirs=bool(set(observed) - set(wanted)),
        )

    def _status(self, observed: Mapping[str, Any]) -> str:
        if observed.get("status_id") is None:
            return ""
        place = (observed.get("pipeline_id"), observed["status_id"])
        status = self.catalogue.status(*place) if self.catalogue else None
        return str(status["name"]) if status else str(place[1])

    def _price(self, price: Any) -> str:
        """Return Kommo's own sale value; it has none at nought."""
        return written(Decimal(str(price)), self.lead.pipeline) if price else ""

    def _user(self, user_id: Any) -> str:
        users = self.catalogue.users if self.catalogue else []
        name = next((user.get("name") for user in users if user["id"] == user_id), None)
        return text(name or user_id)

    def _ours(self, mapping: FieldMapping, value: Any) -> str:
        if mapping.type in CHOICES and value not in (None, []):
            values = value if isinstance(value, list) else [value]
            return ", ".join(mapping.options.get(str(part), str(part)) for part in values)
        if mapping.type == FieldMapping.Type.MONETARY and isinstance(value, Decimal):
            return written(value, self.lead.pipeline)
        return text(value)

    def _value(self, mapping: FieldMapping, kommo_value: Any) -> str:
        if kommo_value is None:
            return ""
        if mapping.type in CHOICES:
            names = self._options(mapping)
            return ", ".join(
                str(names.get(option, option))
                for option in (kommo_value if isinstance(kommo_value, list) else [kommo_value])
            )
        if mapping.type in TIMES and isinstance(kommo_value, int):
            return text(datetime.fromtimestamp(kommo_value, UTC))
        if mapping.type in (FieldMapping.Type.NUMERIC, FieldMapping.Type.MONETARY):
            try:
                amount = Decimal(str(kommo_value))
            except InvalidOperation:
                return str(kommo_value)
            return written(amount, self.lead.pipeline) if mapping.type == FieldMapping.Type.MONETARY else text(amount)
        return text(kommo_value)

    def _options(self, mapping: FieldMapping) -> dict[Any, str]:
        for field in self.catalogue.lead_fields if self.catalogue else ():
            if field["id"] == mapping.kommo_field_id:
                return {option["id"]: option["value"] for option in field.get("enums") or ()}
        return {}


def text(value: Any) -> str:
    """Return a value as a person reads it, in the active language and zone; nothing for None."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return str(number_format(value, decimal_pos=0 if whole else 2, force_grouping=True))
    if isinstance(value, datetime):
        return f"{localtime(value):%d/%m/%Y %H:%M}"
    if isinstance(value, list):
        return ", ".join(text(part) for part in value)
    return str(value)
