"""`manage.py kommo_sandbox`: the local Kommo (packages/kommo-sandbox) as its own process."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kommo_sandbox import command as local_kommo


class Command(BaseCommand):
    help = local_kommo.DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        local_kommo.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            local_kommo.serve(Namespace(**options), self._say)
        except local_kommo.CannotListen as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
