"""The record of what people do in the admin: who, when, to what.

Django's log holds every row that was added, changed or deleted. What pages do beyond that (send again, pause, connect)
gets its line here; and whatever a page forgets to note, the middleware notes by its address, so nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.views.generic import RedirectView

from bridge.admin.is_admin_request import is_for_the_admin
from leads.models import Lead

# Rows by a person's number, which lead to no lead.
NUMBERS = frozenset({"leads.OptOut", "followups.Unreachable"})
# Looking ahead is a POST, for a form travels with it, and does nothing.
LOOKS = frozenset({"rules_what_if", "rules_parts", "rules_holidays", "rules_timeline", "set_language"})
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_written: ContextVar[bool] = ContextVar("a line of the record was written", default=False)


def note(request: HttpRequest, what: str, *, rows: Iterable[Model] = (), about: str = "") -> None:
    """Write that this person did something: to each of the rows, or to what `about` names."""
    by = request.user.pk or 0
    entries = [
        LogEntry(
            user_id=by,
            content_type=ContentType.objects.get_for_model(row, for_concrete_model=False),
            object_id=str(row.pk),
            object_repr=named(row)[:200],
            action_flag=CHANGE,
            change_message=what,
        )
        for row in rows
    ] or [LogEntry(user_id=by, object_repr=about[:200], action_flag=CHANGE, change_message=what)]
    LogEntry.objects.bulk_create(entries, batch_size=500)
    _written.set(True)


def named(row: Model) -> str:
    """Return how the record calls a row: people by their id alone, for the record outlives them."""
    # By its table, not its class: the user of a request is a stand-in that loads the row when it is first read.
    return f"{row._meta.verbose_name} {row.pk}" if is_about_people(row._meta.model) else str(row)


@cache
def is_about_people(model: type[Model]) -> bool:
    """Say whether a table's rows are people, or hang on people however far away: their text may be somebody's name."""
    reached, news = set[Any](), set[Any]({model._meta.concrete_model})
    while news:
        reached |= news
        keys = [key for each_model in news for key in each_model._meta.concrete_fields if key.is_relation]
        news = {key.related_model._meta.concrete_model for key in keys if key.related_model} - reached
    return Lead in reached or model._meta.label in NUMBERS


def narrowed_by(given: QueryDict) -> str:
    """Return how a list was narrowed, without what was searched for: mostly somebody's name or phone."""
    kept = given.copy()
    kept.pop("q", None)
    return kept.urlencode()


@receiver(pre_save, sender=LogEntry)
def _name_nobody(instance: LogEntry, **_: Any) -> None:
    """What Django itself writes of such a row names nobody either."""
    model = instance.content_type.model_class() if instance.content_type else None
    if model and is_about_people(model):
        instance.object_repr = f"{model._meta.verbose_name} {instance.object_id}"


@receiver(post_save, sender=LogEntry)
def _remember(**_: Any) -> None:
    _written.set(True)


def is_noted() -> bool:
    """Say whether the request at hand has its line already."""
    return _written.get()


def did_something(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Say whether an answer means that something was done; a form shown again means that nothing was."""
    if response.status_code >= 400 or request.method in SAFE or _only_looks(request):
        return False
    return (
        response.status_code != 200
        or "HX-Request" in request.headers
        or "attachment" in response.get("Content-Disposition", "")
    )


def _only_looks(request: HttpRequest) -> bool:
    match = request.resolver_match
    # An address of before, which leads to the one of now whatever is posted to it.
    is_old = getattr(getattr(match, "func", None), "view_class", None) is RedirectView
    return is_old or getattr(match, "url_name", "") in LOOKS


class RecordMiddleware:
    """Note every unsafe request to the admin that nobody noted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_for_the_admin(request):
            return self.get_response(request)
        _written.set(False)
        response = self.get_response(request)
        known = getattr(request, "user", None)
        if did_something(request, response) and known and known.is_authenticated and not is_noted():
            note(request, f"{request.method} {request.path}"[:500], about=_view_name(request))
        return response


def _view_name(request: HttpRequest) -> str:
    return getattr(request.resolver_match, "view_name", "") or request.path
