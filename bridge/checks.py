"""Contradictions and weaknesses in the settings, reported with their remedy.

What a value may be is checked where it is read (bridge/environment.py); here stands what one says beside another, and
what works and should still not face the internet.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from bridge import static_files

# What commands that show no pages are checked for (bridge/management/pageless.py).
SETTINGS = "settings"
# As `make run` makes one: 50 bytes at random.
KEY_LENGTH, SECRET_LENGTH = 50, 16
LEAST_DIFFERENT_SIGNS = 10
# Of examples, tutorials and templates.
WELL_KNOWN = (
    "changeme",
    "change-me",
    "change_me",
    "insecure",
    "secret-key",
    "secret_key",
    "your-",
    "example",
    "password",
)
NEW_KEY = gettext_noop("Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'")
NEW_FERNET_KEY = gettext_noop(
    "Put a new key in front, run manage.py reencrypt, then drop this one: "
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


@register(SETTINGS)
def agent_settings(**kwargs: Any) -> list[Error]:
    if settings.AGENT_WEBHOOK_URL and not settings.AGENT_WEBHOOK_SECRET:
        text = "AGENT_WEBHOOK_URL is set without AGENT_WEBHOOK_SECRET: the agent could not know our calls."
        return [Error(text, id="bridge.E004")]
    return []


@register(SETTINGS)
def collected_static_files(**kwargs: Any) -> list[Warning]:
    if not static_files.collects() or static_files.was_collected():
        return []
    text = "The static files are not collected: pages are served, with larger files that no browser keeps."
    return [Warning(text, hint=static_files.REMEDY, id="bridge.W001")]


@register(Tags.security, deploy=True)
def weak_settings(**kwargs: Any) -> list[Warning]:
    with translation.override("en"):
        return [Warning(text, hint=remedy, id="bridge.W002") for text, remedy in weaknesses()]


def weaknesses() -> Iterator[tuple[str, str]]:
    """Yield (what is weak, the remedy) of settings that work, in the active language."""
    if settings.DEBUG:
        public = sorted({*settings.ALLOWED_HOSTS} - {*settings.LOOPBACK})
        if public:
            text = _("DEBUG is on, and %(host)s is served: errors show code and settings.") % {"host": public[0]}
            yield text, _("Set DEBUG=false.")
        return
    if "*" in settings.ALLOWED_HOSTS:
        text = _("ALLOWED_HOSTS=* takes any host for ours: whoever asks decides which address we call our own.")
        yield text, _("Name the hosts you are asked by: ALLOWED_HOSTS=bridge.example")
    if why := why_guessable(settings.SECRET_KEY, KEY_LENGTH):
        yield _("SECRET_KEY %(why)s: whoever guesses it signs in as anybody.") % {"why": why}, _(NEW_KEY)
    if any(_was_typed(key) for key in settings.FIELD_ENCRYPTION_KEYS):
        yield _("FIELD_ENCRYPTION_KEYS holds a key that was typed, and can be guessed."), _(NEW_FERNET_KEY)
    for name in ("KOMMO_WEBHOOK_SECRET", "AGENT_WEBHOOK_SECRET", "METRICS_TOKEN"):
        given = getattr(settings, name)
        if given and (why := why_guessable(given, SECRET_LENGTH)):
            yield _("%(name)s %(why)s: it can be guessed.") % {"name": name, "why": why}, _(NEW_KEY)


def why_guessable(secret: str, length: int) -> str:
    """Return why a secret can be guessed; empty for one that looks like chance."""
    if len(secret) < length:
        return _("has fewer than %(length)d characters") % {"length": length}
    # A word that is repeated is found in itself, moved by its length.
    if len(set(secret)) < LEAST_DIFFERENT_SIGNS or secret in (secret + secret)[1:-1]:
        return _("repeats itself")
    known = next((word for word in WELL_KNOWN if word in secret.lower()), "")
    return _("looks like one from an example (“%(word)s”)") % {"word": known} if known else ""


def _was_typed(key: str) -> bool:
    return base64.urlsafe_b64decode(key.encode()).isascii()
