"""Taking back a publication, for as long as nothing else has been published or changed since.

What held before comes back whole and at once, as a revision of its own. Leads that have been moved meanwhile stay where
they are: they are asked again like all others, with their next interaction.
"""

from __future__ import annotations

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bridge.admin.leads.undo_on_lead import with_button
from bridge.admin.rules import form_mistakes
from bridge.admin.rules.page_frame import address
from bridge.configuration import reevaluation, revisions
from bridge.configuration.file_problems import RefusedError
from bridge.models import Reevaluation, RulesRevision
from leads.models import Pipeline

SALT = "bridge.admin.rules.undo_publication"


def with_undo(request: HttpRequest, message: str, done: RulesRevision, *, former: RulesRevision) -> str:
    """Return what was published as the page says it, with a button that brings back what held before."""
    kept = {"pipeline": done.pipeline_id, "done": done.number, "former": former.number}
    where = reverse("admin:rules_undo", args=[done.pipeline_id])
    return with_button(request, message, where, signing.dumps(kept, salt=SALT))


def page(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Bring back what held before a publication, if that is still the newest that was done to the rules."""
    try:
        kept = signing.loads(request.POST.get("what", ""), salt=SALT)
    except signing.BadSignature:
        raise Http404 from None
    if kept["pipeline"] != row.pk:
        raise Http404
    done, former = (get_object_or_404(RulesRevision, pipeline=row, number=kept[name]) for name in ("done", "former"))
    now = timezone.now()
    try:
        is_back = revisions.take_back(done, former=former, author=request.user, now=now)
    except RefusedError as error:
        messages.error(request, " ".join(problem.text for problem in form_mistakes.of_problems(error.problems, ())))
        return redirect(address("overview", row))
    if not is_back:
        messages.warning(request, _("Not undone: the rules or their draft have been changed since."))
        return redirect(address("overview", row))
    for asked in Reevaluation.objects.filter(pipeline=row, ended_at=None):
        reevaluation.stop(asked, by=request.user, now=now)
    messages.success(request, _("Undone: what held before holds again. Leads that were moved stay where they are."))
    return redirect(address("overview", row))
