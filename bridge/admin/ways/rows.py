"""The page of all ways in and out: two halves, each of rows that look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from bridge.admin.ways import standing
from bridge.admin.ways.guides import GUIDES
from bridge.admin.ways.standing import Standing
from bridge.models import Intake, IntakeCall

# Among so many of the newest calls the last one of each way is looked for; an older one is told by its time alone.
CALLS_SEEN = 100


@dataclass(frozen=True)
class Row:
    """A way: its picture, what it is, how it stands, when it was last at work and with what, and where its page is."""

    name: str
    kind: str
    picture: str
    whose: str
    standing: Standing
    last_at: datetime | None
    last: str
    url: str


@dataclass(frozen=True)
class Half:
    """One direction. `add_url`: where one more is made, for those who may; empty: says what stands there instead."""

    key: str
    title: str
    about: str
    rows: list[Row] = field(default_factory=list)
    add_url: str = ""
    add_label: str = ""
    empty: str = ""


def ways_in(request: HttpRequest) -> Half | None:
    """Return the ways in, with what each last heard. Three queries, however many there are."""
    if not request.user.has_perm("bridge.view_intake"):
        return None
    last = _last_heard()
    rows = [
        Row(
            name=intake.slug,
            kind=GUIDES[intake.kind].name,
            picture=GUIDES[intake.kind].picture,
            whose=str(intake.pipeline or _("the default pipeline")),
            standing=standing.of(intake),
            last_at=intake.heard_at,
            last=last.get(intake.pk, ""),
            url=reverse("admin:bridge_intake_way", args=[intake.pk]),
        )
        for intake in Intake.objects.select_related("pipeline").order_by("slug")
    ]
    may_add = request.user.has_perm("bridge.add_intake")
    return Half(
        key="in",
        title=_("Ways in"),
        about=_("Messengers and calendars that tell by themselves what was said and booked."),
        rows=rows,
        add_url=reverse("admin:bridge_intake_add") if may_add else "",
        add_label=_("Add a way in"),
        empty=_("None yet: the agent reports each message itself. A way in tells them without it, staff's too."),
    )


# Each half of the page, in this order; None for what this person may not see.
HALVES: tuple[Callable[[HttpRequest], Half | None], ...] = (ways_in,)


def halves(request: HttpRequest) -> list[Half]:
    return [half for make in HALVES if (half := make(request)) is not None]


def _last_heard() -> dict[int, str]:
    calls = IntakeCall.objects.order_by("-received_at").prefetch_related("items__lead")[:CALLS_SEEN]
    found: dict[int, str] = {}
    for call in calls:
        found.setdefault(call.intake_id, in_words(call))
    return found


def in_words(call: IntakeCall) -> str:
    """Return what a call told and of whom, in a line; its items are loaded."""
    said = [f"{item.lead}: {what(item.what)}" if item.lead else what(item.what) for item in call.items.all()]
    return ", ".join(said) or str(call.get_state_display())


def what(told: str) -> str:
    """Return what was told, in words; what the other side alone has a word for stays in its word."""
    return {"message": _("a message"), "status": _("news of a message"), "booking": _("a meeting")}.get(told, told)
