"""Where messengers and calendars call us: prove who calls, store the bytes without secrets, answer, read them later."""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from bridge.configuration.account_from_environment import hash_secret
from bridge.intakes import inbox, source_kinds
from bridge.intakes.managing_intakes import read_settings
from bridge.intakes.secrets_left_out import without_secrets
from bridge.intakes.source_news import Call
from bridge.models import Intake, IntakeCall
from common.statements import Select, insert

RETRY_AFTER_SECONDS = 30

_ways = Select(
    lambda slug: Intake.objects.filter(slug=slug, is_active=True).values_list("pk", "kind", "secret_hash", "settings")
)


class Way(NamedTuple):
    """What an address leads to."""

    pk: int
    kind: str
    secret_hash: str
    settings: str


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def receive(request: HttpRequest, slug: str, secret: str) -> HttpResponse:
    """Answer 200 for what was stored, 404 for a wrong secret, 401 for a wrong signature, 413 for too much.

    503 when nothing was stored. What follows the secret in the path is an event's name, which the body has as well.
    """
    try:
        way = _way_of(slug, secret)
        if way is None:
            return HttpResponse(status=404)
        way_settings = read_settings(way.settings)
        if request.method != "POST":
            return _greet(request, way, way_settings)
        body = _body(request)
        if body is None:
            return HttpResponse(status=413)
        headers = {name.lower(): value for name, value in request.headers.items()}
        now = timezone.now()
        if not source_kinds.may_call(way.kind, way_settings, Call(body, headers, now)):
            inbox.note_refused(way.pk, now=now)
            return HttpResponse(status=401)
        insert([IntakeCall(intake_id=way.pk, received_at=now, due_at=now, body=without_secrets(body))])
    except (DatabaseError, InterfaceError, UnreadablePostError):
        return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    return HttpResponse(status=200)


def _way_of(slug: str, secret: str) -> Way | None:
    if "\0" in slug:
        return None
    found = _ways.first(slug=slug)
    return Way(*found) if found and compare_digest(found[2], hash_secret(secret)) else None


def _greet(request: HttpRequest, way: Way, way_settings: dict[str, str]) -> HttpResponse:
    """Answer the question by which Meta finds out whether the address is ours; to everybody else, that it is there."""
    challenge = request.GET.get("hub.challenge")
    if way.kind != Intake.Kind.WHATSAPP_CLOUD or challenge is None:
        return HttpResponse(status=200)
    wanted = way_settings.get("verify_token", "")
    is_right = compare_digest(request.GET.get("hub.verify_token", "").encode(), wanted.encode()) and wanted
    if request.GET.get("hub.mode") != "subscribe" or not is_right:
        return HttpResponse(status=403)
    return HttpResponse(challenge, content_type="text/plain; charset=utf-8")


def _body(request: HttpRequest) -> bytes | None:
    """Return the bytes as they came; None when there are too many."""
    most = settings.WEBHOOK_MAX_BODY_BYTES
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > most:
        return None
    body: bytes = request.read(most + 1)
    return None if len(body) > most else body
