"""The last step: one message, by the same road as the agent's, followed until Kommo has the card."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException

from bridge import first_comparison_report
from bridge.admin import audit_record
from bridge.admin.setup.forms import TrialForm
from bridge.admin.setup.page import show, step
from bridge.admin.setup.steps import Progress
from bridge.api.recording_reports import take_in
from bridge.doctor.workers_and_queue import WORKER_SILENT_AFTER
from bridge.models import ApiKey, Card, Heartbeat
from leads.models import Lead, Pipeline


@step("trial")
def trial(request: HttpRequest, progress: Progress) -> HttpResponse:
    pipeline = Pipeline.objects.filter(account_link__account=progress.account).order_by("-is_default").first()
    key = ApiKey.objects.filter(revoked_at=None).order_by("pk").first()
    region = pipeline.phone_region if pipeline else "BR"
    initial = {"name": _("Test of the bridge"), "text": _("Hello! I saw your advertisement.")}
    form = TrialForm(request.POST if request.method == "POST" else None, region=region, initial=initial)
    if request.method == "POST" and form.is_valid():
        if key is None:
            messages.warning(request, _("Make a key first: the message goes the same way as the agent's."))
            return redirect("setup-key")
        try:
            lead_id = _send(form.cleaned_data, key, pipeline)
        except APIException as error:
            form.add_error(None, str(error.detail))
        else:
            lead = Lead.objects.get(pk=lead_id)
            audit_record.note(request, "Sent a first test message", rows=[lead])
            return redirect(f"{reverse('setup-trial')}?lead={lead_id}")
    first = pipeline.stages.order_by("rank").first() if pipeline else None
    sent = _sent(request)
    account = progress.account
    found = first_comparison_report.take_stock(account) if account and account.connected_at else None
    known = _state(sent) if sent else {}
    return show(request, progress, "trial", form=form, first=first, key=key, sent=sent, found=found, **known)


@step("trial")
def state(request: HttpRequest, progress: Progress) -> HttpResponse:
    """Answer the part of the page that shows how far the message is, for the page to put in its place."""
    sent = _sent(request)
    return render(request, "admin/setup/trial_state.html", {"sent": sent, **(_state(sent) if sent else {})})


def _send(report: dict[str, str], key: ApiKey, pipeline: Pipeline | None) -> str:
    body: dict[str, Any] = {
        "lead": {"phone": report["phone"], "name": report["name"]},
        "message": {"id": f"setup-{uuid4().hex}", "direction": "inbound", "text": report["text"]},
    }
    if pipeline and key.pipeline_id is None:
        body["pipeline"] = pipeline.slug
    [outcome] = take_in([(body, None)], key, now=timezone.now())
    if isinstance(outcome, APIException):
        raise outcome
    _code, answer = outcome
    return str(answer["lead"]["id"])


def _sent(request: HttpRequest) -> Lead | None:
    try:
        asked = UUID(request.GET.get("lead", ""))
    except ValueError:
        return None
    return Lead.objects.filter(pk=asked).select_related("stage", "card__account").first()


def _state(lead: Lead) -> dict[str, Any]:
    """Return how far a lead's card is: on its way, there, or why not."""
    card: Card | None = getattr(lead, "card", None)
    beat = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    return {
        "card": card,
        "arrived": bool(card and card.state == Card.State.IN_SYNC and card.kommo_lead_id),
        "stuck": bool(card and card.state in (Card.State.BLOCKED, Card.State.DEAD, Card.State.GONE)),
        "worker_silent": beat is None or timezone.now() - beat > WORKER_SILENT_AFTER,
        "address": f"{card.account.base_url}/leads/detail/{card.kommo_lead_id}" if card and card.kommo_lead_id else "",
    }
