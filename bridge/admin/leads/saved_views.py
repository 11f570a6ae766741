"""Lists of leads under a name: whoever narrows the same list every morning saves it, for themselves or for the team."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from bridge.admin import audit_record
from bridge.admin.leads import undo_on_lead
from bridge.admin.paging import NEWER, OLDER
from bridge.models import SavedView
from bridge.models.saved_view import MOST_OF_ONE_PERSON
from bridge.selectors import lead_list_cells

SALT = "bridge.admin.leads.saved_views"
LIST = "admin:leads_lead_changelist"
# Where one is in a list, what Django adds when it did not understand an address, and what was searched for: mostly
# somebody's name or phone, which must not outlive them here.
PASSING = frozenset({OLDER, NEWER, "e", "p", "q"})


@dataclass(frozen=True)
class Saved:
    """A view that is offered. is_own: by whoever looks; owner: who else made it."""

    pk: int
    name: str
    address: str
    is_chosen: bool
    is_own: bool
    is_shared: bool
    owner: str


@dataclass(frozen=True)
class Shown:
    """The views one may choose; `chosen`: the one that is looked at. query: what a new one would keep."""

    views: list[Saved]
    query: str

    @property
    def chosen(self) -> Saved | None:
        # One's own before somebody else's that shows the same.
        return next(
            iter(sorted((view for view in self.views if view.is_chosen), key=lambda view: not view.is_own)), None
        )

    @property
    def may_be_saved(self) -> bool:
        return bool(self.query) and self.chosen is None


def shown(request: HttpRequest) -> Shown:
    """Return the views of whoever looks, and those that others share. One query."""
    now = query_of(request.GET.urlencode())
    rows = SavedView.objects.filter(Q(owner=request.user.pk) | Q(is_shared=True)).select_related("owner")
    return Shown(
        [
            Saved(
                pk=row.pk,
                name=row.name,
                address=f"{reverse(LIST)}?{row.query}",
                is_chosen=row.query == now,
                is_own=row.owner_id == request.user.pk,
                is_shared=row.is_shared,
                owner=row.owner.get_full_name() or row.owner.get_username(),
            )
            for row in rows.order_by("name", "pk")
        ],
        now,
    )


def query_of(address: str) -> str:
    """Return what narrows and sorts a list, in one order, so that the same list has one spelling."""
    return urlencode(sorted((name, value) for name, value in parse_qsl(address) if name not in PASSING))


def kommo_id_of(user: Any) -> int | None:
    """Return who somebody is in Kommo, by their e-mail or their name; asked once for each request's user."""
    if not hasattr(user, "_kommo_id"):
        user._kommo_id = lead_list_cells.id_of(user.email, user.get_full_name())
    found: int | None = user._kommo_id
    return found


# --- What is done with them: each comes back to the list


def save(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is narrowed under a name; the same name again means the new list."""
    name, query = request.POST.get("name", "").strip()[:60], query_of(request.POST.get("query", ""))
    is_shared = request.POST.get("shared") == "1"
    if not name or len(query) > 1000:
        messages.warning(request, _("Give it a name."))
        return _back(query)
    own = SavedView.objects.filter(owner=request.user.pk)
    if own.count() >= MOST_OF_ONE_PERSON and not own.filter(name=name).exists():
        messages.warning(request, _("You have %(count)d saved views: delete one first.") % {"count": own.count()})
        return _back(query)
    SavedView.objects.update_or_create(
        owner_id=request.user.pk, name=name, defaults={"query": query, "is_shared": is_shared}
    )
    _tell(request, _("Saved as “%(name)s”.") % {"name": name})
    return _back(query)


def change(request: HttpRequest, view_id: int) -> HttpResponse:
    """Give a view another name, share it, or keep it to oneself."""
    view = _own(request, view_id)
    view.name = request.POST.get("name", "").strip()[:60] or view.name
    view.is_shared = request.POST.get("shared") == "1"
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "is_shared"])
    except IntegrityError:
        messages.warning(request, _("You have a view called “%(name)s” already.") % {"name": view.name})
        return _back(view.query)
    shared = _("“%(name)s” is shared with the team.") if view.is_shared else _("Only you see “%(name)s”.")
    _tell(request, shared % {"name": view.name})
    return _back(view.query)


def delete(request: HttpRequest, view_id: int) -> HttpResponse:
    view = _own(request, view_id)
    kept = {"name": view.name, "query": view.query, "shared": view.is_shared, "owner": view.owner_id}
    view.delete()
    message = _("“%(name)s” is deleted.") % {"name": view.name}
    audit_record.note(request, message, about=str(SavedView._meta.verbose_name))
    what = signing.dumps(kept, salt=SALT)
    messages.success(request, undo_on_lead.with_button(request, message, reverse("admin:leads_view_back"), what))
    return redirect(LIST)


def bring_back(request: HttpRequest) -> HttpResponse:
    """Save a view again that was just deleted, unless its owner has made another of that name."""
    try:
        kept = signing.loads(request.POST.get("what", ""), salt=SALT)
    except signing.BadSignature:
        raise Http404 from None
    if kept["owner"] != request.user.pk:
        raise PermissionDenied
    SavedView.objects.get_or_create(
        owner_id=kept["owner"], name=kept["name"], defaults={"query": kept["query"], "is_shared": kept["shared"]}
    )
    _tell(request, _("Undone."))
    return _back(kept["query"])


def _own(request: HttpRequest, view_id: int) -> SavedView:
    return get_object_or_404(SavedView, pk=view_id, owner=request.user.pk)


def _tell(request: HttpRequest, message: str) -> None:
    audit_record.note(request, message, about=str(SavedView._meta.verbose_name))
    messages.success(request, message)


def _back(query: str) -> HttpResponse:
    return redirect(f"{reverse(LIST)}?{query}" if query else reverse(LIST))
