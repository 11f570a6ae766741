"""Reading settings from the environment and `.env`: blank means the default, and what cannot be is said in one line.

python-dotenv reads the file, django-environ the addresses of databases and mail servers; what a number, a choice or a
host may be is told here, with the variable's name, because the person who reads it has mistyped a line of `.env`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import zoneinfo
from collections.abc import Callable, Sequence
from email.utils import parseaddr
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from dotenv import dotenv_values

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
# As Django knows a host, or it refuses everybody who asks for it: *, .example.com, names and addresses.
HOST = re.compile(r"\*|\.?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]")
# What stands in names of keys, cookies and queues.
WORD = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
# What stands in a path without being coded.
PATH_PART = re.compile(r"[A-Za-z0-9_.~-]{1,200}")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
SECRET = "what is there"  # instead of a value that may hold a secret
DATABASES = ("sqlite3", "postgresql")
TRUE, FALSE = frozenset({"true", "1", "yes", "on", "y"}), frozenset({"false", "0", "no", "off", "n"})


class Environment:
    """The variables of this process, over those of the file that ENV_FILE names."""

    def __init__(self, path: str) -> None:
        _read_file(path)

    def text(self, name: str, default: str = "") -> str:
        given = os.environ.get(name, "").strip()
        # Line breaks, what nobody sees and what is not UTF-8: pasted along, they break whatever they are handed to.
        if not given.isprintable():
            raise _refused(name, SECRET, "one line of text in UTF-8, without invisible signs", default or "none")
        return given or default

    def word(self, name: str, default: str) -> str:
        given = self.text(name, default)
        if not WORD.fullmatch(given):
            raise _refused(name, given, "at most 60 letters, digits and - _ . :", default)
        return given

    def token(self, name: str) -> str:
        """Return a secret that travels in a header, which carries no blanks and nothing but ASCII."""
        given = self.text(name)
        if not given.isascii() or " " in given:
            raise _refused(name, SECRET, "the token alone, without blanks", "none")
        return given

    def path_part(self, name: str) -> str:
        given = self.text(name)
        if given and not PATH_PART.fullmatch(given):
            raise _refused(name, SECRET, "letters, digits and - _ . ~, as it is a part of a path", "one is made")
        return given

    def dotted(self, name: str) -> str:
        given = self.text(name)
        if given and not DOTTED.fullmatch(given):
            raise _refused(name, given, "the dotted path of a class, such as followups.channels.Evolution", "the agent")
        return given

    def keys(self, name: str) -> list[str]:
        """Return Fernet keys: 32 bytes, in the base64 of addresses."""
        given = self.names(name)
        for key in given:
            if not _is_key(key):
                wanted = "Fernet keys, newest first, with a comma between them; .env.example says how one is made"
                raise _refused(name, SECRET, wanted, "an error, unless DEBUG is on")
        return given

    def address(self, name: str, example: str) -> str:
        """Return an address of the web, as it is written: a scheme, a host, perhaps a port and a path."""
        given = self.text(name)
        if given and not _is_address(given, ("http", "https")):
            # It may hold a token.
            raise _refused(name, SECRET, f"an address such as {example}", "none")
        return given

    def dsn(self, name: str) -> str:
        given = self.text(name)
        if given and not (_is_address(given, ("http", "https")) and "@" in given):
            wanted = "it takes what Sentry shows, such as https://key@sentry.example/1"
            raise ImproperlyConfigured(f"{name} is no address of a Sentry project: {wanted}. Left empty: none.")
        return given

    def kommo(self, name: str, check: Callable[[str], str]) -> str:
        """Return an account's address. `check` raises where it is none, and says so."""
        given = self.text(name)
        try:
            return check(given) if given else ""
        except Exception as error:
            raise ImproperlyConfigured(f"{name}: {error}. Left empty: no account.") from None

    def emails(self, name: str) -> list[str]:
        given = self.names(name)
        for address in given:
            if not _is_email(address):
                raise _refused(name, address, "e-mail addresses with a comma between them", "nobody")
        return given

    def sender(self, name: str, default: str) -> str:
        given = self.text(name, default)
        if given != default and not _is_email(parseaddr(given)[1]):
            raise _refused(name, given, "an e-mail address, or a name and one: Bridge <bridge@example.com>", default)
        return given

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
            if not HOST.fullmatch(host.lower()):
                wanted = "host names alone, such as bridge.example, without https://, port or path"
                raise _refused(name, host, wanted, "this machine alone")
        return given

    def origins(self, name: str) -> list[str]:
        """Return origins as browsers send them; a slash behind one is none of it."""
        given = [address.removesuffix("/") for address in self.names(name)]
        for origin in given:
            parts = _parts(origin)
            named = parts is not None and HOST.fullmatch((parts.hostname or "").removeprefix("*"))
            if not named or not _is_address(origin, ("http", "https")) or parts is None or parts.path or parts.query:
                raise _refused(name, origin, "addresses with their scheme, such as https://bridge.example", "none")
        return given

    def redis(self, name: str) -> str:
        given = self.text(name)
        if given and not _is_redis(given):
            # It may hold a password.
            raise _refused(name, SECRET, "an address such as redis://127.0.0.1:6379/0", "no Redis")
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
        if str(found.get("ENGINE", "")).rpartition(".")[2] not in DATABASES or not found.get("NAME"):
            wanted = (
                "sqlite:///data/bridge.sqlite3, or postgres://user:password@host/name with a / in the password as %2F"
            )
            # What is there may hold a password, which nobody has to read.
            raise _refused(name, SECRET, wanted, "a file beside the bridge")
        return found

    def mail(self, name: str, default: str) -> dict[str, Any]:
        found = _address(environ.Env.email_url_config, self.text(name, default))
        backend = str(found.get("EMAIL_BACKEND") or "")
        if not backend or (backend.endswith("smtp.EmailBackend") and not found.get("EMAIL_HOST")):
            wanted = "an address such as smtp+tls://user:password@mail.example:587"
            raise _refused(name, SECRET, wanted, "mail is written to the log")
        return found


