"""What all pages of the admin share: who may act, that it is recorded, and the two kinds of lists.

An action that names no permission needs an operator. Everything done by an action is on the record of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction

from bridge import roles
from bridge.admin import audit_record, export
from bridge.admin.confirm import chosen_action
from bridge.admin.list_lookups import AskedByItsFilters

EXPORT = "_export"


class Tones(dict[str, str]):
    """The colours of a badge, by the value it stands for. A value without one is neutral, and named like the others.

    In a plain dictionary a missing value would be shown by its key, in no language.
    """

    def __missing__(self, value: str) -> str:
        return ""


def safe(button: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a button that only leads somewhere, or that asks with a form of its own: following its link does nothing."""
    button.is_safe = True  # type: ignore[attr-defined]
    return button


def is_id(model: type[Model], text: str) -> bool:
    """Say whether a text of an address can be the id of a row at all."""
    try:
        model._meta.pk.to_python(text)
    except (ValidationError, ValueError):
        return False
    # A text that no database holds.
    return "\0" not in text


def _keep_ids(request: HttpRequest, model: type[Model]) -> None:
    """Let a list's form choose nothing by what can be no row's id: looking for it would raise."""
    chosen = request.POST.copy()
    chosen.setlist(
        ACTION_CHECKBOX_NAME,
        [chosen_id for chosen_id in chosen.getlist(ACTION_CHECKBOX_NAME) if is_id(model, str(chosen_id))],
    )
    request.POST = chosen  # type: ignore[assignment]


class ListCalledByItsRows:
    """A list whose tab of the browser says what it lists; Django's own asks to choose a row, though there be none."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))  # type: ignore[attr-defined]
        page: HttpResponse = super().changelist_view(request, {"title": title, **(extra_context or {})})  # type: ignore[misc]
        return page


class StaffAdmin(AskedByItsFilters, ListCalledByItsRows, ModelAdmin):
    """A page for staff, by role (bridge/roles.py): `permissions=["operate"]`, `["manage"]`, `["erase"]` on actions."""

    # Why the list is empty, where it is and nothing was asked for: a sentence.
    nothing_here: str | Promise = ""

    @property
    def urls(self) -> list[URLPattern]:
        found: list[URLPattern] = super().urls
        for pattern in found:
            pattern.callback = self._about_a_row(pattern.callback)
        return found

    def _about_a_row(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Let a page that names a row by what is no id be 404, as where there is none: asking for it would raise."""

        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            # By place: a row and one of its versions, whose ids are of one kind.
            named = [*args, *(kwargs[name] for name in ("object_id",) if name in kwargs)]
            if not all(is_id(self.model, unquote(str(argument))) for argument in named):
                raise Http404
            return view(request, *args, **kwargs)

        return answered

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(roles.OPERATE))

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(roles.MANAGE))

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(roles.EXPORT))

    def has_erase_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(roles.ERASE))

    # --- Actions on chosen rows of a list

    # `more`: from Django 6.1 on also where on the page the actions are shown.
    def get_actions(self, request: HttpRequest, *more: Any, **named: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request, *more, **named)
        if self.has_operate_permission(request):
            return found
        return {name: action for name, action in found.items() if hasattr(action[0], "allowed_permissions")}

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *more: Any, **named: Any
    ) -> HttpResponse | None:
        _keep_ids(request, self.model)
        name = chosen_action(request)
        description = next((str(action[2]) for key, action in self.get_actions(request).items() if key == name), name)
        whole_list = request.POST.get("select_across") == "1"
        chosen = [] if whole_list else list(queryset.filter(pk__in=request.POST.getlist("_selected_action")))
        response: HttpResponse | None = super().response_action(request, queryset, *more, **named)
        # Deleting writes a line for each row itself.
        if name != "delete_selected" and response is not None and audit_record.did_something(request, response):
            if chosen:
                audit_record.note(request, description, rows=chosen)
            elif whole_list:
                name = self.opts.verbose_name_plural
                audit_record.note(request, description, about=f"{name} {audit_record.narrowed_by(request.GET)}")
        return response

    # --- Buttons of a page, a list or a row

    def get_unfold_action(self, action: str) -> UnfoldAction:
        found: UnfoldAction = super().get_unfold_action(action)
        return replace(found, method=self._guarded(found))

    def _guarded(self, action: UnfoldAction) -> Any:
        method: Any = action.method

        @wraps(method)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            # Before anything is shown: Unfold asks for the right only where the button acts.
            if not self._may_press(
                request, getattr(method, "allowed_permissions", ("operate",)), kwargs.get("object_id")
            ):
                raise PermissionDenied
            # Unfold's buttons are links, and anybody may send somebody a link: what acts is a form of our own page.
            if request.method != "POST" and not getattr(method, "is_safe", False):
                return self._press(request, action, kwargs.get("object_id"))
            response = method(request, *args, **kwargs)
            self._record_button(request, action, response, kwargs.get("object_id"))
            return response

        if not hasattr(method, "allowed_permissions"):
            guarded.allowed_permissions = ("operate",)  # type: ignore[attr-defined]
        return guarded

    def _may_press(self, request: HttpRequest, permissions: Iterable[str], object_id: Any) -> bool:
        """Say whether somebody has all of a button's permissions, which are named as Unfold has them."""
        return all(
            request.user.has_perm(name) if "." in name else getattr(self, f"has_{name}_permission")(request, object_id)
            for name in permissions
        )

    def _press(self, request: HttpRequest, action: UnfoldAction, object_id: Any) -> HttpResponse:
        """Answer a page with the button itself: a link that was followed, from wherever, has done nothing."""
        row = self.get_object(request, object_id) if object_id else None
        page = "change" if row else "changelist"
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=[row.pk] if row else [])
        about = capfirst(f"{self.opts.verbose_name} {row}" if row else str(self.opts.verbose_name_plural))
        context = {**self.admin_site.each_context(request), "title": action.description, "about": about, "back": back}
        return render(request, "admin/press.html", context)

    def _record_button(self, request: HttpRequest, action: UnfoldAction, response: Any, object_id: Any) -> None:
        acted = 300 <= getattr(response, "status_code", 0) < 400 or audit_record.did_something(request, response)
        if request.method != "POST" or not acted or audit_record.is_noted():
            return
        row = self.get_object(request, object_id) if object_id else None
        audit_record.note(
            request, str(action.description), rows=[row] if row else (), about=str(self.opts.verbose_name)
        )


