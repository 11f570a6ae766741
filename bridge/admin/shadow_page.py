"""The shadow report as a page: what the bridge would have done beside what others did, card by card. Read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge import shadow_report
from bridge.models import Account
from bridge.shadow_values import Verdict
from leads.models import Stage

# So many lines of each table: whoever wants all asks `manage.py account show --list`.
SHOWN = 100
LABELS = {
    Verdict.AGREE: gettext_lazy("both the same"),
    Verdict.DIFFER: gettext_lazy("different"),
    Verdict.ONLY_WE: gettext_lazy("only the bridge"),
    Verdict.ONLY_THEY: gettext_lazy("only the others"),
}
COLOURS = {
    Verdict.AGREE: "success", Verdict.DIFFER: "danger", Verdict.ONLY_WE: "info", Verdict.ONLY_THEY: "warning",
}  # fmt: skip


def page(request: HttpRequest) -> HttpResponse:
    """Compare both hands of the account that is asked for, or of the first one in shadow."""
    # Cards and their people are named here.
    if not request.user.has_perms(("bridge.view_account", "leads.view_lead")):
        raise PermissionDenied
    observed = Q(state=Account.State.SHADOW) | Q(state_before_pause=Account.State.SHADOW, state=Account.State.PAUSED)
    accounts = list(Account.objects.filter(observed).order_by("pk"))
    asked = request.GET.get("account", "")
    account = next(
        (candidate for candidate in accounts if str(candidate.pk) == asked), accounts[0] if accounts else None
    )
    context = {
        **admin.site.each_context(request),
        "title": _("In shadow"),
        "accounts": accounts,
        "account": account,
        **(_told(account) if account else {}),
    }
    return render(request, "admin/shadow.html", context)


def _told(account: Account) -> dict[str, Any]:
    report = shadow_report.compare(account)
    names = dict(Stage.objects.filter(pipeline__account_link__account=account).values_list("key", "name"))
    unlike = [row for row in report.rows if row.verdict is not Verdict.AGREE]
    moves = [
        {
            "badge": _badge(row.verdict),
            "kommo_id": row.kommo_id,
            "lead": row.lead,
            "lead_id": row.lead_id,
            "ours": names.get(row.ours, row.ours),
            "reason": row.reason,
            "theirs": names.get(row.theirs, row.theirs),
        }
        for row in unlike[:SHOWN]
    ]
    values = [
        {
            "badge": _badge(value.verdict),
            "kommo_id": value.kommo_id,
            "lead": shadow_report.named(value.lead),
            "lead_id": value.lead.pk,
            "subject": value.subject,
            "ours": value.ours,
            "theirs": value.theirs,
        }
        for value in report.values[:SHOWN]
    ]
    return {
        "report": report,
        "move_counts": [{**_badge(verdict), "count": report.counts[verdict]} for verdict in Verdict],
        "value_counts": [{**_badge(verdict), "count": report.value_counts[verdict]} for verdict in Verdict],
        "moves": moves,
        "more_moves": len(unlike) - len(moves),
        "values": values,
        "more_values": len(report.values) - len(values),
        "nothing_yet": not report.rows and not report.values and not sum(report.value_counts.values()),
    }


def _badge(verdict: Verdict) -> dict[str, Any]:
    return {"label": LABELS[verdict], "colour": COLOURS[verdict]}
