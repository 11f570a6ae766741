from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bridge.api import api_keys
from bridge.management.pageless import PagelessCommand
from bridge.models import ApiKey
from leads.models import Pipeline


class Command(PagelessCommand):
    help = "Make an API key for an agent and print it: it is stored hashed, so this is the only time it can be read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="who will use it, for example the agent's name")
        parser.add_argument("--pipeline", metavar="SLUG", help="let the key work for this pipeline alone")

        parser.add_argument(
            "--scope",
            choices=["act"],
            help="act: the tools at /mcp/ may also hand leads over, give them back and hold follow-ups",
        )

    def handle(self, *, name: str, pipeline: str | None, scope: str | None, **_: Any) -> None:
        row = None
        if pipeline and not (row := Pipeline.objects.filter(slug=pipeline).first()):
            raise CommandError(f"There is no pipeline “{pipeline}”.")
        if ApiKey.objects.filter(name=name).exists():
            raise CommandError(
                f"There is a key “{name}” already. Choose another name, or revoke that one in the admin."
            )
        self.stdout.write(api_keys.issue(ApiKey(name=name, pipeline=row, may_act=scope == "act")))
