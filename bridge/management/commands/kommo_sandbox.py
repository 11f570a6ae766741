"""`manage.py kommo_sandbox`: a local Kommo as its own process."""

from __future__ import annotations

import contextlib
import signal
import webbrowser
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bridge.sandbox.options import PROFILES, Options
from bridge.sandbox.server import SandboxServer
from bridge.sandbox.tokens import CLIENT_ID, CLIENT_SECRET, LONG_LIVED_TOKEN


class Command(BaseCommand):
    help = "Run a local Kommo with the reference account. Its state is in memory; the board is at /."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8010, help="0 takes a free one (default: 8010)")
        parser.add_argument("--account-id", type=int, default=30000001, help="the account's id in Kommo")
        parser.add_argument(
            "--profile", choices=list(PROFILES), default="default", help="how it behaves (default: default)"
        )
        parser.add_argument("--board", action="store_true", help="open the board in a browser")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            server = SandboxServer(
                port=options["port"],
                account_id=options["account_id"],
                options=Options.of_profile(options["profile"]),
            )
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Port {options['port']} can not be used ({error}): choose another with --port."
            ) from error
        # SIGTERM ends it as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.stdout.write(f"Kommo sandbox: {server.url} (account {options['account_id']})")
        self.stdout.write(f"Board:         {server.url}/")
        self.stdout.write(f"Access:        token {LONG_LIVED_TOKEN}, or OAuth {CLIENT_ID} / {CLIENT_SECRET}")
        self.stdout.flush()
        if options["board"]:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(f"{server.url}/")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve()
