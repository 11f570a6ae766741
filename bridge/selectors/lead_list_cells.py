"""What a list tells of each lead beside its own row: the last words, what comes next, whose it is, and its money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from bridge import money_shown
from bridge.models import Catalogue
from followups.models import Enrollment
from leads import waiting_for_people
from leads.models import Lead, Message, Pipeline

# A page has fifty leads; a shelf that is shown whole, two hundred.
NEWEST = Message.objects.filter(lead=OuterRef("pk")).order_by("-at", "-id").values("pk")[:1]


@dataclass(frozen=True)
class Glance:
    """last: what was said last, by whomever. way: the follow-up that comes next. waits_since: for a person."""

    last: Message | None = None
    way: Enrollment | None = None
    waits_since: datetime | None = None
    responsible: str = ""


def of(leads: Sequence[Lead]) -> dict[UUID, Glance]:
    """Return a glance of each lead, by id. Six queries, however many they are."""
    ids = [lead.pk for lead in leads]
    last, ways, waits = _last(ids), _ways(ids), _waits(ids)
    names = dict(colleagues()) if any(lead.kommo_responsible_id for lead in leads) else {}
    _share_pipelines(leads)
    return {
        lead.pk: Glance(
            last.get(lead.pk),
            ways.get(lead.pk),
            waits.get(lead.pk),
            names.get(lead.kommo_responsible_id or 0, ""),
        )
        for lead in leads
    }


def colleagues() -> Iterator[tuple[int, str]]:
    """Yield (Kommo's id, name) of everybody in the accounts, as far as their lists of users could be read."""
    yield from ((user["id"], user["name"]) for user in _users() if user["name"])


def id_of(email: str, name: str) -> int | None:
    """Return who in Kommo is called by this e-mail or, where Kommo shows none, by this name; None for nobody."""
    users = list(_users())
    same = [user["id"] for user in users if email and user.get("email", "").casefold() == email.casefold()]
    same += [user["id"] for user in users if name and user["name"].casefold() == name.casefold()]
    return next(iter(same), None)


def _users() -> Iterator[dict[str, Any]]:
    for users in Catalogue.objects.order_by("account").values_list("users", flat=True):
        yield from users


def _last(ids: list[UUID]) -> dict[UUID, Message]:
    newest = Lead.objects.filter(pk__in=ids).annotate(newest=Subquery(NEWEST)).values_list("newest", flat=True)
    rows = Message.objects.filter(pk__in=[pk for pk in newest if pk])
    return {row.lead_id: row for row in rows.only("lead_id", "at", "direction", "author", "kind", "text")}


def _ways(ids: list[UUID]) -> dict[UUID, Enrollment]:
    rows = Enrollment.objects.filter(lead__in=ids, state=Enrollment.State.WAITING).select_related("sequence")
    found: dict[UUID, Enrollment] = {}
    for row in rows.order_by("next_at", "pk"):
        known = found.get(row.lead_id)
        # What is due now, or nobody knows when, comes after what has a time.
        if known is None or (known.next_at is None and row.next_at):
            found[row.lead_id] = row
    return found


def _waits(ids: list[UUID]) -> dict[UUID, datetime]:
    rows: QuerySet[Any] = waiting_for_people.with_people(Lead.objects.filter(pk__in=ids))
    rows = rows.filter(is_served=False)
    return dict(rows.values_list("pk", "waits_since"))


def _share_pipelines(leads: Sequence[Lead]) -> None:
    """Let leads of one pipeline have it in common, with its money."""
    pipelines: dict[int, Pipeline] = {}
    for lead in leads:
        lead.pipeline = pipelines.setdefault(lead.pipeline_id, lead.pipeline)
    money_shown.learn(pipelines.values())
