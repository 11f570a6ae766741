"""Contradictions in the settings, reported at start with their remedy."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import Error, Warning, register

from bridge import static_files
from bridge.errors import ConfigurationError
from bridge.kommo.hosts import check_base_url


@register()
def kommo_settings(**_: Any) -> list[Error]:
    found: list[Error] = []
    if settings.KOMMO_BASE_URL:
        try:
            check_base_url(settings.KOMMO_BASE_URL)
        except ConfigurationError as error:
            found.append(Error(f"KOMMO_BASE_URL: {error}", id="bridge.E001"))
    if not 1 <= settings.KOMMO_BATCH_SIZE <= 250:
        found.append(Error("KOMMO_BATCH_SIZE lies between 1 and 250 (Kommo's hard limit).", id="bridge.E002"))
    if not 1 <= settings.KOMMO_REQUESTS_PER_SECOND <= 50:
        found.append(Error("KOMMO_REQUESTS_PER_SECOND lies between 1 and 50.", id="bridge.E003"))
    if settings.AGENT_WEBHOOK_URL and not settings.AGENT_WEBHOOK_SECRET:
        found.append(
            Error(
                "AGENT_WEBHOOK_URL is set without AGENT_WEBHOOK_SECRET: the agent could not know our calls.",
                id="bridge.E004",
            )
        )
    return found


@register()
def encryption_keys(**_: Any) -> list[Error]:
    for key in settings.FIELD_ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    "FIELD_ENCRYPTION_KEYS holds a value that is not a Fernet key (32 bytes, URL-safe base64).",
                    id="bridge.E005",
                )
            ]
    return []


@register()
def collected_static_files(**_: Any) -> list[Warning]:
    if not static_files.collects() or static_files.was_collected():
        return []
    text = "The static files are not collected: pages are served, with larger files that no browser keeps."
    return [Warning(text, hint=static_files.REMEDY, id="bridge.W001")]
