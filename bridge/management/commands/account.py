from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from bridge import account_standing, first_comparison_report, shadow_report
from bridge.accounts import account_state, leaving_shadow
from bridge.cards import nudge
from bridge.management.pageless import PagelessCommand
from bridge.models import Account
from common.reasons import Reason, about

DEEDS = ("show", "pause", "resume", "shadow", "active")


class Command(PagelessCommand):
    help = (
        "Say how the Kommo account stands (state, why, since when, until when, the first comparison, what waits), stop "
        "all calls to Kommo or let them go on, compute without writing or saying anything (shadow), or write (active)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deed", nargs="?", choices=DEEDS, default="show", help="default: show")
        parser.add_argument("--reason", metavar="TEXT", default="", help="why, for whoever finds it so")
        parser.add_argument("--list", action="store_true", help="with show: name every card of the shadow report")
        parser.add_argument("--account", metavar="ID", type=int, help="which one, where there are several")

    def handle(self, *, deed: str, reason: str, account: int | None, **options: Any) -> None:
        accounts = list(Account.objects.filter(**({"pk": account} if account else {})).order_by("pk"))
        if not accounts:
            raise CommandError("No such Kommo account: run manage.py kommo_connect first.")
        if deed != "show":
            if len(accounts) > 1:
                named = ", ".join(f"{candidate.pk} ({candidate})" for candidate in accounts)
                raise CommandError(f"There are several accounts, name one by --account: {named}", returncode=2)
            self._do(deed, accounts[0], reason.strip())
        for chosen in accounts:
            chosen.refresh_from_db()
            for line in account_standing.lines(chosen, now=timezone.now()):
                self.stdout.write(line)
            if deed == "show" and chosen.connected_at:
                self._say_what_was_found(chosen, whole=options["list"])

    def _say_what_was_found(self, account: Account, *, whole: bool) -> None:
        for line in first_comparison_report.lines(first_comparison_report.take_stock(account)):
            self.stdout.write(line)
        if account.is_silent:
            most, of = (None, None) if whole else (shadow_report.NAMED, shadow_report.VALUES_OF)
            for line in shadow_report.lines(shadow_report.compare(account, values_of=of), most=most):
                self.stdout.write(line)

    def _do(self, deed: str, account: Account, reason: str) -> None:
        now = timezone.now()
        if deed == "pause":
            by_hand = Reason("paused_by_hand")
            why = about(by_hand, reason) if reason else by_hand
            done = account_state.pause(account, reason=why, now=now, by=Account.PausedBy.PERSON)
        elif deed == "resume":
            done = account_state.resume(account, now=now)
            nudge.send(account.pk)
        elif deed == "shadow":
            done = account_state.enter_shadow(account, now=now, reason=reason)
        else:
            done = leaving_shadow.leave(account, now=now)
        if not done:
            self.stdout.write("Nothing to do: it stands so already.")
