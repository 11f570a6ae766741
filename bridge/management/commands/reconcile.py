from __future__ import annotations

import time
from datetime import datetime
from typing import Any, TextIO, cast

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from bridge.accounts import catalogue
from bridge.accounts.connection import PATIENTLY, open_account
from bridge.errors import BridgeError
from bridge.inbound import missing_leads
from bridge.inbound.reconciliation import Comparison
from bridge.management.bar import Bar
from bridge.management.pageless import PagelessCommand
from bridge.models import Account, Card


class Command(PagelessCommand):
    help = (
        "Compare the cards with Kommo, print and record what differs, and repair it: what people did is adopted, "
        "what our side still owes is sent by the worker. Running it again finds nothing new."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="look and print, change nothing")
        parser.add_argument("--since", metavar="ISO", help="compare what changed in Kommo since this time")
        parser.add_argument(
            "--full", action="store_true", help="compare every card, and take in the open leads that staff made"
        )

    def handle(self, *, dry_run: bool, since: str | None, full: bool, **_: Any) -> None:
        if full and since:
            raise CommandError("--full compares every card: leave --since out.", returncode=2)
        start = _moment(since) if since else None
        accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
        if not accounts:
            raise CommandError("No Kommo account yet: run manage.py kommo_connect first.")
        failed = [error for pk in accounts if (error := self._compare(pk, start, dry_run=dry_run, full=full))]
        if failed:
            raise CommandError(" | ".join(failed))

    def _compare(self, account_id: int, start: datetime | None, *, dry_run: bool, full: bool) -> str:
        """Compare one account and print what was found; return what kept it from being compared, if anything did."""
        account, client = open_account(account_id, read_again_after=PATIENTLY)
        total = Card.objects.filter(account=account, kommo_lead_id__isnull=False).count() if full else 0
        bar = Bar(cast(TextIO, self.stderr._out), "leads read", total=total)
        comparison = Comparison(
            account, client, catalogue.stored(account), "reconcile", dry_run=dry_run, progress=bar.at
        )
        try:
            if full:
                comparison.everything(newborn=True)
                if comparison.report.missing and not dry_run:
                    # What was missing in a list is believed once it was asked for alone, a little later.
                    time.sleep(missing_leads.SECOND_LOOK_AFTER.total_seconds())
                    comparison.look_again()
            else:
                comparison.changed_since(start)
        except BridgeError as error:
            return f"{account}: {error}"
        finally:
            bar.end()
            self._print(comparison, dry_run)
        return ""

    def _print(self, comparison: Comparison, dry_run: bool) -> None:
        report = comparison.report
        for kommo_id, differences in report.drifted.items():
            for subject, values in differences.items():
                ours, theirs = values["ours"], values["theirs"]
                self.stdout.write(f"  lead {kommo_id}: {subject}: ours {ours!r}, Kommo's {theirs!r}")
        for kommo_id in report.owed:
            self.stdout.write(f"  lead {kommo_id}: our side has changes that Kommo does not have")
        for lead_id in report.missing:
            self.stdout.write(f"  lead {lead_id}: not found in Kommo, looked for once more before it is believed")
        for lead_id in report.gone:
            self.stdout.write(f"  lead {lead_id}: not in Kommo any more")
        would = "would be " if dry_run else ""
        self.stdout.write(
            f"{comparison.account}: {report.read} leads read, {len(report.drifted)} with differences {would}adopted, "
            f"{len(report.owed)} {would}sent again, {len(report.gone)} gone, {report.taken_in} {would}taken in"
        )


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since {text}: write a time such as 2026-11-22T13:00:00-03:00", returncode=2)
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
