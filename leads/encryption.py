"""Secrets at rest: a text field that stores what it holds under `FIELD_ENCRYPTION_KEYS`.

The keys come from the environment, newest first: the first encrypts, all decrypt. To rotate, put a new key in front,
run `manage.py reencrypt`, then drop the old one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models

PREFIX = "enc1:"


@lru_cache(maxsize=1)
def _fernet() -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])
    except ValueError as error:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS holds a value that is not a Fernet key.") from error


def _forget_keys(*, setting: str, **_: object) -> None:
    if setting == "FIELD_ENCRYPTION_KEYS":
        _fernet.cache_clear()


setting_changed.connect(_forget_keys)


def encrypt(text: str) -> str:
    return PREFIX + _fernet().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """Return the text behind `stored`. Raises ImproperlyConfigured when no key fits."""
    if not stored.startswith(PREFIX):
        raise ImproperlyConfigured("A stored secret is not encrypted; it was written around the application.")
    try:
        return _fernet().decrypt(stored.removeprefix(PREFIX).encode()).decode()
    except InvalidToken as error:
        raise ImproperlyConfigured(
            "No key of FIELD_ENCRYPTION_KEYS opens a stored secret. Put the key back that was removed; which secrets "
            "are locked in by it says: manage.py reencrypt --check."
        ) from error


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that is encrypted in the database and plain in Python. An empty text is stored as it is."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return decrypt(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        # Two encryptions of one text differ, so comparing in SQL would silently find nothing.
        if lookup_name not in ("isnull",):
            raise FieldError(f"An encrypted field cannot be searched with {lookup_name!r}.")
        return super().get_lookup(lookup_name)
