"""People and background jobs. The queue's pages are read-only: a schedule there could run any function."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django_q import admin as queue
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from bridge import roles, second_factor
from bridge.admin.base import ReadOnlyAdmin, StaffAdmin
from bridge.admin.confirm import AsksAgain, asks_again
from bridge.models import Alert, SecondFactor

for registered in (User, Group):
    admin.site.unregister(registered)


@admin.register(User)
class UserAdmin(AsksAgain, BaseUserAdmin, StaffAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "email", "is_active", "has_second_factor", "last_login")
    list_filter = ("groups", "is_active", "is_superuser")
    actions = ("reset_second_factor",)
    sensitive_actions = ("reset_second_factor",)
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
        (_("What they may do"), {"fields": ("is_staff", "groups")}),
    )
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        (
            _("What they may do"),
            {
                "fields": ("is_active", "is_staff", "groups", "is_superuser", "user_permissions"),
                "description": _("“Staff” lets a person log in here; the group says what for."),
            },
        ),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )

    @display(description=_("role"), label=True)
    def role(self, user: User) -> str:
        return roles.role_of(user) or "-"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        in_use = SecondFactor.objects.filter(user=OuterRef("pk"), confirmed=True)
        return rows.prefetch_related("groups").annotate(uses_second_factor=Exists(in_use))

    @display(description=_("two-step verification"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        return bool(user.uses_second_factor)  # type: ignore[attr-defined]

    @admin.action(
        description=_("Reset two-step verification: the password alone until they set it up again"),
        permissions=["change"],
    )
    def reset_second_factor(self, request: HttpRequest, users: QuerySet[User]) -> None:
        mine = users if request.user.is_superuser else users.filter(is_superuser=False)
        count = second_factor.reset(mine)
        text = ngettext(
            "Two-step verification was reset for %(count)d person.",
            "Two-step verification was reset for %(count)d people.",
            count,
        )
        messages.success(request, text % {"count": count})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = ("last_login", "date_joined")
        # Rights outside the roles are a superuser's to give; anybody else could give them to themselves.
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        form = super().get_form(request, obj, **kwargs)
        if obj is None and "is_staff" in form.base_fields:
            form.base_fields["is_staff"].initial = True
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes themselves: the last admin would be gone."""
        return super().has_delete_permission(request, obj) and self._may_touch(request, obj) and obj != request.user

    def _may_touch(self, request: HttpRequest, user: Any) -> bool:
        return not getattr(user, "is_superuser", False) or bool(request.user.is_superuser)

    @method_decorator(sensitive_post_parameters())
    @asks_again
    def user_change_password(self, *args: Any, **kwargs: Any) -> Any:
        return super().user_change_password(*args, **kwargs)


@admin.register(Group)
class GroupAdmin(AsksAgain, BaseGroupAdmin, StaffAdmin):
    """The shipped roles are shown and not edited: every migrate sets them again. Other groups are staff's own."""

    list_display = ("name", "meaning", "people")

    @admin.display(description=_("what for"))
    def meaning(self, group: Group) -> str:
        return str(roles.MEANING.get(group.name, "-"))

    @admin.display(description=_("people"))
    def people(self, group: Group) -> int:
        return len(group.user_set.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        rows: QuerySet[Group] = super().get_queryset(request)
        return rows.prefetch_related("user_set")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and getattr(obj, "name", "") not in roles.ROLES

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and getattr(obj, "name", "") not in roles.ROLES


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What is wrong for a while now, and whether staff were told; a trouble that is over is not here any more."""

    list_display = ("message", "first_seen_at", "last_seen_at", "times_seen", "told_at", "telling_failed")
    search_fields = ("message", "remedy")
    ordering = ("-last_seen_at",)
    fields = ("message", "remedy", ("first_seen_at", "last_seen_at", "times_seen"), ("told_at", "telling_failed"))


@admin.register(LogEntry)
class RecordAdmin(ReadOnlyAdmin):
    """The record: what people did, newest first."""

    list_display = ("action_time", "user", "what", "to_what", "kind")
    list_filter = ("action_flag", ("user", admin.RelatedOnlyFieldListFilter))
    list_filter_submit = True
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")
    ordering = ("-action_time", "-id")
    fields = ("action_time", "user", "what", "to_what", "kind")

    @display(description=_("what was done"))
    def what(self, entry: LogEntry) -> str:
        return str(entry.get_change_message() or entry.get_action_flag_display())

    @admin.display(description=_("to what"))
    def to_what(self, entry: LogEntry) -> SafeString | str:
        try:
            address = entry.get_admin_url()
        except NoReverseMatch:
            address = None
        if not address or entry.is_deletion():
            return entry.object_repr
        return format_html('<a href="{}">{}</a>', address, entry.object_repr)

    @admin.display(description=_("kind"))
    def kind(self, entry: LogEntry) -> str:
        return str(entry.content_type.name) if entry.content_type else "-"


class ReadOnly:
    """Nobody adds, changes or deletes, and the only action left is looking."""

    actions = ()

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest, *more: Any, **named: Any) -> dict[str, Any]:
        return {}


for model, base in (
    (Schedule, queue.ScheduleAdmin),
    (Success, queue.TaskAdmin),
    (Failure, queue.FailAdmin),
    (OrmQ, queue.QueueAdmin),
):
    # With Redis as the broker django-q2 leaves its queue's page out.
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, type(f"ReadOnly{model.__name__}Admin", (ReadOnly, base, ModelAdmin), {}))
