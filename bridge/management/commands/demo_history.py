from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bridge.demo import history
from bridge.management.pageless import PagelessCommand
from leads.models import Lead, Pipeline


class Command(PagelessCommand):
    help = "Fill an empty database with sixty days of made-up leads, as the demo does. Refuses where there are leads."

    def handle(self, **_: Any) -> None:
        if Lead.objects.exists():
            raise CommandError("There are leads already: made-up ones are not mixed with them.")
        pipeline = Pipeline.objects.filter(is_default=True).first() or Pipeline.objects.get()
        self.stdout.write(f"{history.play(pipeline, now=timezone.now())} leads of sixty days.")
