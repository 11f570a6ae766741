"""Who is on the way through which sequence: what goes out next, why and when, and what staff may do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from bridge.admin.base import ReadOnlyAdmin, Tones, safe
from bridge.admin.followups.sent_messages import STATE_COLOURS
from bridge.reasons import in_words
from common.reasons import Reason
from followups import staff_actions
from followups.enrollment_story import Coming, coming, story
from followups.models import Attempt, Enrollment
from leads import optout
from leads.models import Lead

# Acted on in one request, each in a transaction of its own.
MOST_AT_ONCE = 500
ASKED_ABOUT = 20
CONFIRMED = "followups_confirmed"


@dataclass(frozen=True)
class Deed:
    """Something staff do with waiting follow-ups. `asks` says what it means; what is final is asked about first."""

    label: Any
    done: Any
    do: Callable[..., bool]
    asks: Any
    is_final: bool = True


def _opt_out(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    return optout.opt_out(enrollment.lead, by=Lead.Actor.STAFF, reason=Reason("opted_out_by", a=who), now=now)


DEEDS = {
    "send_now": Deed(
        _("Send now"),
        ngettext_lazy("%(count)d message will go out at once.", "%(count)d messages will go out at once.", "count"),
        staff_actions.send_now,
        _("These messages go out at once, even outside the allowed hours."),
    ),
    "hold": Deed(
        _("Hold"),
        ngettext_lazy("%(count)d follow-up held.", "%(count)d follow-ups held.", "count"),
        staff_actions.hold,
        _("They stay paused until somebody releases them."),
        is_final=False,
    ),
    "let_go_on": Deed(
        _("Release"),
        ngettext_lazy("%(count)d follow-up released.", "%(count)d follow-ups released.", "count"),
        staff_actions.let_go_on,
        _("These follow-ups go on; what is overdue goes out as soon as the hours allow."),
        is_final=False,
    ),
    "skip": Deed(
        _("Skip the next message"),
        ngettext_lazy("%(count)d message left out.", "%(count)d messages left out.", "count"),
        staff_actions.skip,
        _("These messages are never sent; the sequence goes on with the one after."),
    ),
    "cancel": Deed(
        _("Cancel the sequence"),
        ngettext_lazy("%(count)d sequence cancelled.", "%(count)d sequences cancelled.", "count"),
        staff_actions.cancel,
        _("Nothing more of these sequences is sent. A new one can begin once the person has written."),
    ),
    "opt_out": Deed(
        _("Opt out: no follow-up ever again"),
        ngettext_lazy("%(count)d person opted out.", "%(count)d people opted out.", "count"),
        _opt_out,
        _("These people get no follow-up ever again, in any pipeline."),
    ),
}

# Buttons of their own on the page of one; the others are under "More".
AT_HAND = ("send_now", "hold", "let_go_on")


def offered(enrollment: Enrollment) -> set[str]:
    """Return the deeds that can do something to an enrollment as it stands. Pure."""
    if enrollment.state != Enrollment.State.WAITING:
        return {"opt_out"}
    return DEEDS.keys() - {"hold" if enrollment.held else "let_go_on"}


class StateFilter(admin.SimpleListFilter):
    """What waits, unless one asks for what is over."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        over = [choice for choice in Enrollment.State.choices if choice[0] != Enrollment.State.WAITING]
        return [("held", _("held")), *over, ("all", _("all"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("waiting")}
        yield from others

    def queryset(self, request: HttpRequest, rows: QuerySet[Enrollment]) -> QuerySet[Enrollment]:
        wanted = self.value() or Enrollment.State.WAITING
        if wanted == "held":
            return rows.filter(state=Enrollment.State.WAITING, held=True)
        return rows if wanted == "all" else rows.filter(state=wanted)


def local(at: datetime | None, zone: str) -> str:
    """Return a time on the lead's clock, as people write it."""
    if at is None:
        return "–"
    there = at.astimezone(ZoneInfo(zone))
    return f"{date_format(there, 'SHORT_DATE_FORMAT')} {there:%H:%M}"


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    nothing_here = _("Nobody waits for a message.")
    list_display = ("who", "what", "says", "when", "state_badge")
    list_filter = (StateFilter, ("sequence", admin.RelatedOnlyFieldListFilter))
    list_filter_submit = True
    search_fields = ("lead__phone", "lead__name")
    search_help_text = _("Phone or name")
    # As the index has them: the nearest first.
    ordering = ("next_at", "pk")
    actions = tuple(DEEDS)
    actions_list = ("figures",)
    actions_detail = (
        *(f"{name}_detail" for name in AT_HAND),
        {"title": _("More"), "items": [f"{name}_detail" for name in DEEDS if name not in AT_HAND]},
    )
    fields = ("lead_link", "sequence", "state_now", "why_so", "started_at", "steps")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Enrollment]:
        rows: QuerySet[Enrollment] = super().get_queryset(request)
        sending = Attempt.objects.filter(state__in=[Attempt.State.SENDING, Attempt.State.HANDED_OVER])
        return rows.select_related("lead__pipeline", "lead__stage", "sequence__pipeline", "version").prefetch_related(
            "lead__objections",
            "lead__further_addresses",
            Prefetch("attempts", queryset=sending, to_attr="on_their_way"),
        )

    # --- Columns

    @display(description=_("lead"), ordering="lead__name", header=True)
    def who(self, enrollment: Enrollment) -> tuple[str, str]:
        return str(enrollment.lead), enrollment.lead.phone or ""

    @admin.display(description=_("next"))
    def what(self, enrollment: Enrollment) -> str:
        found = _coming(enrollment)
        if enrollment.state != Enrollment.State.WAITING:
            return str(enrollment.sequence)
        if found.step is None:
            return f"{enrollment.sequence} · {_('give up')}"
        return f"{enrollment.sequence} · {found.step}/{found.steps}"

    @admin.display(description=_("message"))
    def says(self, enrollment: Enrollment) -> SafeString | str:
        if enrollment.state != Enrollment.State.WAITING:
            return "–"
        found = _coming(enrollment)
        text = Truncator(found.text).chars(80)
        if found.needs_template:
            note = _("needs an approved template on the official WhatsApp API")
            return format_html('{} <span role="img" aria-label="{}" title="{}">⚠</span>', text, note, note)
        return text

    @display(description=_("when (the lead's time) and why"), ordering="next_at", header=True)
    def when(self, enrollment: Enrollment) -> tuple[str, str]:
        found = _coming(enrollment)
        if enrollment.state != Enrollment.State.WAITING:
            return local(enrollment.ended_at, found.zone), in_words(enrollment.reason)
        return local(found.at, found.zone), in_words(found.why)

    @display(description=_("state"), label=Tones({"sending": "info", "held": "warning", "waiting": "success"}))
    def state_badge(self, enrollment: Enrollment) -> tuple[str, str]:
        if enrollment.state == Enrollment.State.WAITING and enrollment.held:
            return "held", str(_("held"))
        if enrollment.state == Enrollment.State.WAITING and _coming(enrollment).on_its_way:
            return "sending", str(_("on its way"))
        return enrollment.state, str(enrollment.get_state_display())

    # --- The page of one

    @admin.display(description=_("lead"))
    def lead_link(self, enrollment: Enrollment) -> SafeString:
        address = reverse("admin:leads_lead_change", args=[enrollment.lead_id])
        return format_html(
            '<a class="kb-link" href="{}">{}</a> {}', address, enrollment.lead, enrollment.lead.phone or ""
        )

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        found: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        enrollment = self.get_object(request, str(object_id)) if object_id else None
        if enrollment is None:
            return found
        names = {f"followups_enrollment_{name}_detail" for name in offered(enrollment)}
        return [action for action in found if action.action_name in names]

    @admin.display(description=_("state"))
    def state_now(self, enrollment: Enrollment) -> SafeString | str:
        _key, label = self.state_badge(enrollment)
        if enrollment.state != Enrollment.State.WAITING or not enrollment.held:
            return str(label)
        until = _("nothing goes out until it is let go on")
        badge: SafeString = format_html('<span class="kb-pill kb-warning">{}</span> {}', label, until)
        return badge

    @admin.display(description=_("reason"))
    def why_so(self, enrollment: Enrollment) -> str:
        if (
            enrollment.state == Enrollment.State.WAITING
            and enrollment.held
            and (hold := staff_actions.holding(enrollment))
        ):
            at = local(hold.at, _coming(enrollment).zone)
            return f"{in_words(hold.reason)}, {at}"
        return in_words(enrollment.reason) or "–"

    @admin.display(description=_("messages"))
    def steps(self, enrollment: Enrollment) -> SafeString:
        zone = _coming(enrollment).zone
        is_held = enrollment.state == Enrollment.State.WAITING and enrollment.held
        lines = [
            {
                "line": line,
                "at": local(line.at, zone),
                "why": in_words(line.why),
                "tone": STATE_COLOURS[line.state] if line.state else "",
                "is_held": is_held and line.state in (None, Attempt.State.SENDING) and line.at is not None,
            }
            for line in story(enrollment)
        ]
        context = {"lines": lines, "zone": zone, "is_held": is_held}
        return SafeString(render_to_string("admin/followups/steps.html", context))

    # --- Deeds

    def _act(self, request: HttpRequest, rows: QuerySet[Enrollment], name: str, *, back: str) -> HttpResponse | None:
        deed = DEEDS[name]
        chosen = list(rows[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            text = _("At most %(count)d at once: choose fewer.") % {"count": MOST_AT_ONCE}
            self.message_user(request, text, messages.WARNING)
            return None
        # The buttons of a page are links, and a link must not act.
        if request.method != "POST" or (deed.is_final and CONFIRMED not in request.POST):
            return self._ask(request, chosen, name, back)
        who, now = request.user.get_username(), timezone.now()
        done = sum(deed.do(enrollment, who=who, now=now) for enrollment in chosen)
        self.message_user(request, deed.done % {"count": done}, messages.SUCCESS if done else messages.WARNING)
        if done < len(chosen):
            text = ngettext(
                "%(count)d had nothing of the kind waiting.",
                "%(count)d had nothing of the kind waiting.",
                len(chosen) - done,
            ) % {"count": len(chosen) - done}
            self.message_user(request, text, messages.WARNING)
        return None

    def _ask(self, request: HttpRequest, chosen: list[Enrollment], name: str, back: str) -> HttpResponse:
        now = timezone.now()
        shown = []
        for enrollment in chosen[:ASKED_ABOUT]:
            found = _coming(enrollment)
            shown.append({"one": enrollment, "coming": found, "there": local(now, found.zone)})
        return TemplateResponse(
            request,
            "admin/followups/confirm.html",
            {
                **self.admin_site.each_context(request),
                "title": DEEDS[name].label,
                "asks": DEEDS[name].asks,
                "name": name,
                "shown": shown,
                "more": max(0, len(chosen) - ASKED_ABOUT),
                "chosen": [enrollment.pk for enrollment in chosen],
                "from_list": "_selected_action" in request.POST,
                "confirmed": CONFIRMED,
                "back": back,
                "warns_of_hours": name == "send_now",
            },
        )

    def _act_on_one(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        rows = self.get_queryset(request).filter(pk=object_id)
        back = reverse("admin:followups_enrollment_change", args=[object_id])
        if request.POST.get("from") == "lead" and (enrollment := rows.first()):
            # Pressed on the lead's own page: whoever did is still busy there.
            back = reverse("admin:leads_lead_change", args=[enrollment.lead_id])
        return self._act(request, rows, name, back=back) or redirect(back)

    @safe
    @action(description=_("Step results"), icon="bar_chart", permissions=["view"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:followups_attempt_outcomes")


def _coming(enrollment: Enrollment) -> Coming:
    """Return what comes next, worked out once for all columns of a row."""
    found: Coming | None = getattr(enrollment, "_coming", None)
    if found is None:
        on_its_way = next(iter(getattr(enrollment, "on_their_way", ())), None)
        found = coming(enrollment, now=timezone.now(), on_its_way=on_its_way)
        enrollment._coming = found  # type: ignore[attr-defined]
    return found


def _add_deeds() -> None:
    """Give the page an action of the list and a button of the single page for each deed."""
    for name, deed in DEEDS.items():
        setattr(EnrollmentAdmin, name, _of_list(name, deed))
        setattr(EnrollmentAdmin, f"{name}_detail", _of_page(name, deed))


def _of_list(name: str, deed: Deed) -> Any:
    @admin.action(description=deed.label)
    def act(self: EnrollmentAdmin, request: HttpRequest, rows: QuerySet[Enrollment]) -> HttpResponse | None:
        return self._act(request, rows, name, back=request.get_full_path())

    act.__name__ = name
    return act


def _of_page(name: str, deed: Deed) -> Any:
    @safe
    @action(description=deed.label, url_path=name.replace("_", "-"))
    def act(self: EnrollmentAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on_one(request, object_id, name)

    act.__name__ = f"{name}_detail"
    return act


_add_deeds()
