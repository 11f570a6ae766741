from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from bridge import first_comparison_report, tasks
from bridge.accounts.connection import PATIENTLY, client_for
from bridge.configuration.account_from_environment import differs_from_settings, ensure_account
from bridge.configuration.connecting import Connection
from bridge.errors import BridgeError
from bridge.management.pageless import PagelessCommand
from bridge.models import Account
from bridge.worker import free_dead_leases

# Progress is told so often.
PART = timedelta(seconds=3)
LOOK_AGAIN_SECONDS = 0.5


class Command(PagelessCommand):
    help = (
        "Check the Kommo account and bind the configuration to it: pipelines, stages, fields and options by name. "
        "Afterwards the account is compared once, before anything is created or written in it. "
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

        parser.add_argument(
            "--wait",
            action="store_true",
            help="stay until the account was compared once, with progress, and print what was found",
        )

    def handle(self, *, create_missing: bool, webhook_url: str | None, wait: bool, **_: Any) -> None:
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
            if names := differs_from_settings(account):
                self.stderr.write(
                    f"Not read: {', '.join(names)} of the settings. The account was connected with another value, "
                    "which holds; change it in the admin."
                )
            connection = Connection(
                account,
                client_for(account, read_again_after=PATIENTLY),
                create_missing=create_missing,
                now=timezone.now(),
            )
            report = connection.connect(webhook_url)
        except BridgeError as error:
            raise CommandError(str(error)) from error
        for line in report.done:
            self.stdout.write(f"  ✓ {line}")
        for line in report.advice:
            self.stdout.write(f"  ? {line}")
        for line in report.missing:
            self.stderr.write(f"  ✗ {line}")
        missing = len(report.missing)
        self.stdout.write(
            "Connected." if not missing else f"Connected, with {missing} thing(s) still missing (see above)."
        )
        account.refresh_from_db()
        if wait:
            self._compare(account)
            for line in first_comparison_report.lines(first_comparison_report.take_stock(account)):
                self.stdout.write(line)
        elif account.compared_at is None:
            self.stdout.write(
                "The worker compares the account now, and creates nothing before it is through: "
                "manage.py account show says how far it is, and --wait stays until then."
            )

    def _compare(self, account: Account) -> None:
        """Stay until the first comparison is through; do it where no worker does."""
        read = -1
        while account.compared_at is None:
            # One that was killed at it on this machine keeps nobody waiting.
            free_dead_leases(timezone.now())
            tasks.compare_first(account.pk, longest=PART)
            account.refresh_from_db()
            if account.state == Account.State.PAUSED:
                raise CommandError(f"{account} is paused: {account.state_reason}")
            now_read = account.first_comparison.get("read", 0)
            if now_read != read:
                taken_in = account.first_comparison.get("taken_in", 0)
                self.stdout.write(f"  comparing: {now_read:,} leads read, {taken_in:,} taken over")
                self.stdout.flush()
            else:
                # Somebody else is at it, or Kommo does not answer.
                time.sleep(LOOK_AGAIN_SECONDS)
            read = now_read
        self.stdout.write(f"Compared at {timezone.localtime(account.compared_at):%Y-%m-%d %H:%M:%S}.")