def _address(read: Callable[[str], Any], text: str) -> dict[str, Any]:
    """Return what a library makes of an address; nothing where it raises, which each does in its own way."""
    try:
        return dict(read(text))
    except Exception:
        return {}


def _parts(text: str) -> SplitResult | None:
    """Return the parts of an address; None where it has a port that is none, or brackets that do not end."""
    try:
        parts = urlsplit(text)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _is_address(text: str, schemes: Sequence[str]) -> bool:
    parts = _parts(text)
    if parts is None or parts.scheme not in schemes or not parts.hostname or " " in text:
        return False
    if parts.netloc.endswith(":") or parts.path.startswith("//"):
        # The scheme was written twice.
        return False
    # A host is dots and labels; what is not ASCII is asked for under another name.
    return all(label and len(label) <= 63 for label in parts.hostname.removesuffix(".").split("."))


def _is_redis(text: str) -> bool:
    parts = _parts(text)
    if parts is None or " " in text:
        return False
    if parts.scheme == "unix":
        return parts.path.startswith("/") and len(parts.path) > 1
    number = parts.path.strip("/")
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (not number or number.isdecimal())


def _is_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text.encode())) == 32
    except (ValueError, binascii.Error):
        return False


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _refused(name: str, given: str, wanted: str, default: str) -> ImproperlyConfigured:
    shown = given if len(given) <= 60 else f"{given[:60]}…"
    return ImproperlyConfigured(f"{name}: “{shown}” cannot be used. It takes {wanted}. Left empty: {default}.")


def make_folder(name: str, folder: Path) -> None:
    """Make the folder that a variable names a file in, for its owner alone. Raises ImproperlyConfigured.

    What leads said lies in it, and the sessions of staff: no other user of the machine has to read them. One that is
    there keeps the rights it was given.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise ImproperlyConfigured(f"{name}: {str(folder)[:200]}: {why}. Name a file in another folder.") from None


def _read_file(path: str) -> None:
    """Take the variables of a file that the environment does not have already."""
    file = Path(path)
    if path == os.devnull:
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except PermissionError:
        raise ImproperlyConfigured(f"{file} may not be read by this user: run as its owner, or change it.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = file.read_bytes()[: error.start].count(b"\n") + 1
            raise ImproperlyConfigured(f"{file}, line {line}: not written in UTF-8. Save the file as UTF-8.") from None
        raise ImproperlyConfigured(f"ENV_FILE: {file} is no file that can be read. Name another.") from None
    # A `$` in a token or a password is a `$`.
    for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items():
        if "\0" in name + (value or ""):
            raise ImproperlyConfigured(f"{file}: a NUL stands in it. Save it as plain text.")
        if value is not None:
            os.environ.setdefault(name, value)
