"""What a call bears with: answers without an end, and for a person who waits, answers that go wrong in passing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bridge.errors import KommoAccessError, KommoServerError, KommoUnreachableError
from bridge.kommo import oauth_tokens, transport
from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import LocalPace

pytestmark = pytest.mark.once
ACCOUNT = b'{"id": 1, "name": "acme", "subdomain": "acme", "current_user_id": 2}'


class Token:
    def access_token(self) -> str:
        return "token"

    def refresh(self, rejected: str) -> None:
        return None


@contextmanager
def served(*answers: Any) -> Iterator[tuple[str, list[str]]]:
    """Serve these answers in turn, the last one for ever: a status with a body, or what writes to the connection."""
    waiting, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if callable(answer):
                with suppress(OSError):
                    answer(self)
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65_536)


def test_an_answer_larger_than_any_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(transport, "MOST_ANSWER_BYTES", 300_000)

    with served(endless) as (address, _), pytest.raises(KommoUnreachableError) as lost:
        KommoClient(address, Token(), LocalPace(7)).account()

    assert lost.value.sent


def test_an_answer_that_takes_too_long_in_all_is_given_up_though_something_comes_all_the_time(monkeypatch):
    monkeypatch.setattr(transport, "LONGEST_ANSWER_SECONDS", 0.0)

    with served(endless) as (address, _), pytest.raises(KommoUnreachableError):
        KommoClient(address, Token(), LocalPace(7)).account()


@pytest.mark.parametrize("bound", [("MOST_ANSWER_BYTES", 300_000), ("LONGEST_ANSWER_SECONDS", 0.0)])
def test_nor_is_one_about_tokens(monkeypatch, bound):
    monkeypatch.setattr(oauth_tokens, *bound)
    integration = {"client_id": "id", "client_secret": "secret", "redirect_uri": "https://bridge.example"}

    with served(endless) as (address, _):
        with pytest.raises(KommoUnreachableError) as lost:
            oauth_tokens.exchange_code(address, **integration, code="code")
        with pytest.raises(KommoUnreachableError):
            oauth_tokens.refresh(address, **integration, refresh_token="refresh")
        with pytest.raises(KommoUnreachableError):
            oauth_tokens.new_base_url(address, "token", "")

    assert lost.value.sent


@pytest.mark.parametrize("passing", [(429, b'{"retry_after": 0}'), (500, b""), (504, b"<html>"), lambda handler: None])
def test_a_read_that_fails_in_passing_is_asked_for_again_where_a_person_waits(passing):
    with served(passing, (200, ACCOUNT)) as (address, asked):
        found = KommoClient(address, Token(), LocalPace(100), read_again_after=(0.0, 0.0)).account()

    assert (found.id, len(asked)) == (1, 2)


def test_what_stays_wrong_is_told_after_the_last_try():
    with served((502, b"")) as (address, asked), pytest.raises(KommoServerError):
        KommoClient(address, Token(), LocalPace(100), read_again_after=(0.0, 0.0)).account()

    assert len(asked) == 3


@pytest.mark.parametrize("patience", [(), (0.0, 0.0)])
def test_a_refusal_is_not_asked_for_again(patience):
    with served((402, b"")) as (address, asked), pytest.raises(KommoAccessError):
        KommoClient(address, Token(), LocalPace(100), read_again_after=patience).account()

    assert len(asked) == 1


def test_a_token_with_a_sign_that_no_header_holds_is_a_wrong_one_and_goes_nowhere():
    with served((200, ACCOUNT)) as (address, asked):
        token = Token()
        token.access_token = lambda: "tok\u0663n"  # type: ignore[method-assign]
        with pytest.raises(KommoAccessError) as refused:
            KommoClient(address, token, LocalPace(1)).account()
    assert (refused.value.status_code, asked) == (401, [])
