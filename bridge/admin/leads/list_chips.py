"""What a seller asks the list of leads: the chips above it, whose leads they are, by what they are sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from bridge.admin.leads import saved_views
from bridge.admin.paging import KeysetChangeList
from bridge.selectors import lead_list_cells, lead_list_chips
from bridge.selectors.lead_list_chips import SHELVES, Order, Shelf
from leads import may_speak
from leads.models import Lead, Stage

MINE = "me"
ON_SHELF, OF, BY = "shelf", "of", "by"
CHIPS: tuple[tuple[str, str, Promise], ...] = (
    ("waiting", "support_agent", _("Waiting for a person")),
    ("talking", "forum", _("Talking now")),
    ("today", "event", _("Meeting today")),
    ("tomorrow", "event_upcoming", _("Meeting tomorrow")),
    ("silent", "hourglass_empty", _("No answer")),
    ("followed", "schedule_send", _("Follow-ups running")),
    ("trouble", "error", _("In trouble")),
    ("lost", "block", _("Given up")),
)
ORDERS: dict[Order, Promise] = {
    Order.TOUCHED: _("Last touched"),
    Order.NEW: _("Newest lead"),
    Order.WORTH: _("Largest value"),
}


class Unseen(admin.SimpleListFilter):
    """A filter with links of its own above the list, and no place among the others."""

    template = "admin/lead/unseen_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("", "")]


class OnShelf(Unseen):
    title = _("what is asked for")
    parameter_name = ON_SHELF

    def queryset(self, request: HttpRequest, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        key = self.value()
        if key and key not in SHELVES:
            raise IncorrectLookupParameters
        return SHELVES[key].narrow(leads, timezone.now()) if key else leads


class OfResponsible(Unseen):
    title = _("responsible")
    parameter_name = OF

    def queryset(self, request: HttpRequest, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        wanted = self.value() or ""
        if not wanted:
            return leads
        if wanted == MINE:
            user_id = saved_views.kommo_id_of(request.user)
            return leads.filter(kommo_responsible_id=user_id) if user_id else leads.none()
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            raise IncorrectLookupParameters
        return leads.filter(kommo_responsible_id=int(wanted))


class InOrder(Unseen):
    """By what the list is sorted: read by the list itself."""

    title = _("order")
    parameter_name = BY

    def queryset(self, request: HttpRequest, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        return leads


@dataclass(frozen=True)
class Link:
    """A choice above the list: `address` chooses it or, where it is chosen, lets go of it."""

    label: Any
    address: str
    is_chosen: bool = False
    icon: str = ""


class LeadList(KeysetChangeList):
    """The list of leads as it was asked for, with the links that ask for something else."""

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        self.request = request
        super().__init__(request, *arguments)

    @property
    def shelf(self) -> Shelf | None:
        return SHELVES.get(self._asked(ON_SHELF))

    @property
    def order(self) -> Order:
        """Return what the list is sorted by: what was asked for, where an index has it in that order."""
        wanted, offered = self._asked(BY), self.shelf.orders if self.shelf else tuple(Order)
        return next((order for order in offered if order == wanted), Order.TOUCHED)

    @property
    def keyset(self) -> str:
        return self.order.keyset

    def _asked(self, name: str) -> str:
        return str(self.request.GET.get(name, ""))

    def parts(self) -> list[QuerySet[Any]]:
        return lead_list_chips.parts(self.queryset, self.shelf, self.order, self._stages())

    def _stages(self) -> list[Stage]:
        """Return the stages that the other filters leave."""
        stages = Stage.objects.order_by("pipeline", "rank", "pk")
        for name, column in (("stage__id__exact", "pk"), ("pipeline__id__exact", "pipeline")):
            if (wanted := self._asked(name)).isdigit():
                stages = stages.filter(**{column: wanted})
        return list(stages)

    def _page(self) -> list[Any]:
        shelf = self.shelf
        if shelf and shelf.in_order:
            found = list(self.queryset.order_by(*shelf.in_order)[: lead_list_chips.MOST_SHOWN])
        else:
            found = super()._page()
        prefetch_related_objects(found, "further_addresses")
        shut, seen = may_speak.refusals(found), lead_list_cells.of(found)
        for lead in found:
            lead.is_refused, lead.glance = lead.pk in shut, seen[lead.pk]
        return found

    # --- What stands above the list

    @cached_property
    def views(self) -> saved_views.Shown:
        return saved_views.shown(self.request)

    @property
    def chips(self) -> list[Link]:
        chosen = self._asked(ON_SHELF)
        return [
            Link(label, self._with(ON_SHELF, "" if key == chosen else key), key == chosen, icon)
            for key, icon, label in CHIPS
        ]

    @cached_property
    def people(self) -> list[Link]:
        """Return whose leads may be asked for: one's own first, where one is known in Kommo."""
        chosen = self._asked(OF)
        known = sorted(lead_list_cells.colleagues(), key=lambda colleague: colleague[1].casefold())
        found = [(str(user_id), name) for user_id, name in known]
        if known and saved_views.kommo_id_of(self.request.user):
            found.insert(0, (MINE, str(_("My leads"))))
        return [Link(name, self._with(OF, "" if key == chosen else key), key == chosen) for key, name in found]

    @property
    def person(self) -> Any:
        return next((chosen.label for chosen in self.people if chosen.is_chosen), "")

    @property
    def orders(self) -> list[Link]:
        shelf = self.shelf
        if shelf and shelf.in_order:
            return []
        offered = shelf.orders if shelf else tuple(Order)
        return [Link(ORDERS[order], self._with(BY, order.value), order == self.order) for order in offered]

    @property
    def order_name(self) -> Any:
        return ORDERS[self.order]

    @property
    def is_cut(self) -> bool:
        """Say whether a shelf that is shown whole holds more than is shown."""
        return bool(self.shelf and self.shelf.in_order) and len(self.result_list) >= lead_list_chips.MOST_SHOWN

    @property
    def letting_go(self) -> Iterator[Link]:
        """Yield what narrows the list beside the chips, each with the address that lets go of it."""
        for spec in self.filter_specs:
            if isinstance(spec, Unseen):
                continue
            chosen = [choice for choice in spec.choices(self) if choice.get("selected")]
            names = [name for name in spec.expected_parameters() if name in self.params]
            if names and chosen:
                yield Link(chosen[0]["display"], self.get_query_string(remove=names), is_chosen=True)

    def _with(self, name: str, value: str) -> str:
        return str(self.get_query_string({name: value}) if value else self.get_query_string(remove=[name]))
