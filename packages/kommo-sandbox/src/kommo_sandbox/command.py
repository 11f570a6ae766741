"""The command: `python -m kommo_sandbox`, and its parts for a host that has a command line of its own."""

from __future__ import annotations

import contextlib
import signal
import sys
import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from kommo_sandbox.options import PROFILES, Options
from kommo_sandbox.server import SandboxServer
from kommo_sandbox.tokens import CLIENT_ID, CLIENT_SECRET, LONG_LIVED_TOKEN

DESCRIPTION = "Run a local Kommo with the reference account. Its state is in memory; the board is at /."


class CannotListen(Exception):
    """The port is taken or is none; the text says which and what to do."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8010, help="0 takes a free one (default: 8010)")
    parser.add_argument("--account-id", type=int, default=30000001, help="the account's id in Kommo")
    parser.add_argument(
        "--profile", choices=list(PROFILES), default="default", help="how it behaves (default: default)"
    )
    parser.add_argument("--board", action="store_true", help="open the board in a browser")


def serve(arguments: Namespace, write: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM, having told by `write` where: a line for the URL, the board, the access.

    Raises `CannotListen`.
    """
    profile = Options.of_profile(arguments.profile)
    try:
        server = SandboxServer(port=arguments.port, account_id=arguments.account_id, options=profile)
    except (OSError, OverflowError) as error:
        raise CannotListen(f"Port {arguments.port} can not be used ({error}): choose another with --port.") from error
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    write(f"Kommo sandbox: {server.url} (account {arguments.account_id})")
    write(f"Board:         {server.url}/")
    write(f"Access:        token {LONG_LIVED_TOKEN}, or OAuth {CLIENT_ID} / {CLIENT_SECRET}")
    if arguments.board:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(f"{server.url}/")
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()


def main() -> None:
    parser = ArgumentParser("kommo-sandbox", description=DESCRIPTION)
    add_arguments(parser)
    try:
        serve(parser.parse_args(), lambda line: print(line, flush=True))
    except CannotListen as error:
        sys.exit(str(error))
