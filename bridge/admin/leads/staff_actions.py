"""What staff do on a lead's page: each calls one service, says what came of it, and is on the lead's timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bridge.admin import audit_record
from bridge.admin.confirm import question
from bridge.admin.leads import correction_dialog, undo_on_lead
from bridge.admin.leads.buttons import stands_with_people
from bridge.cards import nudge, outbox
from bridge.errors import KommoError
from bridge.inbound import missing_leads, reconciliation
from bridge.models import Card
from bridge.roles import ERASE, OPERATE
from common.reasons import Reason
from followups import unreachable_numbers
from leads import agent_or_person, erasure, facts_set_in_the_admin, handoff, joining, optout, stage_moves
from leads.models import Event, JoinedLead, Lead, ProbablySame, Stage

# In the question who else stays: the ids of those who were shown.
SEEN = "seen"


class NotDoneError(Exception):
    """The service did not do it; the message says why, in words for staff."""


@dataclass(frozen=True)
class Doing:
    """`permission` one needs, and the service: it returns what to say, or raises NotDoneError.

    asks_again: the password is asked for unless it was given just now. asks_first: returns the page that has to be
    answered before, None for none.
    """

    permission: str
    service: Callable[[HttpRequest, Lead], str | Promise]
    asks_again: bool = False
    asks_first: Callable[[HttpRequest, Lead], HttpResponse | None] = lambda request, lead: None


def act(request: HttpRequest, lead_id: str, do: str) -> HttpResponse:
    """Do one thing to a lead and come back to its page. Raises PermissionDenied and Http404."""
    doing = ACTIONS.get(do)
    if doing is None:
        raise Http404
    if not request.user.has_perm(doing.permission):
        raise PermissionDenied
    if doing.asks_again and (asked := question(request)) is not None:
        return asked
    lead = get_object_or_404(Lead.objects.select_related("pipeline", "stage"), pk=lead_id)
    try:
        if lead.erased_at and do != "erase":
            raise NotDoneError(_("The person was erased: nothing more is done about them."))
        if (page := doing.asks_first(request, lead)) is not None:
            return page
        before = undo_on_lead.standing(lead)
        message = str(doing.service(request, lead))
        # It may be another one by now, with which it was joined.
        lead_id = str(lead_id if Lead.objects.filter(pk=lead.pk).exists() else _joined_with(lead_id).pk)
        audit_record.note(request, message, rows=[Lead.objects.get(pk=lead_id)])
        messages.success(request, undo_on_lead.with_undo(request, message, do=do, lead_id=lead_id, before=before))
    except NotDoneError as error:
        messages.warning(request, str(error))
    return redirect("admin:leads_lead_change", lead_id)


def _card_of(lead: Lead) -> Card:
    card = Card.objects.select_related("account").filter(lead=lead).first()
    if card is None:
        raise NotDoneError(_("This lead has no card: its pipeline is connected to no Kommo account."))
    return card


def _compare(request: HttpRequest, lead: Lead) -> str:
    card = _card_of(lead)
    if card.kommo_lead_id is None:
        raise NotDoneError(_("There is nothing to compare yet: the card is not in Kommo."))
    try:
        report = reconciliation.compare_card(card)
    except KommoError as error:
        raise NotDoneError(_("Kommo could not be asked: %(error)s") % {"error": error}) from error
    nudge.send(card.account_id)
    if report.gone:
        return _("The card is not in Kommo any more.")
    subjects = {subject for found in report.drifted.values() for subject in found}
    if subjects:
        return _("Kommo had other values, and they were taken over: %(subjects)s") % {
            "subjects": ", ".join(sorted(subjects))
        }
    return _("Checked: Kommo says the same.")


def _send(request: HttpRequest, lead: Lead) -> str:
    """Send what differs now, whatever kept the card: a wait, a refusal, a missing configuration."""
    card = _card_of(lead)
    if not outbox.requeue(Card.objects.filter(pk=card.pk), now=timezone.now(), lane=Card.Lane.LIVE):
        raise NotDoneError(_("Nothing is sent: the card is %(state)s.") % {"state": card.get_state_display()})
    reason = Reason("sent_again_by", a=request.user)
    lead.events.create(at=timezone.now(), kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason)
    nudge.send(card.account_id)
    return _("The card is sent now.")


def _recreate(request: HttpRequest, lead: Lead) -> str:
    card = _card_of(lead)
    if not missing_leads.recreate([card], who=str(request.user), now=timezone.now()):
        raise NotDoneError(_("The card is in Kommo; a second one is not made."))
    return _("A new card is made in Kommo.")


def _close(request: HttpRequest, lead: Lead) -> str:
    card = _card_of(lead)
    if not missing_leads.close([card], who=str(request.user), now=timezone.now()):
        raise NotDoneError(_("The card is closed already."))
    return _("The card is closed: nothing is written to it any more.")


def _pause(request: HttpRequest, lead: Lead) -> str:
    reason = request.POST.get("reason", "").strip() or Reason("paused_by", a=request.user)
    source = Lead.HandoffSource.ADMIN
    user = request.user.get_username()
    if not handoff.pause(lead, source=source, by=Lead.Actor.STAFF, reason=reason, now=timezone.now(), user=user):
        raise NotDoneError(_("The agent is silent already."))
    return _("The agent is silent for this lead.")


def _resume(request: HttpRequest, lead: Lead) -> str:
    reason = Reason("resumed_by", a=request.user)
    if stands_with_people(lead):
        return _give_back_to(_chosen_stage(request, lead), lead, reason)
    if not agent_or_person.give_back(lead, by=Lead.Actor.STAFF, reason=reason, now=timezone.now()):
        raise NotDoneError(_("The agent answers already."))
    return _("The agent answers again.")


def _move(request: HttpRequest, lead: Lead) -> str:
    stage = _chosen_stage(request, lead)
    reason = request.POST.get("reason", "").strip() or Reason("moved_by", a=request.user)
    who = {"user": request.user.get_username()}
    if not stage_moves.move(lead, stage, by=Lead.Actor.STAFF, reason=reason, now=timezone.now(), by_whom=who):
        raise NotDoneError(_("The lead stands in %(stage)s already.") % {"stage": stage})
    return _("The lead stands in %(stage)s now, and rules leave it there.") % {"stage": stage}


def _chosen_stage(request: HttpRequest, lead: Lead) -> Stage:
    stage = Stage.objects.filter(pipeline=lead.pipeline_id, key=request.POST.get("stage", "")).first()
    if stage is None:
        raise NotDoneError(_("Choose a stage."))
    return stage


def _give_back_to(stage: Stage, lead: Lead, reason: str) -> str:
    """Move the lead out of the stage where people have it, which gives it back to the agent."""
    try:
        agent_or_person.give_back(lead, by=Lead.Actor.STAFF, reason=reason, stage=stage, now=timezone.now())
    except agent_or_person.StaysSilentError as error:
        text = _("In %(stage)s the agent stays silent: choose another stage.") % {"stage": stage}
        raise NotDoneError(text) from error
    return _("The agent answers again. The lead stands in %(stage)s now.") % {"stage": stage}


def _correct(request: HttpRequest, lead: Lead) -> str:
    try:
        facts = correction_dialog.read(request.POST)
    except correction_dialog.UnreadableError as error:
        raise NotDoneError(str(error)) from error
    if not facts_set_in_the_admin.correct(lead, facts, user=request.user.get_username(), now=timezone.now()):
        raise NotDoneError(_("Nothing was changed."))
    return _("Changed here, and soon in Kommo.")


def _opt_out(request: HttpRequest, lead: Lead) -> str:
    reason = Reason("opted_out_by", a=request.user)
    if not optout.opt_out(lead, by=Lead.Actor.STAFF, reason=reason, now=timezone.now()):
        raise NotDoneError(_("This person has opted out already."))
    return _("This person gets no follow-up ever again.")


def _take_back(request: HttpRequest, lead: Lead) -> str:
    if not optout.take_back(lead, reason=Reason("opt_out_taken_back_by", a=request.user), now=timezone.now()):
        raise NotDoneError(_("This person has not opted out."))
    return _("This person may get follow-ups again. What was stopped does not begin again by itself.")


def _lift(request: HttpRequest, lead: Lead) -> str:
    if not unreachable_numbers.lift(lead, who=str(request.user), now=timezone.now()):
        raise NotDoneError(_("This number may be written to already."))
    return _("This number may be written to again. What was stopped does not begin again by itself.")


def _join(request: HttpRequest, lead: Lead) -> str:
    pair = _pair(request, lead)
    if joining.join_by_hand(pair, name=request.user.get_username(), now=timezone.now()) is None:
        raise NotDoneError(_("One of the two is not there any more."))
    return _("They are one lead now, with everything both knew.")


def _keep_apart(request: HttpRequest, lead: Lead) -> str:
    pair = _pair(request, lead)
    pair.are_two = True
    pair.save(update_fields=["are_two"])
    return _("They are two people: nobody is asked again.")


def _pair(request: HttpRequest, lead: Lead) -> ProbablySame:
    number = request.POST.get("pair", "")
    rows = ProbablySame.objects.filter(Q(older=lead) | Q(younger=lead), are_two=False)
    pair = rows.filter(pk=number).first() if number.isascii() and number.isdigit() and len(number) < 19 else None
    if pair is None:
        raise NotDoneError(_("That was decided meanwhile."))
    return pair


def _joined_with(former_id: str) -> Lead:
    return JoinedLead.objects.select_related("lead").get(former_id=former_id).lead


def _erase(request: HttpRequest, lead: Lead) -> str:
    # Typed, not clicked: nothing brings it back.
    if request.POST.get("sure", "").strip() != str(lead):
        raise NotDoneError(_("Nothing was erased: the name you typed is not this lead's."))
    elsewhere, others = request.POST.get("elsewhere") == "1", len(erasure.may_be_theirs(lead))
    if not erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now(), elsewhere=elsewhere):
        raise NotDoneError(_("The personal data was erased before."))
    done = _("The personal data is erased.")
    if elsewhere:
        done = _("The personal data is erased here, and soon in Kommo: the timeline says what was done there.")
    return f"{done} {_others_stay(others)}" if others else done


def _others_stay(count: int) -> str:
    return ngettext(
        "%(count)d other lead may be the same person and stays whole: the timeline says which.",
        "%(count)d other leads may be the same person and stay whole: the timeline says which.",
        count,
    ) % {"count": count}


def _show_who_stays(request: HttpRequest, lead: Lead) -> HttpResponse | None:
    """Return the page that tells which other leads may be the same person, unless whoever erases has seen them all."""
    others = erasure.may_be_theirs(lead) if request.POST.get("sure", "").strip() == str(lead) else []
    seen = set(request.POST.get(SEEN, "").split(","))
    if {str(other.lead.pk) for other in others} <= seen:
        return None
    kept = [(name, value) for name, value in request.POST.items() if name not in (SEEN, "csrfmiddlewaretoken")]
    kept.append((SEEN, ",".join(str(other.lead.pk) for other in others)))
    answer = render(
        request,
        "admin/lead/who_stays.html",
        {
            **admin.site.each_context(request),
            "title": _("Others may be the same person"),
            "lead": lead,
            "others": others,
            "kept": kept,
        },
    )
    add_never_cache_headers(answer)
    return answer


ACTIONS = {
    "compare": Doing(OPERATE, _compare),
    "send": Doing(OPERATE, _send),
    "recreate": Doing(OPERATE, _recreate),
    "close": Doing(OPERATE, _close),
    "pause": Doing(OPERATE, _pause),
    "resume": Doing(OPERATE, _resume),
    "move": Doing(OPERATE, _move),
    "correct": Doing(OPERATE, _correct),
    "opt-out": Doing(OPERATE, _opt_out),
    "take-back": Doing(OPERATE, _take_back),
    "lift": Doing(OPERATE, _lift),
    "join": Doing(OPERATE, _join),
    "keep-apart": Doing(OPERATE, _keep_apart),
    "erase": Doing(ERASE, _erase, asks_again=True, asks_first=_show_who_stays),
}
