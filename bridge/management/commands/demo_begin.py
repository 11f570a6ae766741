from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from bridge.demo import beginning


class Command(BaseCommand):
    help = "Make and fill the demo's database, and print as JSON what the demo has to know of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="where the demo keeps its files")
        parser.add_argument("--seconds", type=int, required=True, help="between the follow-ups of a sequence")

    def handle(self, *, directory: Path, seconds: int, **_: Any) -> None:
        self.stdout.write(json.dumps(beginning.begin(directory, seconds=seconds)))
