from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from bridge import second_factor
from bridge.management.pageless import PagelessCommand


class Command(PagelessCommand):
    help = "Let a member of staff who has lost the phone and the recovery codes log in by password alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **_: Any) -> None:
        users = User.objects.filter(username=username)
        if not users:
            raise CommandError(f"Nobody is called {username!r}.")
        had = second_factor.reset(users)
        self.stdout.write(f"{username} has no second factor now." if had else f"{username} had none.")