class ReadOnlyAdmin(StaffAdmin):
    """Rows the bridge writes: staff read them and act on them, nobody edits them."""

    list_fullwidth = True
    # Counting a large table costs more than showing a page of it.
    show_full_result_count = False
    list_per_page = 50
    list_after_template = "admin/export_links.html"
    # Look-ups to take out as columns; empty: every column of the table that is no secret.
    export_columns: tuple[str, ...] = ()
    # What some of them are called in a file.
    export_heads: Mapping[str, Any] = {}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        given = request.GET.copy()
        asked = (given.pop(EXPORT, None) or [""])[-1]
        if not asked:
            can_export = self.has_export_permission(request)
            page: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "can_export": can_export})
            return page
        if not self.has_export_permission(request):
            raise PermissionDenied
        # Django takes every parameter it does not know for a filter.
        request.GET = given  # type: ignore[assignment]
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return redirect(f"{request.path}?{ERROR_FLAG}=1")
        name = str(self.opts.verbose_name_plural)
        audit_record.note(request, f"Took the list out as {asked}", about=f"{name} {audit_record.narrowed_by(given)}")
        columns = export.columns_of(self.model, self.export_columns, self.export_heads)
        write = export.as_xlsx if asked == "xlsx" else export.as_csv
        reader = export.MACHINE if asked == "csv" else export.Reader.of(self.model, columns)
        return write(rows, columns, name=name, reader=reader)  # type: ignore[return-value]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AdvancedAdmin(ReadOnlyAdmin):
    """A table as it is stored, to be looked at when something is amiss. For admins."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(roles.ADVANCED)) and super().has_view_permission(request, obj)


class RawRulesAdmin(SimpleHistoryAdmin, AdvancedAdmin):
    """A table of the rules as it is stored, with who changed what.

    Rules are changed on the rules pages alone, where a draft, a look ahead and a reason come before it.
    """

    history_list_per_page = 50
