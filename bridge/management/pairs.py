"""Settings that a command is given as KEY=VALUE. A key of somebody's server need not stand in the shell's history."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from getpass import getpass

from django.core.management.base import CommandError, CommandParser

ASKED = "-"


def add_to(parser: CommandParser, meaning: str) -> None:
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="pairs",
        help=f"{meaning}; an empty VALUE takes it away; - asks for it unseen, or reads a line of standard input",
    )


def read(pairs: Iterable[str]) -> dict[str, str]:
    """Return the settings by their keys. Raises CommandError, exit code 2."""
    return dict(_pair(pair) for pair in pairs)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise CommandError(f"“{key[:40]}” is no KEY=VALUE.", returncode=2)
    return key, _asked(key) if value == ASKED else value


def _asked(key: str) -> str:
    answer = getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not answer.strip():
        raise CommandError(
            f"Nothing was given for “{key[:40]}”; to take it away, write {key[:40]}= alone.", returncode=2
        )
    return answer.strip()
