"""Every kind of a way in: what reads it, by what it proves who calls, and what can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.intakes import calcom, calendly, chatwoot, evolution, waha, whatsapp_cloud, zapi
from bridge.intakes.source_news import Call, Told, UnreadableError
from bridge.models import Intake

Kind = Intake.Kind


@dataclass(frozen=True)
class Source:
    """A kind. `settings`: what `--set` takes; `proof`: the one of them that makes a signature be asked for.

    books: it tells of meetings, not of messages.
    """

    read: Callable[[Any], list[Told]]
    settings: tuple[str, ...] = ()
    proof: str = ""
    is_signed: Callable[[Call, Mapping[str, str]], bool] = lambda call, settings: True
    books: bool = False


SOURCES: dict[str, Source] = {
    Kind.EVOLUTION: Source(evolution.read, evolution.SETTINGS, "jwt_key", evolution.is_signed),
    Kind.WAHA: Source(waha.read, waha.SETTINGS, "hmac_key", waha.is_signed),
    Kind.ZAPI: Source(zapi.read),
    Kind.WHATSAPP_CLOUD: Source(whatsapp_cloud.read, whatsapp_cloud.SETTINGS, "app_secret", whatsapp_cloud.is_signed),
    Kind.CHATWOOT: Source(chatwoot.read, chatwoot.SETTINGS, "secret", chatwoot.is_signed),
    Kind.CALCOM: Source(calcom.read, calcom.SETTINGS, "secret", calcom.is_signed, books=True),
    Kind.CALENDLY: Source(calendly.read, calendly.SETTINGS, "secret", calendly.is_signed, books=True),
}


def may_call(kind: str, settings: Mapping[str, str], call: Call) -> bool:
    """Say whether a call has the signature that its kind and its settings ask for."""
    source = SOURCES[kind]
    return not (source.proof and settings.get(source.proof)) or source.is_signed(call, settings)


def read(kind: str, body: Any) -> list[Told]:
    """Return what a body tells. Raises UnreadableError for what no source sends."""
    if not isinstance(body, dict):
        raise UnreadableError("the body is no JSON object")
    return SOURCES[kind].read(body)
