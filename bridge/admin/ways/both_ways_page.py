"""The page of all ways in and out: two halves, each of rows that look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bridge.admin.ways import intake_standing
from bridge.admin.ways.intake_guides import GUIDES
from bridge.admin.ways.intake_standing import Standing
from bridge.models import Channel, Intake, IntakeCall, Outgoing

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
    # Why it does not work, where it does not.
    failure: str = ""


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
            standing=intake_standing.of(intake),
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


def ways_out(request: HttpRequest) -> Half | None:
    """Return the ways out, with what each sent or failed at last. Three queries, however many there are."""
    if not request.user.has_perm("bridge.view_channel"):
        return None
    waiting = dict(
        Outgoing.objects.filter(state=Outgoing.State.DUE).order_by().values_list("channel").annotate(count=Count("pk"))
    )
    channels = Channel.objects.select_related("pipeline").order_by("pipeline__slug", "position", "pk")
    rows = [_out(channel, waiting.get(channel.pk, 0)) for channel in channels]
    may_add = request.user.has_perm("bridge.add_channel")
    return Half(
        key="out",
        title=_("Ways out"),
        about=_("By what messages and follow-ups leave. A pipeline's first is tried first, the others when it fails."),
        rows=rows,
        add_url=reverse("admin:bridge_channel_add") if may_add else "",
        add_label=_("Add a way out"),
        empty=_("None yet: the agent says everything itself."),
    )


PICTURES = frozenset({"evolution", "waha", "zapi", "whatsapp_cloud", "chatwoot"})


def picture_of(kind: str) -> str:
    return f"bridge/ways/{kind}.svg" if kind in PICTURES else "bridge/ways/out.svg"


# Each half of the page, in this order; None for what this person may not see.
HALVES: tuple[Callable[[HttpRequest], Half | None], ...] = (ways_in, ways_out)


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
    lines = [f"{item.lead}: {what(item.what)}" if item.lead else what(item.what) for item in call.items.all()]
    return ", ".join(lines) or str(call.get_state_display())


def what(kind: str) -> str:
    """Return what was told, in words; what the other side alone has a word for stays in its word."""
    return {"message": _("a message"), "status": _("news of a message"), "booking": _("a meeting")}.get(kind, kind)


def _out(channel: Channel, waiting: int) -> Row:
    standing = intake_standing.of_channel(channel, timezone.now())
    fails = standing is intake_standing.FAILS
    return Row(
        name=channel.slug,
        kind=str(channel.get_kind_display()),
        picture=picture_of(channel.kind),
        whose=str(channel.pipeline or _("the default pipeline")),
        standing=standing,
        last_at=channel.failed_at if fails else channel.sent_at,
        last=_("%(count)d waiting") % {"count": waiting} if waiting else "",
        url=reverse("admin:bridge_channel_way", args=[channel.pk]),
        failure=channel.failure if fails else "",
    )
