"""The address of a way in, as the other side must call it, and whether it answers there."""

from __future__ import annotations

import requests
from django.http import HttpRequest

from bridge.intakes import ways
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
    return base(request) + ways.path_of(intake)


def trouble(url: str) -> str:
    """Call an address as the other side would reach it, which tells nothing; return why it does not answer, or ""."""
    try:
        answer = requests.head(url, timeout=TEST_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__
    return "" if answer.status_code == 200 else str(answer.status_code)
