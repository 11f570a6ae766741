from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from bridge import database_faults, process_identity
from bridge.management.pageless import PagelessCommand
from bridge.models import Heartbeat
from bridge.worker import Worker

SILENT_AFTER = timedelta(minutes=1)
# One that was started a moment ago needs this long to say so.
STARTS_WITHIN_SECONDS = 10


class Command(PagelessCommand):
    help = (
        "Deliver to Kommo, read its webhooks, send follow-ups: a one-second clock and a supervised qcluster. "
        "Several may run, on several hosts. SIGTERM stops it within 30 s."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="only say whether a worker of this machine executes tasks, and end"
        )

    def handle(self, *, check: bool, **_: Any) -> None:
        if check:
            self._check()
        else:
            Worker().run()

    def _check(self) -> None:
        """End with code 1 unless a cluster of this machine, or of this container, has shown progress of late."""
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        try:
            while not (alive := self._alive()) and time.monotonic() < deadline:
                time.sleep(0.5)
        except DatabaseError as error:
            explanation, remedy = database_faults.first_line(error), database_faults.remedy(error)
            raise CommandError(f"the database does not answer: {explanation}. What to do: {remedy}.") from error
        if not alive:
            raise CommandError("no worker of this machine has executed a task for a minute: its log says why")
        self.stdout.write(f"{alive} at work")

    def _alive(self) -> int:
        ours = Heartbeat.objects.filter(worker__startswith=f"{process_identity.machine()}:")
        return ours.filter(at__gt=timezone.now() - SILENT_AFTER).count()
