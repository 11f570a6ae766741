from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bridge.channels import managing_channels, testing_channels
from bridge.channels.channel_kinds import WAYS
from bridge.errors import ConfigurationError
from bridge.management import pairs
from bridge.management.pageless import PagelessCommand
from leads.models import Pipeline


class Command(PagelessCommand):
    help = (
        "Make a way out for messages, or change it. A pipeline's messages leave by the one its key “channel” names; "
        "when that fails, by its others in the order in which they were made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", metavar="KIND", help=f"by what messages leave: {', '.join(WAYS)}")
        parser.add_argument("slug", metavar="SLUG", help="a short name of your own")
        parser.add_argument("--pipeline", metavar="SLUG", help="whose messages it takes; the default one without it")
        pairs.add_to(parser, "an address, a name or a key of the other side")

    def handle(self, *, kind: str, slug: str, pipeline: str | None, **given: Any) -> None:
        row = None
        if pipeline and not (row := Pipeline.objects.filter(slug=pipeline).first()):
            raise CommandError(f"There is no pipeline “{pipeline}”.")
        values = pairs.read(given["pairs"])
        try:
            channel = managing_channels.establish(kind, slug, pipeline=row, settings=values)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from error
        testing_channels.prepare(channel)
        self.stdout.write(channel.slug)
