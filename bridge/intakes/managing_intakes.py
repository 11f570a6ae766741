"""Making and changing ways in, and their addresses."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from bridge.configuration.account_from_environment import hash_secret
from bridge.errors import ConfigurationError
from bridge.intakes.source_kinds import SOURCES
from bridge.models import Intake
from leads.models import Pipeline

SLUG_SIGNS = "letters, digits, - and _"


def establish(
    kind: str, slug: str, *, pipeline: Pipeline | None = None, settings: Mapping[str, str] | None = None
) -> Intake:
    """Make a way in, or change the one of that name; its address stays. An empty setting takes it away.

    Raises ConfigurationError for a kind or a setting that there is not, and for a name that another kind has.
    """
    source = SOURCES.get(kind)
    if source is None:
        raise ConfigurationError(f"There is no kind “{kind}”: {', '.join(SOURCES)}.")
    if not slug or len(slug) > 50 or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in slug):
        raise ConfigurationError(f"“{slug}” is no short name: up to 50 {SLUG_SIGNS}.")
    unknown = [key for key in settings or {} if key not in source.settings]
    if unknown:
        known = f"it takes {', '.join(source.settings)}" if source.settings else "it takes none"
        raise ConfigurationError(f"{kind} has no setting “{unknown[0]}”: {known}.")
    intake = Intake.objects.filter(slug=slug).first() or Intake(slug=slug, kind=kind)
    if intake.kind != kind:
        raise ConfigurationError(f"“{slug}” is a way in of {intake.kind}: choose another name.")
    if not intake.secret:
        set_secret(intake)
    intake.pipeline = pipeline or intake.pipeline
    set_settings(intake, settings_of(intake) | dict(settings or {}))
    intake.is_active = True
    intake.save()
    return intake


def set_secret(intake: Intake) -> None:
    """Give a way in a new address; does not save."""
    intake.secret = secrets.token_urlsafe(24)
    intake.secret_hash = hash_secret(intake.secret)


def settings_of(intake: Intake) -> dict[str, str]:
    return read_settings(intake.settings)


def read_settings(stored: str) -> dict[str, str]:
    return dict(json.loads(stored)) if stored else {}


def set_settings(intake: Intake, settings: Mapping[str, str]) -> None:
    """Let a way in have these settings, without the empty ones; does not save."""
    kept = {key: value for key, value in settings.items() if value}
    intake.settings = json.dumps(kept) if kept else ""


def path_of(intake: Intake) -> str:
    return f"/intake/{intake.slug}/{intake.secret}/"
