from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bridge.configuration.connecting import Connection
from bridge.configuration.first_start import ensure_account
from bridge.errors import BridgeError
from bridge.sync.connection import client_for


class Command(BaseCommand):
    help = (
        "Check the Kommo account and bind the configuration to it: pipelines, stages, fields and options by name. "
        "Running it again changes nothing that is right."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--create-missing", action="store_true", help="create missing stages, fields and options in Kommo"
        )
        parser.add_argument(
            "--webhook-url",
            metavar="URL",
            help="public base address of this bridge, e.g. https://bridge.example; subscribes Kommo's webhooks",
        )

    def handle(self, *, create_missing: bool, webhook_url: str | None, **_: Any) -> None:
        if webhook_url and urlsplit(webhook_url).scheme not in ("http", "https"):
            raise CommandError(
                f"--webhook-url {webhook_url}: give a full address such as https://bridge.example", returncode=2
            )
        try:
            account = ensure_account()
            if account is None:
                raise CommandError(
                    "No Kommo account: set KOMMO_BASE_URL and KOMMO_LONG_LIVED_TOKEN, or add one in the admin."
                )
            connection = Connection(account, client_for(account), create_missing=create_missing, now=timezone.now())
            report = connection.connect(webhook_url)
        except BridgeError as error:
            raise CommandError(str(error)) from error
        for line in report.done:
            self.stdout.write(f"  ✓ {line}")
        for line in report.missing:
            self.stderr.write(f"  ✗ {line}")
        missing = len(report.missing)
        self.stdout.write(
            "Connected." if not missing else f"Connected, with {missing} thing(s) still missing (see above)."
        )
