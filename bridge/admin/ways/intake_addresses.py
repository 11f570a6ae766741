"""The address of a way in, as the other side must call it, and whether it answers there."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.http import HttpRequest
from django.http.request import validate_host
from django.utils.translation import gettext as _

from bridge.intakes import managing_intakes
from bridge.models import Account, Intake

TEST_SECONDS = 5


def base(request: HttpRequest) -> str:
    """Return our public address: the one Kommo calls, where it does, for staff may come by another."""
    for account in Account.objects.order_by("pk"):
        before, found, _rest = account.webhook_destination.partition("/webhooks/kommo/")
        if found:
            return str(before)
    return request.build_absolute_uri("/").rstrip("/")


def of(intake: Intake, request: HttpRequest) -> str:
    return base(request) + managing_intakes.path_of(intake)


def trouble(url: str, request: HttpRequest) -> str:
    """Call an address as the other side would reach it, which tells nothing; return why it does not answer, or ""."""
    if not _is_ours(url, request):
        return str(_("a host or port that is not ours"))
    with requests.Session() as session:
        # Nobody's environment decides where the secret in the path goes.
        session.trust_env = False
        try:
            answer = session.head(url, timeout=TEST_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            return type(error).__name__
    return "" if answer.status_code == 200 else str(answer.status_code)


def _is_ours(url: str, request: HttpRequest) -> bool:
    """Say whether we are served at an address.

    Staff name it, in a form or as the host of their call, of which Django looks at no port: without this it could be
    any port of this machine, or of its network.
    """
    asked = urlsplit(url)
    if not validate_host((asked.hostname or "").lower(), settings.ALLOWED_HOSTS):
        return False
    trusted = {urlsplit(origin).port for origin in settings.CSRF_TRUSTED_ORIGINS}
    return asked.port in {None, 80, 443, *trusted} or str(asked.port) == request.META.get("SERVER_PORT")
