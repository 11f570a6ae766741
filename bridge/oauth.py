"""Connecting an account by OAuth: staff agree at Kommo, and come back with a code that is exchanged at once.

The state ties the way back to the session that went; the host in the way back is whoever's word it is, so only Kommo's
own hosts get our secret. Source: https://developers.kommo.com/docs/oauth-20
"""

from __future__ import annotations

import secrets
from functools import partial

import structlog
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from bridge.accounts import account_state
from bridge.accounts.connection import store_tokens
from bridge.cards import nudge
from bridge.configuration import taking_in_accounts
from bridge.configuration.account_addresses import given_by_staff
from bridge.errors import ConfigurationError, KommoError
from bridge.kommo import oauth_tokens
from bridge.kommo.hosts import address_of, is_loopback
from bridge.models import Account
from common.reasons import Reason, several

log = structlog.get_logger(__name__)

SESSION_KEY = "kommo_consent"
may_change_accounts = permission_required("bridge.change_account", login_url="admin:login")


def begin(request: HttpRequest, account_id: int, *, back_to: str = "") -> HttpResponse:
    """Send staff to Kommo's consent page; afterwards they come back to the account's page, or to an address of ours."""
    account = get_object_or_404(Account, pk=account_id)
    if not (account.client_id and account.client_secret and account.redirect_uri):
        messages.error(request, _("Enter the integration's id, secret and redirect address first."))
        return _back(account, back_to)
    state = secrets.token_urlsafe(32)
    request.session[SESSION_KEY] = {"state": state, "account": account.pk, "back_to": back_to}
    url = oauth_tokens.consent_url(
        account.base_url, client_id=account.client_id, redirect_uri=account.redirect_uri, state=state
    )
    return redirect(url)


@require_GET
@may_change_accounts
def consented(request: HttpRequest) -> HttpResponse:
    """Take the code of somebody who agreed, and store the tokens it buys."""
    expected = request.session.pop(SESSION_KEY, None)
    if expected is None or not constant_time_compare(request.GET.get("state", ""), expected["state"]):
        raise PermissionDenied(_("This answer belongs to no connection that was begun here. Begin again."))
    back_to = expected.get("back_to", "")
    account = get_object_or_404(Account, pk=expected["account"])
    if request.GET.get("error"):
        messages.warning(request, _("Kommo was not allowed to connect. Nothing was changed."))
        return _back(account, back_to)
    try:
        _exchange(account, request.GET.get("code", ""), request.GET.get("referer", ""))
    except (KommoError, ConfigurationError) as error:
        messages.error(request, str(error))
        return _back(account, back_to)
    messages.success(request, _("Connected. Next: bind stages and fields."))
    return _back(account, back_to)


def _exchange(account: Account, code: str, referer: str) -> None:
    account.base_url = _named(referer, account)
    pair = oauth_tokens.exchange_code(
        account.base_url,
        client_id=account.client_id,
        client_secret=account.client_secret,
        redirect_uri=account.redirect_uri,
        code=code,
    )
    taking_in_accounts.check_is_same(account, account.base_url, pair.access_token)
    with transaction.atomic():
        store_tokens(account, pair)
        account_state.reopen(account, now=timezone.now())
        transaction.on_commit(partial(nudge.send, account.pk))


def _named(referer: str, account: Account) -> str:
    """Return the account's address as the way back names it. Raises ConfigurationError.

    On this machine it is the one that is known, or the sandbox of the settings: our secret goes to no other port.
    """
    address = address_of(referer, known=account.base_url)
    return address if address == account.base_url or not is_loopback(address) else given_by_staff(address)


@require_GET
def uninstalled(request: HttpRequest) -> HttpResponse:
    """Stop calling an account whose owner removed the integration, and say so; signed with the integration's secret."""
    given = {name: request.GET.get(name, "") for name in ("client_uuid", "account_id", "signature")}
    # Anybody calls this address; no database is asked for what it cannot hold.
    for account in Account.objects.filter(client_id=given["client_uuid"].replace("\0", "")):
        known = str(account.kommo_account_id or "") == given["account_id"]
        if (
            known
            and account.client_secret
            and oauth_tokens.uninstall_signature_is_valid(**given, secret=account.client_secret)
        ):
            reason = several([Reason("integration_removed"), Reason("connect_again")])
            account_state.pause(account, reason=reason, now=timezone.now())
            return HttpResponse(status=200)
    raise Http404


def _back(account: Account, back_to: str = "") -> HttpResponse:
    return redirect(back_to or reverse("admin:bridge_account_change", args=[account.pk]))
