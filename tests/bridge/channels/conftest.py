from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bridge.channels import managing_channels, sending_messages
from bridge.models import Channel
from leads.models import Lead
from tests.bridge.api.conftest import Agent, agent
from tests.bridge.channels.messengers import Messengers
from tests.conftest import record

__all__ = ["Agent", "agent"]

SETTINGS: dict[str, dict[str, str]] = {
    "evolution": {"url": "", "instance": "loja 1", "api_key": "evo-key"},
    "waha": {"url": "", "instance": "default", "api_key": "waha-key"},
    "zapi": {"url": "", "instance": "inst", "api_key": "zapi-key", "client_token": "ct"},
    "whatsapp_cloud": {"url": "", "phone_number_id": "555", "token": "cloud-token"},
    "chatwoot": {"url": "", "account_id": "3", "token": "cw-token"},
}


@pytest.fixture
def messengers() -> Iterator[Messengers]:
    server = Messengers()
    yield server
    server.close()


@pytest.fixture
def lead(pipeline: Any) -> Lead:
    """Somebody who has just written to us."""
    from leads.interaction_values import Direction, Message

    return record(pipeline, message=Message(Direction.INBOUND, id="in-1", text="oi")).lead


@pytest.fixture
def way(pipeline: Any, messengers: Messengers) -> Callable[..., Channel]:
    """Make a way out to the imitation of its messenger."""

    def make(kind: str, slug: str = "", **more: str) -> Channel:
        settings = {key: value or messengers.url for key, value in SETTINGS.get(kind, {}).items()}
        return managing_channels.establish(kind, slug or kind.replace("_", "-"), settings=settings | more)

    return make


def carry(*, seconds: float = 0) -> None:
    """Send all that is due, as a worker would, `seconds` from now."""
    later = timedelta(seconds=seconds)
    sending_messages.carry(
        holder="test:1",
        until=timezone.now() + later + timedelta(seconds=20),
        pool=sending_messages.Inline(),
        clock=lambda: timezone.now() + later,
        stay=timedelta(0),
    )
