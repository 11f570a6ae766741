"""The overview's buttons: each asks one service, once for all rows it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from bridge.accounts import account_state
from bridge.admin import audit_record
from bridge.admin.base import is_id
from bridge.admin.leads import undo_on_lead
from bridge.admin.leads.buttons import stands_with_people
from bridge.admin.leads.staff_actions import NotDoneError
from bridge.agent import agent_events
from bridge.cards import nudge, outbox
from bridge.delivery import calls_for_a_person, handoff_notes
from bridge.models import Account, AgentEvent, Card, WebhookEvent
from bridge.roles import MANAGE, OPERATE
from bridge.selectors import stuck_cards
from bridge.webhooks.inbox import reprocess
from common.reasons import Reason
from leads import handoff, optout
from leads.models import Lead

# Webhooks put back into the inbox at once; pressing again takes the next ones.
REPLAYED_AT_ONCE = 1_000

Doing = Callable[[HttpRequest, QueryDict], str]
Row = TypeVar("Row", bound=Model)


@require_POST
def act(request: HttpRequest, do: str) -> HttpResponse:
    """Do what a button of the overview says, if this person may, and come back with what was done."""
    if do not in ACTIONS:
        raise Http404
    if not request.user.has_perm(NEEDS.get(do, OPERATE)):
        raise PermissionDenied
    try:
        message = ACTIONS[do](request, request.POST)
        lead = Lead.objects.filter(pk=request.POST["lead"]).first() if "lead" in request.POST else None
        # Without the button that takes it back.
        what = message.partition(" <form")[0]
        audit_record.note(request, what, rows=[lead] if lead else (), about=_("overview"))
        messages.success(request, message)
    except NotDoneError as error:
        messages.warning(request, str(error))
    return redirect("admin:index")


def _named(rows: QuerySet[Row], text: str) -> Row:
    """Return the row of this id. Raises Http404, for what can be none too."""
    if not is_id(rows.model, text):
        raise Http404
    return get_object_or_404(rows, pk=text)


def _requeue(request: HttpRequest, posted: QueryDict) -> str:
    cards = stuck_cards.cards_of(posted.get("state", ""), posted.get("cause", ""))
    accounts = list(cards.values_list("account_id", flat=True).distinct())
    done = outbox.requeue(cards, now=timezone.now(), lane=Card.Lane.LIVE)
    for account_id in accounts:
        nudge.send(account_id)
    return ngettext("%(count)d card will be sent again.", "%(count)d cards will be sent again.", done) % {"count": done}


def _resume_agent(request: HttpRequest, posted: QueryDict) -> str:
    lead = _named(Lead.objects.select_related("stage"), posted.get("lead", ""))
    if stands_with_people(lead):
        words = {"lead": lead, "stage": lead.stage}
        raise NotDoneError(_("%(lead)s stands in %(stage)s: say on the lead's page where it goes.") % words)
    reason = Reason("resumed_by", a=request.user)
    before = undo_on_lead.standing(lead)
    if handoff.resume(lead, by=Lead.Actor.STAFF, reason=reason, now=timezone.now()):
        done = _("The agent answers again.")
        return undo_on_lead.with_undo(request, done, do="resume", lead_id=lead.pk, before=before)
    return _("The agent answers already.")


def _opt_out(request: HttpRequest, posted: QueryDict) -> str:
    lead = _named(Lead.objects.all(), posted.get("lead", ""))
    before = undo_on_lead.standing(lead)
    if not optout.opt_out(lead, by=Lead.Actor.STAFF, reason=Reason("opted_out_by", a=request.user), now=timezone.now()):
        return _("This person has opted out already.")
    done = _("This person gets no follow-up ever again.")
    return undo_on_lead.with_undo(request, done, do="opt-out", lead_id=lead.pk, before=before)


def _did_not_ask(request: HttpRequest, posted: QueryDict) -> str:
    lead = _named(Lead.objects.all(), posted.get("lead", ""))
    calls_for_a_person.dismiss(lead, now=timezone.now())
    return _("This person is written to as before.")


def _resume_account(request: HttpRequest, posted: QueryDict) -> str:
    account = _named(Account.objects.all(), posted.get("account", ""))
    account_state.resume(account, now=timezone.now())
    nudge.send(account.pk)
    return _("%(account)s: deliveries go on.") % {"account": account}


def _tell_sellers_again(request: HttpRequest, posted: QueryDict) -> str:
    for account_id in handoff_notes.tell_again(now=timezone.now()):
        nudge.send(account_id)
    return _("The sellers are told again.")


def _replay_webhooks(request: HttpRequest, posted: QueryDict) -> str:
    failed = WebhookEvent.objects.filter(state=WebhookEvent.State.FAILED).order_by("pk").only("pk")
    done = reprocess(failed[:REPLAYED_AT_ONCE])
    return ngettext("%(count)d webhook will be read again.", "%(count)d webhooks will be read again.", done) % {
        "count": done
    }


def _replay_agent_events(request: HttpRequest, posted: QueryDict) -> str:
    dead = AgentEvent.objects.filter(state=AgentEvent.State.DEAD)
    done = agent_events.replay(dead, now=timezone.now())
    return ngettext("The agent is told %(count)d event again.", "The agent is told %(count)d events again.", done) % {
        "count": done
    }


ACTIONS: dict[str, Doing] = {
    "requeue": _requeue,
    "resume-agent": _resume_agent,
    "resume-account": _resume_account,
    "opt-out": _opt_out,
    "did-not-ask": _did_not_ask,
    "tell-sellers-again": _tell_sellers_again,
    "replay-webhooks": _replay_webhooks,
    "replay-agent-events": _replay_agent_events,
}
# What takes more than working with leads.
NEEDS = {"resume-account": MANAGE}
