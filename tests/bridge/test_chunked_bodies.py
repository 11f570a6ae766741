"""A body is read whole by every address, or refused: none sent in chunks is taken for empty, no half of one for all."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory

from bridge.api import api_keys
from bridge.chunked_bodies import WholeBodies
from bridge.intakes import managing_intakes
from bridge.models import ApiKey, IntakeCall, WebhookEvent
from leads.models import Event, Lead
from tests.bridge.webhooks.test_inbox import path_of


@pytest.fixture
def post(db):
    """Send a body through the application as the web server does, with a length or none; return status and answer."""
    key = api_keys.issue(ApiKey(name="agent"))

    def send(
        path: str, body: bytes, content_type: str = "application/json", length: int | None = None
    ) -> tuple[int, bytes]:
        named = {"authorization": f"Api-Key {key}"}
        environ = RequestFactory().post(path, b"", content_type=content_type, headers=named).environ
        environ |= {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
        environ["CONTENT_LENGTH"] = "" if length is None else str(length)
        answered: list[str] = []
        answer = b"".join(WholeBodies(WSGIHandler())(environ, lambda status, headers: answered.append(status)))
        return int(answered[0].split()[0]), answer

    # As Django's own test client does: a request would close the connection whose transaction the test is in.
    request_started.disconnect(close_old_connections)
    yield send
    request_started.connect(close_old_connections)


def test_an_interaction_and_the_reason_of_a_handoff_arrive(post, pipeline):
    status, _ = post("/api/v1/interactions/", json.dumps({"lead": {"phone": "81999990000", "name": "Maria"}}).encode())
    lead = Lead.objects.get()
    handed_over, _ = post(f"/api/v1/leads/{lead.pk}/handoff/", b'{"reason": "asks for a discount"}')

    assert (status, lead.name, handed_over) == (201, "Maria", 200)
    assert "asks for a discount" in Event.objects.filter(kind=Event.Kind.HANDOFF).latest("at").reason


def test_a_webhook_is_stored_as_it_came(post, account):
    status, _ = post(path_of(account), b"leads[update][0][id]=1", "application/x-www-form-urlencoded")

    assert (status, bytes(WebhookEvent.objects.get().body)) == (200, b"leads[update][0][id]=1")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 4 * 1024 * 1024 + 1, 9 * 1024 * 1024])
def test_one_that_is_too_large_is_refused(post, pipeline, size):
    status, _ = post("/api/v1/interactions/", b"x" * size)

    assert status == 413
    assert not Lead.objects.exists()


FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n%s\r\n--b--\r\n'


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b", "Multipart/Form-Data;boundary=b"])
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/language/", "/api/v1/interactions/"])
def test_of_a_file_too_large_for_anybody_nothing_is_read_or_written_to_the_disk(db, content_type, path):
    """Whoever sends it is asked for a form's token once all of it is read; a cookie of that name anybody can make."""
    body = BytesIO(FILE % (b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE))
    length = str(len(body.getvalue()))
    environ = RequestFactory().post(path, headers={"cookie": f"csrftoken={'a' * 32}"}).environ
    environ |= {"wsgi.input": body, "CONTENT_TYPE": content_type, "CONTENT_LENGTH": length}
    answered: list[str] = []

    WholeBodies(WSGIHandler())(environ, lambda status, headers: answered.append(status))

    assert answered == ["413 Content Too Large"]
    assert body.tell() == 0


# A caller who goes away half-way, or a proxy that passes on how far somebody came.
@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        (None, "application/x-www-form-urlencoded", b"leads[update][0][id]=2000", 503),
        (None, "application/x-www-form-urlencoded", b"", 503),
        ("/api/v1/interactions/", "application/json", b'{"lead": {"phone": "81999990000"}}', 400),
        ("/admin/login/", "application/x-www-form-urlencoded", b"csrfmiddlewaretoken=%b" % (b"a" * 32), 403),
        ("/admin/login/", "multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name", 403),
    ],
)
def test_one_that_ends_before_its_length_is_no_body(account, pipeline, post, path, content_type, body, status):
    assert post(path or path_of(account), body, content_type, length=len(body) + 4)[0] == status
    assert not WebhookEvent.objects.exists() and not Lead.objects.exists()


def test_neither_is_what_a_messenger_tells(post, pipeline):
    path = managing_intakes.path_of(managing_intakes.establish("evolution", "vendas"))
    assert post(path, b"{}", length=3)[0] == 503
    assert not IntakeCall.objects.exists()
    assert post(path, b"{}", length=2)[0] == 200
    assert IntakeCall.objects.count() == 1


def test_one_of_its_length_is_read_as_it_came_whatever_follows(account, post):
    body = b"leads[update][0][id]=1"
    status, _ = post(path_of(account), body + b"GET / HTTP/1.1", "application/x-www-form-urlencoded", length=len(body))
    assert (status, bytes(WebhookEvent.objects.get().body)) == (200, body)
