"""From a card in Kommo to its lead's page: where the question is why it stands there."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from bridge.models import Account, Card

LARGEST = 2**63 - 1


def page(request: HttpRequest, kommo_lead_id: int) -> HttpResponse:
    """Lead on to the page of the lead whose card has this number; of several accounts, of the one made first."""
    if not request.user.has_perm("leads.view_lead"):
        raise PermissionDenied
    if kommo_lead_id > LARGEST:
        raise Http404
    # By account: the index begins with it.
    accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    card = Card.objects.filter(account__in=accounts, kommo_lead_id=kommo_lead_id).order_by("account").first()
    if card is None:
        raise Http404
    return redirect("admin:leads_lead_change", card.lead_id)
