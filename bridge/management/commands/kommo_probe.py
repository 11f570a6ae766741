from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bridge.account_probe import Probe, table
from bridge.accounts.connection import PATIENTLY, client_for
from bridge.errors import BridgeError
from bridge.inbound.probe_lead import NAME
from bridge.management.pageless import PagelessCommand
from bridge.models import Account

WHAT_IT_DOES = (
    "This asks the account how it behaves, by some fifty calls: it makes one lead, “{name}”, closed as lost, writes to "
    "it and reads it back, and leaves it closed. It reads no lead of anybody's and prints nothing personal."
)


class Command(PagelessCommand):
    help = (
        "Measure how the Kommo account behaves where accounts differ (dates, long texts, emoji, filters, batches, "
        "rights), with one lead of its own, and remember it. Prints a table that can be pasted into a report."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask first")
        parser.add_argument(
            "--create-fields", action="store_true", help="create a lead field of each type that is missing (they stay)"
        )
        parser.add_argument("--account", metavar="ID", type=int, help="which one, where there are several")

    def handle(self, *, yes: bool, create_fields: bool, account: int | None, **_: Any) -> None:
        accounts = list(Account.objects.filter(**({"pk": account} if account else {})).order_by("pk"))
        if not accounts:
            raise CommandError("No such Kommo account: run manage.py kommo_connect first.")
        if len(accounts) > 1:
            named = ", ".join(f"{candidate.pk} ({candidate})" for candidate in accounts)
            raise CommandError(f"There are several accounts, name one by --account: {named}", returncode=2)
        self.stdout.write(WHAT_IT_DOES.format(name=NAME))
        if not yes and not self._is_allowed():
            raise CommandError("Nothing was asked. Say yes, or give --yes.")
        client = client_for(accounts[0], read_again_after=PATIENTLY)
        probe = Probe(accounts[0], client, create_fields, tell=lambda step: self.stdout.write(f"  … {step}"))
        try:
            findings = probe.run()
        except BridgeError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("")
        for line in table(findings):
            self.stdout.write(line)
        others = sum(finding.is_as_expected is False for finding in findings)
        self.stdout.write(
            f"\n{others} of {len(findings)} are otherwise than expected; the bridge heeds them from now on."
        )

    def _is_allowed(self) -> bool:
        try:
            return input("Go on? [y/N] ").strip().lower() in ("y", "yes", "s", "sim")
        except EOFError:
            return False
