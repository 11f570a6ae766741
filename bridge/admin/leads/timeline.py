"""Everything that happened to one lead, newest first: what was said, decided, sent, and done by people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.followups.sent_messages import STATE_COLOURS
from bridge.admin.leads import conversation, event_words, rule_changes_of_lead
from bridge.admin.leads.conversation import Bubble
from bridge.models import AgentEvent, Delivery
from bridge.reasons import in_words
from bridge.selectors import lead_list_cells
from leads.models import Event, Lead, Message
from leads.rulebook import rulebook
from leads.same_message import plain_id

SHOWN = 30
Kind = Event.Kind

# Filter -> its label and the kinds of events it shows. What is not in Event has a filter of its own.
FILTERS: dict[str, tuple[Promise, tuple[str, ...]]] = {
    "conversation": (gettext_lazy("Conversation"), (Kind.INTERACTION, Kind.MESSAGE)),
    "decisions": (
        gettext_lazy("Decisions"),
        (Kind.DECISION, Kind.STAGE_CHANGED, Kind.MOVE_SUPPRESSED, Kind.STAFF_TOLD),
    ),
    "people": (
        gettext_lazy("People"),
        (
            Kind.STAFF_MOVE,
            Kind.STAFF_EDIT,
            Kind.HANDOFF,
            Kind.RESUMED,
            Kind.OPTED_OUT,
            Kind.ADDRESS,
            Kind.JOINED,
            Kind.ERASED,
        ),
    ),
    "deliveries": (gettext_lazy("Deliveries"), (Kind.DELIVERY, Kind.CARD)),
    "followups": (gettext_lazy("Follow-ups"), (Kind.FOLLOW_UP,)),
    "agent": (gettext_lazy("Sent to the agent"), ()),
    "rules": (gettext_lazy("Rules"), ()),
}
ICONS = {
    Kind.INTERACTION: "forum",
    Kind.MESSAGE: "block",
    Kind.DECISION: "alt_route",
    Kind.STAGE_CHANGED: "alt_route",
    Kind.MOVE_SUPPRESSED: "block",
    Kind.STAFF_TOLD: "notifications",
    Kind.STAFF_MOVE: "drag_pan",
    Kind.STAFF_EDIT: "edit",
    Kind.HANDOFF: "support_agent",
    Kind.RESUMED: "smart_toy",
    Kind.DELIVERY: "send",
    Kind.FOLLOW_UP: "schedule_send",
    Kind.OPTED_OUT: "do_not_disturb_on",
    Kind.CARD: "style",
    Kind.ERASED: "delete_forever",
}
TONES = {
    Kind.MOVE_SUPPRESSED: "warning",
    Kind.STAFF_TOLD: "warning",
    Kind.MESSAGE: "warning",
    Kind.STAFF_MOVE: "info",
    Kind.STAFF_EDIT: "info",
    Kind.HANDOFF: "warning",
    Kind.RESUMED: "success",
    Kind.OPTED_OUT: "danger",
    Kind.ERASED: "danger",
}
OUTCOME_TONES = {
    Delivery.Outcome.DELIVERED: "success",
    Delivery.Outcome.WOULD_SEND: "info",
    Delivery.Outcome.DROPPED: "neutral",
}


@dataclass(frozen=True)
class Entry:
    """One line. `title`: in the reader's language; `bubble`: what was written; `facts`: (what, value) pairs.

    raw: what was sent, as it was sent. support: pairs that only support looks for.
    """

    at: datetime
    icon: str
    kind: str
    title: str
    actor: str = ""
    bubble: Bubble | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    raw: str = ""
    support: list[tuple[str, str]] = field(default_factory=list)
    tone: str = "neutral"
    key: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Timeline:
    entries: list[Entry]
    older: str


def timeline(lead: Lead, *, show: str, before: datetime | None) -> Timeline:
    """Return the newest entries of a filter ("" for all) up to a time. At most ten queries, each by an index.

    A page ends after a moment, never within it: what happened at once is told together, and `older` begins below it.
    """
    rows = [entry for source in _sources(lead, show) for entry in source(lead, show, before)]
    rows.sort(key=lambda entry: (entry.at, entry.key), reverse=True)
    shown, rest = rows[:SHOWN], rows[SHOWN:]
    while rest and rest[0].at == shown[-1].at:
        shown.append(rest.pop(0))
    return Timeline(shown, shown[-1].at.isoformat() if rest else "")


def _sources(lead: Lead, show: str) -> list[Any]:
    if show == "agent":
        return [_agent]
    if show == "rules":
        return [_rules]
    return [_events] if show in FILTERS else [_events, _agent, _rules]


def _events(lead: Lead, show: str, before: datetime | None) -> Iterator[Entry]:
    rows = lead.events.order_by("-at", "-id")
    if show:
        rows = rows.filter(kind__in=FILTERS[show][1])
    if before:
        rows = rows.filter(at__lt=before)
    stage_names = {key: stage.name for key, stage in rulebook(lead.pipeline).stages_by_key.items()}
    found = list(rows[: SHOWN + 1])
    if len(found) > SHOWN and (last := found[-1]).at == found[-2].at:
        # A history that was imported may hold a whole day under one time: the rest of it, and one to go on with.
        found += rows.filter(at=last.at, pk__lt=last.pk)
        found += rows.filter(at__lt=last.at)[:1]
    names = dict(lead_list_cells.colleagues()) if any("kommo_user_id" in event.data for event in found) else {}
    bubbles = conversation.of_names(lead, ((event.data.get("message") or {}).get("id") or "" for event in found))
    for event in found:
        yield _of_event(event, lead, stage_names, bubbles, names)


def _agent(lead: Lead, show: str, before: datetime | None) -> Iterator[Entry]:
    rows = AgentEvent.objects.filter(lead=lead).order_by("-created_at")
    if before:
        rows = rows.filter(created_at__lt=before)
    for row in rows[: SHOWN + 1]:
        more = [(_("tries"), str(row.attempts))] if row.attempts > 1 else []
        more += [(_("error"), row.error)] if row.error else []
        tones = {AgentEvent.State.DELIVERED: "success", AgentEvent.State.DEAD: "danger"}
        yield Entry(
            at=row.created_at,
            icon="campaign",
            kind=_("told to the agent"),
            title=f"{event_words.AGENT_EVENTS.get(row.type, row.type)}: {row.get_state_display()}",
            actor=str(Lead.Actor.BRIDGE.label),
            facts=more,
            raw=_json(row.data),
            support=[(_("type"), row.type)],
            tone=tones.get(AgentEvent.State(row.state), "neutral"),
            key=(1, str(row.pk)),
        )


def _rules(lead: Lead, show: str, before: datetime | None) -> Iterator[Entry]:
    for revision, met in islice(rule_changes_of_lead.revisions(lead, before=before), SHOWN + 1):
        more = [(_("revision"), str(revision.number))]
        more += (
            [(_("what changed for this lead"), ", ".join(rule_changes_of_lead.name(part, lead) for part in met))]
            if met
            else []
        )
        yield Entry(
            at=revision.created_at,
            icon="rule_settings",
            kind=_("rules changed"),
            title=revision.comment or str(revision.get_origin_display()),
            actor=revision.author_name,
            facts=more,
            tone="info",
            key=(2, f"{revision.pk:020}"),
        )


def _of_event(
    event: Event,
    lead: Lead,
    stage_names: Mapping[str, str],
    bubbles: Mapping[str, Bubble],
    colleagues: Mapping[int, str],
) -> Entry:
    data = dict(event.data)
    bubble = _said(event, lead, bubbles)
    for name in ("message", "text"):
        data.pop(name, None)
    if bubble and bubble.channel:
        data.pop("channel", None)
    sent = data.pop("sent", None)
    kind = Kind(event.kind)
    tone = TONES.get(kind, "neutral")
    title = in_words(event.reason)
    if kind is Kind.DELIVERY:
        outcome = data.get("outcome", "")
        known = outcome in Delivery.Outcome.values
        tone = OUTCOME_TONES.get(Delivery.Outcome(outcome), "danger") if known else tone
        title = ": ".join(str(part) for part in (Delivery.Outcome(outcome).label if known else outcome, title) if part)
    if kind is Kind.FOLLOW_UP:
        tone = STATE_COLOURS.get(data.get("outcome", ""), tone)
    return Entry(
        at=event.at,
        icon=ICONS.get(kind, "circle"),
        kind=str(kind.label),
        title=title,
        actor=_actor(event, colleagues),
        bubble=bubble,
        facts=list(event_words.facts(data, lead, stage_names)),
        raw=_json(sent) if sent else "",
        support=list(event_words.for_support(data)),
        tone=tone,
        key=(0, f"{event.pk:020}"),
    )


def _actor(event: Event, colleagues: Mapping[int, str]) -> str:
    """Return who did it: a person by name, here or, where Kommo's list of users has them, there."""
    if user := event.data.get("user"):
        return _("%(name)s, here") % {"name": user}
    name = colleagues.get(event.data.get("kommo_user_id", 0))
    return _("%(name)s, in Kommo") % {"name": name} if name else str(event.get_actor_display())


def _said(event: Event, lead: Lead, bubbles: Mapping[str, Bubble]) -> Bubble | None:
    """Return what was written: by the message's row, or by what the event kept of one that has none (any more)."""
    message = event.data.get("message") or {}
    name = plain_id(message.get("id") or "")
    # What a follow-up said went to the lead.
    text = event.data.get("text") or message.get("text") or ""
    if name in bubbles:
        bubble = bubbles[name]
    elif text:
        direction = Message.Direction(message.get("direction") or Message.Direction.OUTBOUND)
        author, icon = conversation.who(direction, "", lead)
        side = "theirs" if direction is Message.Direction.INBOUND else "ours"
        bubble = Bubble(event.at, side, author, icon, text)
    else:
        return None
    return replace(bubble, says_channel=bool(bubble.channel))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
