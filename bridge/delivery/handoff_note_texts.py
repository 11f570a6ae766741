"""What a seller who takes a lead over is told: the words of the note and of the task."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from leads import money
from leads.models import Event, Lead

# How a reason reads in the language that is active; said by whoever knows the languages (bridge/signals.py).
in_words: Callable[[str], str] = str

LAST_MESSAGES = 5
LONGEST_QUOTE = 200


def summary(lead: Lead, call: str = "", currency: str = "") -> str:
    """Return what the seller should know of a lead, in the language that is active: only what is known."""
    reason = call or lead.handoff_reason or lead.handoff_source
    lines = [(_("Please look: %(reason)s") if call else _("Handed over: %(reason)s")) % {"reason": in_words(reason)}]
    known = {
        _("Name"): lead.name,
        _("Interested in"): lead.chosen_flow,
        _("Bill"): _money(lead, currency),
        _("Score"): f"{lead.qualification_score.normalize():f}" if lead.qualification_score is not None else "",
        _("Objections"): ", ".join(objection.name for objection in lead.objections.all()),
        _("Meeting"): _meeting(lead),
        _("Stage"): lead.stage.name if lead.stage else lead.other_stage_name,
    }
    lines += [f"{label}: {value}" for label, value in known.items() if value]
    if last_messages := _last_messages(lead):
        lines += ["", _("Last messages:"), *last_messages]
    return "\n".join(lines)


def _money(lead: Lead, currency: str) -> str:
    if lead.bill_value is None:
        return ""
    currency = currency or money.of_region(lead.pipeline.phone_region)
    return money.written(lead.bill_value, locale=lead.pipeline.locale, currency=currency)


def _meeting(lead: Lead) -> str:
    if not (lead.has_standing_meeting and lead.meeting_starts_at):
        return ""
    return f"{lead.meeting_starts_at.astimezone(ZoneInfo(lead.pipeline.time_zone)):%d/%m/%Y %H:%M}"


def _last_messages(lead: Lead) -> list[str]:
    events = lead.events.filter(kind=Event.Kind.INTERACTION, data__has_key="message").order_by("-at", "-id")
    messages = [event.data["message"] for event in events[:LAST_MESSAGES]]
    who = {"inbound": _("Lead"), "outbound": _("Agent"), "staff": _("Team")}
    return [
        f"{who.get(message['direction'], '?')}: {message['text'][:LONGEST_QUOTE]}"
        for message in reversed(messages)
        if message.get("text")
    ]
