"""Taking back what was just done to a lead, for as long as nothing has happened to it since.

What is needed for it travels in the button, signed: what was done, how the lead stood before, and how after. If
it stands otherwise by then, somebody or the conversation went on from there, and nothing is taken back over them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bridge.admin import audit_record
from bridge.roles import OPERATE
from common.reasons import Reason
from leads import handoff, optout, stage_moves
from leads.models import Lead, Stage

SALT = "bridge.admin.leads.undo_on_lead"
# Of what a deed leaves behind: by this is seen whether anything has happened since.
TRACES = {
    "move": ("stage_id", "stage_set_at"),
    "pause": ("handoff_source", "handoff_since"),
    "resume": ("handoff_source", "resumed_at", "stage_id", "stage_set_at"),
    "opt-out": ("opted_out_at",),
    "take-back": ("opted_out_at",),
}


def standing(lead: Lead) -> dict[str, Any]:
    """Return how a lead stands before something is done to it: what taking it back has to bring back."""
    stage = lead.stage.key if lead.stage else ""
    return {"stage": stage, "source": lead.handoff_source, "reason": lead.handoff_reason}


def with_undo(request: HttpRequest, message: str, *, do: str, lead_id: Any, before: dict[str, Any]) -> str:
    """Return what was done as the page says it, with a button that takes it back where that can be done."""
    lead = Lead.objects.filter(pk=lead_id).first()
    if lead is None or do not in TRACES or (do == "move" and not before["stage"]):
        return message
    kept = {"lead": str(lead.pk), "do": do, "before": before, "after": _traces(lead, do)}
    return with_button(request, message, reverse("lead-undo"), signing.dumps(kept, salt=SALT))


def with_button(request: HttpRequest, message: str, address: str, what: str) -> str:
    """Return what was done with a button that takes it back: an address, and what it is told, signed."""
    return format_html(
        '{} <form method="post" action="{}" class="kb-undo"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<input type="hidden" name="what" value="{}"><button class="kb-undo-button">{}</button></form>',
        message,
        address,
        get_token(request),
        what,
        _("Undo"),
    )


def _traces(lead: Lead, do: str) -> list[str]:
    return [str(getattr(lead, name)) for name in TRACES[do]]


@require_POST
def page(request: HttpRequest) -> HttpResponse:
    """Take back what a button says was done, if the lead still stands as it was left, and come back to its page."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied
    try:
        kept = signing.loads(request.POST.get("what", ""), salt=SALT)
    except signing.BadSignature:
        raise Http404 from None
    lead = get_object_or_404(Lead.objects.select_related("pipeline", "stage"), pk=kept["lead"])
    reason = Reason("undone_by", a=request.user)
    if lead.erased_at or _traces(lead, kept["do"]) != kept["after"]:
        messages.warning(request, _("Not undone: the lead has gone on since."))
    elif UNDOES[kept["do"]](lead, kept["before"], reason, timezone.now()):
        message = _("Undone.")
        audit_record.note(request, message, rows=[lead])
        messages.success(request, message)
    return redirect("admin:leads_lead_change", lead.pk)


def _move_back(lead: Lead, before: dict[str, Any], reason: str, now: datetime) -> bool:
    stage = Stage.objects.filter(pipeline=lead.pipeline_id, key=before["stage"]).first()
    return stage is not None and stage_moves.move(lead, stage, by=Lead.Actor.STAFF, reason=reason, now=now)


def _resume(lead: Lead, before: dict[str, Any], reason: str, now: datetime) -> bool:
    return handoff.resume(lead, by=Lead.Actor.STAFF, reason=reason, now=now)


def _pause_again(lead: Lead, before: dict[str, Any], reason: str, now: datetime) -> bool:
    """Give the lead back to the people who had it, in the stage where they had it; they know, and are not called."""
    moved = lead.stage is not None and lead.stage.key != before["stage"] and _move_back(lead, before, reason, now)
    if moved and Lead.objects.exclude(handoff_source="").filter(pk=lead.pk).exists():
        return True
    source = Lead.HandoffSource(before["source"])
    paused = handoff.pause(
        lead, source=source, by=Lead.Actor.STAFF, reason=before["reason"] or reason, now=now, tells_staff=False
    )
    return moved or paused


def _take_back(lead: Lead, before: dict[str, Any], reason: str, now: datetime) -> bool:
    return optout.take_back(lead, reason=f"opt-out {reason}", now=now)


def _opt_out(lead: Lead, before: dict[str, Any], reason: str, now: datetime) -> bool:
    return optout.opt_out(lead, by=Lead.Actor.STAFF, reason=reason, now=now)


UNDOES: dict[str, Callable[[Lead, dict[str, Any], str, datetime], bool]] = {
    "move": _move_back,
    "pause": _resume,
    "resume": _pause_again,
    "opt-out": _take_back,
    "take-back": _opt_out,
}
