"""Serving a sandbox over HTTP: in this process for the command, inside a thread for tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from kommo_sandbox import names
from kommo_sandbox.app import App
from kommo_sandbox.options import Options
from kommo_sandbox.sandbox import ACCOUNT_ID, Sandbox

POLL_SECONDS = 0.05
TLS_HANDSHAKE = b"\x16"


class Handler(WSGIRequestHandler):
    """One connection, kept alive as Kommo keeps them.

    Werkzeug's own `run_wsgi` ends every connection and drains what follows a request, because an application
    may leave a body unread. Ours always reads it, so the next request can follow on the same connection.
    """

    protocol_version = "HTTP/1.1"
    # Head and body go out separately; waiting for the acknowledgement in between costs 40 ms a request.
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """Speak TLS with whoever begins with it: the same port serves both."""
        self._accepted = self.request
        if self.request.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
            self._end_tls()
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        if self.connection is not self._accepted:
            self.server.shutdown_request(self.connection)

    def do_CONNECT(self) -> None:
        """Be the proxy of a client that writes https://<name>.kommo.com itself, and Kommo behind it."""
        host = self.path.rpartition(":")[0]
        if not names.is_kommos(host):
            # What is tested here shall reach nobody else.
            self.send_error(403, f"{host} is not Kommo: name it in NO_PROXY")
            return
        try:
            names.context()
        except names.NoCertificates as error:
            self.send_error(501, str(error))
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        try:
            self._end_tls()
        except OSError:
            self.close_connection = True
            return
        super().setup()
        self.close_connection = False

    def _end_tls(self) -> None:
        try:
            wrapped = names.context().wrap_socket(self.request, server_side=True)
        except names.NoCertificates as error:
            print(error, file=sys.stderr)
            raise ConnectionAbortedError(str(error)) from error
        self.server.exchanged(self.request, wrapped)
        self.request = wrapped

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        if isinstance(self.connection, ssl.SSLSocket):
            environ["wsgi.url_scheme"] = "https"
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], error: Any = None, /
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return self.wfile.write

        try:
            body = b"".join(self.server.app(environ, start_response))
            status, headers = started[0]
            self.send_response(int(status.split()[0]))
            for name, value in headers:
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError as error:
            self.close_connection = True
            self.connection_dropped(error, environ)
        except Exception:
            # A mistake of the sandbox itself: say it where its operator looks, never in an endless connection.
            self.close_connection = True
            traceback.print_exc()
            self.send_error(500)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Stay silent: the journal has every request."""


class Server(ThreadedWSGIServer):
    """A threaded server that can also end the connections it keeps alive."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def exchanged(self, request: socket.socket, wrapped: socket.socket) -> None:
        """Know a connection by what speaks TLS over it."""
        with self._connections_lock:
            self._connections.discard(request)
            self._connections.add(wrapped)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Whoever does not trust our authority ends the connection, and says so itself.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Close every open connection, so that a stopped sandbox answers nobody."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class SandboxServer:
    """A sandbox with its address: `with SandboxServer() as sandbox: requests.get(sandbox.url + …)`.

    Port 0 takes a free one. Raises OSError when the port is taken.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        account_id: int = ACCOUNT_ID,
        options: Options | None = None,
    ) -> None:
        listener = socket.create_server((host, port), backlog=128)
        self.host, self.port = listener.getsockname()[:2]
        self.sandbox = Sandbox(account_id=account_id, subdomain=f"sandbox-{self.port}", options=options)
        self._server: BaseWSGIServer = Server(host, self.port, App(self.sandbox), Handler, fd=listener.fileno())
        listener.close()
        self._thread: threading.Thread | None = None
        self.sandbox.hooks.base_url = self.url

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def serve(self) -> None:
        """Serve until stopped or interrupted."""
        try:
            self._server.serve_forever(poll_interval=POLL_SECONDS)
        finally:
            self._end()

    def start(self) -> None:
        self._thread = threading.Thread(target=self.serve, name=f"sandbox-{self.port}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        if self._thread:
            self._thread.join()

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self) -> None:
        self.sandbox.close()
        assert isinstance(self._server, Server)
        self._server.end_connections()
        self._server.server_close()
