from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bridge.errors import ConfigurationError
from bridge.intakes import managing_intakes
from bridge.intakes.source_kinds import SOURCES
from bridge.management import pairs
from bridge.management.pageless import PagelessCommand
from leads.models import Pipeline


class Command(PagelessCommand):
    help = (
        "Make a way in for conversations or bookings, or change it, and print its path: the address to give to the "
        "other side is your public address with this path behind it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", metavar="KIND", help=f"what calls there: {', '.join(SOURCES)}")
        parser.add_argument("slug", metavar="SLUG", help="a short name of your own; it stands in the path")
        parser.add_argument("--pipeline", metavar="SLUG", help="whose leads it tells of; the default one without it")
        pairs.add_to(parser, "a key by which the other side proves that it calls")

    def handle(self, *, kind: str, slug: str, pipeline: str | None, **given: Any) -> None:
        row = None
        if pipeline and not (row := Pipeline.objects.filter(slug=pipeline).first()):
            raise CommandError(f"There is no pipeline “{pipeline}”.")
        values = pairs.read(given["pairs"])
        try:
            intake = managing_intakes.establish(kind, slug, pipeline=row, settings=values)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(managing_intakes.path_of(intake))
