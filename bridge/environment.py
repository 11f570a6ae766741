"""Reading settings from the environment and `.env`: blank means the default, and what cannot be is said in one line.

python-dotenv reads the file, django-environ the addresses of databases and mail servers; what a number, a choice or a
host may be is told here, with the variable's name, because the person who reads it has mistyped a line of `.env`.
"""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
DATABASES = ("sqlite3", "postgresql")
TRUE, FALSE = frozenset({"true", "1", "yes", "on", "y"}), frozenset({"false", "0", "no", "off", "n"})


class Environment:
    """The variables of this process, over those of the file that ENV_FILE names."""

    def __init__(self, path: str) -> None:
        _read_file(path)

    def text(self, name: str, default: str = "") -> str:
        return os.environ.get(name, "").strip() or default

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        given = self.text(name, default).lower()
        if given not in choices:
            raise _refused(name, given, f"one of {', '.join(choices)}", default)
        return given

    def flag(self, name: str, *, default: bool) -> bool:
        given = self.text(name).lower()
        if not given:
            return default
        if given not in TRUE | FALSE:
            raise _refused(name, given, "true or false", str(default).lower())
        return given in TRUE

    def number(self, name: str, default: int, *, least: int = 0, most: int = 1_000_000) -> int:
        given = self.text(name)
        if not given:
            return default
        # A lone minus, a unit, a comment behind the value: all are words to us.
        if not WHOLE.fullmatch(given) or not least <= int(given) <= most:
            raise _refused(name, given, f"a whole number from {least} to {most}", str(default))
        return int(given)

    def days(self, name: str, default: int) -> int | None:
        """Return for how many days rows are kept; None for `forever`.

        0 means “for ever” in some programs and “nothing” in others, and what is pruned is gone: neither is guessed.
        """
        if self.text(name).lower() == "forever":
            return None
        try:
            return self.number(name, default, least=1, most=36_500)
        except ImproperlyConfigured:
            raise _refused(
                name, self.text(name), "a number of days from 1 to 36500, or forever", str(default)
            ) from None

    def names(self, name: str) -> list[str]:
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def hosts(self, name: str) -> list[str]:
        """Return a list of host names: not addresses, which would refuse everybody."""
        given = self.names(name)
        for host in given:
            # Neither a port nor an address of IPv6 without its brackets is ever the name that is asked for.
            if "/" in host or " " in host or (":" in host and not (host.startswith("[") and host.endswith("]"))):
                wanted = "host names alone, such as bridge.example, without https://, port or path"
                raise _refused(name, host, wanted, "this machine alone")
        return given

    def origins(self, name: str) -> list[str]:
        given = self.names(name)
        for origin in given:
            if not re.match(r"https?://.", origin):
                raise _refused(name, origin, "addresses with their scheme, such as https://bridge.example", "none")
        return given

    def redis(self, name: str) -> str:
        given = self.text(name)
        if given and not given.startswith(("redis://", "rediss://", "unix://")):
            raise _refused(name, given, "an address such as redis://127.0.0.1:6379/0", "no Redis")
        return given

    def zone(self, name: str, default: str) -> str:
        given = self.text(name, default)
        try:
            zoneinfo.ZoneInfo(given)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise _refused(name, given, "a zone such as America/Sao_Paulo", default) from None
        return given

    def database(self, name: str, default: str) -> dict[str, Any]:
        found = _address(environ.Env.db_url_config, self.text(name, default))
        if str(found.get("ENGINE", "")).rpartition(".")[2] not in DATABASES:
            wanted = (
                "sqlite:///data/bridge.sqlite3, or postgres://user:password@host/name with a / in the password as %2F"
            )
            # What is there may hold a password, which nobody has to read.
            raise _refused(name, "what is there", wanted, "a file beside the bridge")
        return found

    def mail(self, name: str, default: str) -> dict[str, Any]:
        found = _address(environ.Env.email_url_config, self.text(name, default))
        if not found.get("EMAIL_BACKEND"):
            wanted = "an address such as smtp+tls://user:password@mail.example:587"
            raise _refused(name, "what is there", wanted, "mail is written to the log")
        return found


def _address(read: Callable[[str], Any], text: str) -> dict[str, Any]:
    """Return what a library makes of an address; nothing where it raises, which each does in its own way."""
    try:
        return dict(read(text))
    except Exception:
        return {}


def _refused(name: str, given: str, wanted: str, default: str) -> ImproperlyConfigured:
    shown = given if len(given) <= 60 else f"{given[:60]}…"
    return ImproperlyConfigured(f"{name}: “{shown}” cannot be used. It takes {wanted}. Left empty: {default}.")


def _read_file(path: str) -> None:
    """Take the variables of a file that the environment does not have already."""
    file = Path(path)
    if path == os.devnull or not file.exists():
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except PermissionError:
        raise ImproperlyConfigured(f"{file} may not be read by this user: run as its owner, or change it.") from None
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise ImproperlyConfigured(f"{file}, line {line}: not written in UTF-8. Save the file as UTF-8.") from None
    # A `$` in a token or a password is a `$`.
    for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items():
        if value is not None:
            os.environ.setdefault(name, value)
