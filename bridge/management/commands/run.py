from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from bridge import web_server
from bridge.installed_paths import MANAGE

STOP_WITHIN_SECONDS = 30
BACKLOG = 2048  # gunicorn's own
STOPPING = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = "Run web and worker together: migrate, then serve until Ctrl-C. For one machine."
    # Checked once files are collected: before, one check would ask for what comes next anyway.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", help="address of the web server (default %(default)s)")

    def handle(self, *, bind: str, **_: Any) -> None:
        # Before anything else, and kept: what is taken is known at once, and nobody takes it meanwhile.
        with listening(bind) as server:
            self._serve(bind, server)

    def _serve(self, bind: str, server: socket.socket) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.DEBUG:
            self._collect_static_files()
        self.check(display_num_errors=False)
        threads = "2" if connection.vendor == "sqlite" else "4"
        connections.close_all()
        # Both, and by name: a script that starts this in its background has SIGINT ignored.
        for asked in STOPPING:
            signal.signal(asked, signal.default_int_handler)
        # A terminal that is closed; whoever started this with nohup has said that it may.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.default_int_handler)
        children: dict[str, subprocess.Popen[bytes]] = {}
        ended = None
        try:
            children["web"] = subprocess.Popen(
                web_command(server.fileno(), threads), start_new_session=True, pass_fds=[server.fileno()]
            )
            children["worker"] = subprocess.Popen([*MANAGE, "worker"], start_new_session=True)
            self.stdout.write(f"Serving on http://{bind} (admin: http://{bind}/admin/). Ctrl-C stops everything.")
            while ended is None:
                time.sleep(0.5)
                ended = next((name for name, child in children.items() if child.poll() is not None), None)
        except KeyboardInterrupt:
            self.stdout.write("Stopping …")
        finally:
            # Asked once is enough: a second time must not leave children behind.
            for asked in (*STOPPING, signal.SIGHUP):
                signal.signal(asked, signal.SIG_IGN)
            stop(list(children.values()))
        if ended:
            raise CommandError(f"{ended} ended by itself; its last lines above say why.")

    def _collect_static_files(self) -> None:
        try:
            call_command("collectstatic", interactive=False, verbosity=0)
        except OSError as error:
            # A read-only or full disk: pages are served from where the files lie.
            self.stderr.write(f"Static files are not collected: {error}")


def listening(bind: str) -> socket.socket:
    """Return a socket that listens on `host:port`. Raises CommandError with the way out."""
    host, _, port = bind.rpartition(":")
    try:
        if not host:
            # Nobody means every network of this machine by leaving it out.
            raise ValueError
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=BACKLOG)
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no host:port"
        remedy = 'Choose another: --bind 127.0.0.1:8001, or make run ARGS="--bind 127.0.0.1:8001"'
        raise CommandError(f"{bind} cannot be served: {reason}. {remedy}") from error


def web_command(listening_on: int, threads: str) -> list[str]:
    """Return the web server's command for an open socket.

    SQLite has one writer at a time, so fewer threads wait for it more fairly.
    """
    bind = f"fd://{listening_on}"
    return [*web_server.COMMAND, "--bind", bind, "--workers", "2", "--threads", threads]


def stop(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask every process to end, in turn of none: each gets the same time, then its group is killed."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_WITHIN_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
