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
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from bridge import roles, second_factor
from bridge.admin.base import ListCalledByItsRows, ReadOnlyAdmin, StaffAdmin
from bridge.admin.confirm import AsksAgain, asks_again
from bridge.admin.invitations import InvitationForm, RoleField, give_role, invite
from bridge.admin.list_lookups import AskedByItsFilters
from bridge.models import Alert, SecondFactor

for registered in (User, Group):
    admin.site.unregister(registered)


# Each is a mail of its own.
MOST_INVITED_AT_ONCE = 20


class PersonForm(UserChangeForm):
    """A person with their role; somebody with a mixture of staff's own has none of the shipped ones."""

    role = RoleField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].initial = roles.role_of(self.instance)


@admin.register(User)
class UserAdmin(AsksAgain, BaseUserAdmin, StaffAdmin):  # type: ignore[type-arg]
    form = PersonForm
    add_form = InvitationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("person", "role", "email", "is_active", "has_second_factor", "last_login")
    list_filter = ("groups", "is_active", "is_superuser")
    actions = ("send_link", "reset_second_factor")
    sensitive_actions = ("send_link", "reset_second_factor")
    add_fieldsets = ((None, {"fields": ("email", "first_name", "role")}),)
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "password", "is_active")}),
        (_("What they may do"), {"fields": ("role",)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    # Rights outside the roles are a superuser's to give; anybody else could give them to themselves.
    superuser_fieldsets = (
        (
            _("Advanced"),
            {"classes": ("collapse",), "fields": ("is_staff", "is_superuser", "groups", "user_permissions")},
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fieldsets(request, obj)
        return (*found, *self.superuser_fieldsets) if obj and request.user.is_superuser else found

    @admin.display(description=_("name"), ordering="first_name")
    def person(self, user: User) -> str:
        return user.get_full_name() or user.get_username()

    @display(description=_("role"), label=True)
    def role(self, user: User) -> str:
        return str(roles.NAMES.get(roles.role_of(user), "-"))

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

    @admin.action(description=_("Send a link to choose a new password"), permissions=["change"])
    def send_link(self, request: HttpRequest, users: QuerySet[User]) -> None:
        mine = users if request.user.is_superuser else users.filter(is_superuser=False)
        for user in mine.filter(is_active=True).exclude(email="")[:MOST_INVITED_AT_ONCE]:
            invite(request, user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("last_login", "date_joined")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if role := form.cleaned_data.get("role"):
            give_role(form.instance, role)
        if not change:
            invite(request, form.instance)

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

    list_display = ("called", "meaning", "people")

    @admin.display(description=_("name"), ordering="name")
    def called(self, group: Group) -> str:
        return str(roles.NAMES.get(group.name, group.name))

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

    nothing_here = _("Nothing is wrong.")
    list_display = ("message", "first_seen_at", "last_seen_at", "times_seen", "told_at", "telling_failed")
    search_fields = ("message", "remedy")
    ordering = ("-last_seen_at",)
    fields = ("message", "remedy", ("first_seen_at", "last_seen_at", "times_seen"), ("told_at", "telling_failed"))


@admin.register(LogEntry)
class RecordAdmin(ReadOnlyAdmin):
    """The record: what people did, newest first."""

    nothing_here = _("Nobody has done anything yet.")
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


class ReadOnly(AskedByItsFilters, ListCalledByItsRows):
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

# The tables of who failed to log in are axes' own pages, which any column could be asked for.
for model in [model for model in admin.site._registry if model._meta.app_label == "axes"]:
    base = type(admin.site._registry[model])
    admin.site.unregister(model)
    admin.site.register(model, type(base.__name__, (AskedByItsFilters, base), {}))
