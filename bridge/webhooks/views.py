"""Where Kommo calls us: store the bytes, answer, read them later."""

from __future__ import annotations

from hmac import compare_digest

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from bridge.configuration.account_from_environment import hash_secret
from bridge.models import Account, WebhookEvent
from common.statements import Select, insert

KEPT_HEADERS = ("User-Agent", "Content-Type", "Content-Length", "X-Amocrm-Requestid")
LONGEST_HEADER = 500
RETRY_AFTER_SECONDS = 30

_accounts = Select(
    lambda secret_hash: Account.objects.filter(webhook_secret_hash=secret_hash).values_list("pk", "webhook_secret_hash")
)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def receive(request: HttpRequest, secret: str) -> HttpResponse:
    """Answer 200 for what was stored, 404 for a wrong secret, 413 for too much, 503 when nothing was stored."""
    try:
        account_id = _account_of(secret)
        if account_id is None:
            return HttpResponse(status=404)
        if request.method != "POST":
            # Kommo's interface probes the address before it saves it.
            return HttpResponse(status=200)
        body = _body(request)
        if body is None:
            return HttpResponse(status=413)
        _store(account_id, request, body)
    except (DatabaseError, InterfaceError, UnreadablePostError):
        return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    return HttpResponse(status=200)


def _body(request: HttpRequest) -> bytes | None:
    """Return the bytes as they came; None when there are too many.

    Django's form parser would refuse bodies with more than a thousand keys.
    """
    most = settings.WEBHOOK_MAX_BODY_BYTES
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > most:
        return None
    body: bytes = request.read(most + 1)
    return None if len(body) > most else body


def _store(account_id: int, request: HttpRequest, body: bytes) -> None:
    headers = {name: request.headers[name][:LONGEST_HEADER] for name in KEPT_HEADERS if name in request.headers}
    insert([WebhookEvent(account_id=account_id, received_at=timezone.now(), headers=headers, body=body)])


def _account_of(secret: str) -> int | None:
    wanted = hash_secret(secret)
    found = _accounts.first(secret_hash=wanted)
    return found[0] if found and compare_digest(found[1], wanted) else None
