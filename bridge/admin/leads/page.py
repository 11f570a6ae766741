"""The page of one lead: where it stands and why, what both sides hold, all that happened, and what one can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from bridge.admin import moments_shown
from bridge.admin.leads import conversation, correction_dialog, probably_one_person
from bridge.admin.leads.address_words import KINDS, reached
from bridge.admin.leads.buttons import buttons, stands_with_people
from bridge.admin.leads.timeline import FILTERS, timeline
from bridge.api import representation
from bridge.models import Account, Card, Catalogue
from bridge.money_shown import written
from bridge.roles import ERASE, OPERATE
from bridge.selectors import both_sides, lead_list_cells
from bridge.templatetags.overview import age
from followups.models import Enrollment
from leads.alternatives import Standing
from leads.explanation import why_not
from leads.models import Event, Lead, Meeting
from leads.rulebook import rulebook
from leads.stage_after_handback import place_after

# A person who moved the lead is named instead.
AUTOMATIC = (Lead.Actor.BRIDGE, Lead.Actor.AGENT, Lead.Actor.LEAD)
STATE_TONES = {
    Card.State.IN_SYNC: "success",
    Card.State.SHOWN: "info",
    Card.State.DUE: "info",
    Card.State.RETRYING: "warning",
    Card.State.BLOCKED: "danger",
    Card.State.DEAD: "danger",
    Card.State.GONE: "warning",
    Card.State.CLOSED: "neutral",
}
# What the page tells of a lead beside its card, in this order.
FACTS = (
    "phone",
    "email",
    "bill_value",
    "chosen_flow",
    "qualification_score",
    "is_decision_maker",
    "has_solar_system",
    "has_active_contract",
    "conversation_stage",
)


def find(lead_id: Any) -> Lead | None:
    """Return the lead with all its page needs. Four queries."""
    rows = Lead.objects.select_related("pipeline", "stage", "card__account__catalogue")
    return rows.prefetch_related("objections", "meetings", "further_addresses").filter(pk=lead_id).first()


def context(request: HttpRequest, lead: Lead) -> dict[str, Any]:
    """Return what the page shows; a constant number of queries."""
    card: Card | None = getattr(lead, "card", None)
    show = request.GET.get("show", "")
    show = show if show in FILTERS else ""
    before = moments_shown.read(request.GET.get("before", ""))
    talk = conversation.page(lead, before=request.GET.get("said", ""))
    return {
        **header(request, lead, talk),
        "title": str(lead),
        "sides": _sides(lead, card),
        **_alternatives(lead),
        "stays": list(lead.stays.select_related("stage").order_by("-entered_at", "-id")[:12])[::-1],
        "facts": _facts(lead),
        "doubts": probably_one_person.doubts(lead),
        "boxes": correction_dialog.boxes(lead) if request.user.has_perm(OPERATE) and not lead.erased_at else [],
        "talk": talk,
        "said": request.GET.get("said", ""),
        "timeline": timeline(lead, show=show, before=before),
        "filters": [("", _("Everything")), *((key, label) for key, (label, _kinds) in FILTERS.items())],
        "show": show,
        "before": before,
        "list_url": reverse("admin:leads_lead_changelist"),
    }


def header(request: HttpRequest, lead: Lead, talk: conversation.Page) -> dict[str, Any]:
    """Return what the head of the page shows, which keeps itself up to date: where the lead stands, and the buttons."""
    card: Card | None = getattr(lead, "card", None)
    return {
        "lead": lead,
        "card": card,
        "stage_name": lead.stage.name if lead.stage else lead.other_stage_name,
        "state_tone": STATE_TONES[Card.State(card.state)] if card else "neutral",
        "card_url": _card_url(card),
        "moved": _moved(lead),
        "moved_why": lead.decision_reason if lead.stage_set_by in AUTOMATIC else "",
        "enrollments": list(
            lead.enrollments.filter(state=Enrollment.State.WAITING).select_related("sequence").order_by("next_at")
        ),
        "buttons": buttons(
            lead,
            card,
            list(lead.pipeline.stages.order_by("rank", "id")),
            came_from=place_after(lead) if stands_with_people(lead) else None,
            may_operate=request.user.has_perm(OPERATE),
            may_erase=request.user.has_perm(ERASE),
        ),
        "reached": reached(lead),
        "last_channel": talk.last_channel,
        # What the agent is answered that asks.
        "agent": representation.agent(lead, card, timezone.now()),
        "may_operate": request.user.has_perm(OPERATE),
        "now": timezone.now(),
    }


def _card_url(card: Card | None) -> str:
    return f"{card.account.base_url}/leads/detail/{card.kommo_lead_id}" if card and card.kommo_lead_id else ""


def _sides(lead: Lead, card: Card | None) -> both_sides.Sides | None:
    if card is None:
        return None
    # The very object that is loaded: nothing is read again.
    card.lead = lead
    account: Account = card.account
    catalogue: Catalogue | None = getattr(account, "catalogue", None)
    return both_sides.compare(card, rulebook(lead.pipeline), account, catalogue)


def _alternatives(lead: Lead) -> dict[str, Any]:
    """Return every stage with its reasons; what keeps the lead from all of them is told once, apart."""
    found = why_not(lead)
    others = [alternative.reasons for alternative in found if alternative.standing is Standing.NOT_HERE]
    shared = set(others[0]).intersection(*others[1:]) if len(others) > 1 else set()
    names = {stage.key: stage.name for stage in rulebook(lead.pipeline).stages_by_key.values()}
    tones = {
        Standing.HERE: ("success", "check_circle", _("here")),
        Standing.NEXT: ("info", "arrow_circle_right", _("with the next message")),
        Standing.SUPPRESSED: ("warning", "block", _("kept from it")),
        Standing.NOT_HERE: ("neutral", "radio_button_unchecked", ""),
    }
    rows = [
        {
            "name": names[alternative.stage],
            "reasons": [reason for reason in alternative.reasons if reason not in shared],
            "tone": tones[alternative.standing][0],
            "icon": tones[alternative.standing][1],
            "label": tones[alternative.standing][2],
        }
        for alternative in found
    ]
    # The answer first: where it stands, where it goes next, and what it is kept from. The rest is there for who asks.
    answer = [row for row in rows if row["label"]]
    elsewhere = [row for row in rows if not row["label"]]
    return {"answer": answer, "elsewhere": elsewhere, "in_the_way": sorted(shared)}


def _facts(lead: Lead) -> list[dict[str, Any]]:
    """Return what we know of the person, with who said it and when."""
    labels = {field.name: str(field.verbose_name) for field in Lead._meta.local_concrete_fields}
    rows: list[tuple[str, Any, Any]] = [
        (labels[name], getattr(lead, name), lead.provenance.get(name)) for name in FACTS
    ]
    rows[1:1] = [_address(address, lead) for address in lead.addresses if address["value"] != lead.phone]
    rows += [(name, value, lead.provenance.get(f"custom.{name}")) for name, value in lead.custom.items()]
    objections = [objection.name for objection in lead.objections.all()]
    rows.append((str(_("objections")), objections, lead.provenance.get("objections")))
    rows += [(labels["meeting_status"], *_meeting(meeting)) for meeting in lead.meetings.all()]
    actors = dict(Lead.Actor.choices)
    ways = {
        labels["bill_value"]: lambda value: written(value, lead.pipeline),
        labels["qualification_score"]: _scored(lead),
    }
    return [
        {
            "name": name,
            "value": ways.get(name, both_sides.text)(value),
            "by": actors.get(known["by"], known["by"]) if known else "",
            "at": datetime.fromisoformat(known["at"]) if known else None,
        }
        for name, value, known in rows
        if value not in (None, "", [])
    ]


def _scored(lead: Lead) -> Callable[[Any], str]:
    """Return how a score is told: with its scale, and what qualifies where the pipeline has a minimum."""
    least = rulebook(lead.pipeline).rules.qualification.min_score

    def in_words(score: Any) -> str:
        words = {"score": both_sides.text(score), "least": both_sides.text(least)}
        if least is None:
            return _("%(score)s of 100") % words
        return _("%(score)s of 100, minimum %(least)s") % words

    return in_words


def _address(address: Mapping[str, str], lead: Lead) -> tuple[str, str, dict[str, str] | None]:
    """Return an address, where it was first seen and when."""
    kind = str(KINDS.get(address["kind"], address["kind"]))
    seen = next(
        (
            further_address
            for further_address in lead.further_addresses.all()
            if further_address.value == address["value"]
        ),
        None,
    )
    if seen is None:
        return kind, address["value"], None
    in_kommo = seen.seen_in.isdecimal() or seen.seen_in == "field"
    by = Lead.Actor.KOMMO if in_kommo else Lead.Actor.AGENT if seen.seen_in == "report" else seen.seen_in
    known = {"by": by, "at": seen.first_seen_at.isoformat()}
    return kind, address["value"], known


def _meeting(meeting: Meeting) -> tuple[str, dict[str, str]]:
    """Return what became of a meeting, and who told of it when."""
    status = _("has gone by without a result") if meeting.awaits_result else meeting.get_status_display()
    words = (status, both_sides.text(meeting.starts_at), f"({meeting.meeting_id})" if meeting.meeting_id else "")
    return " ".join(filter(None, words)), {"by": Lead.Actor.AGENT, "at": meeting.told_at.isoformat()}


def _moved(lead: Lead) -> str:
    """Say who put the lead where it stands, and when: a person by name, where that is known."""
    words, reason = {"age": age(lead.stage_set_at)}, lead.decision_reason or ""
    is_by_staff = lead.stage_set_by == Lead.Actor.STAFF
    last = lead.events.filter(kind=Event.Kind.STAFF_MOVE).order_by("-at", "-id").first() if is_by_staff else None
    known = last.data if last else {}
    # A row of before the name was kept may say it in its reason.
    by = re.fullmatch(r"moved by (.+)", reason)
    if user := known.get("user") or (by and by[1]):
        return _("moved by %(who)s, here, %(age)s ago") % {**words, "who": user}
    if who := dict(lead_list_cells.colleagues()).get(known.get("kommo_user_id", 0)):
        return _("moved by %(who)s, in Kommo, %(age)s ago") % {**words, "who": who}
    return _(MOVED[Lead.Actor(lead.stage_set_by)]) % words


MOVED = {
    Lead.Actor.BRIDGE: gettext_noop("moved automatically, %(age)s ago"),
    Lead.Actor.AGENT: gettext_noop("moved automatically, %(age)s ago"),
    Lead.Actor.LEAD: gettext_noop("moved automatically, %(age)s ago"),
    Lead.Actor.STAFF: gettext_noop("moved by the team, in Kommo, %(age)s ago"),
    Lead.Actor.KOMMO: gettext_noop("moved by an automation in Kommo, %(age)s ago"),
}
