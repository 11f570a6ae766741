"""Reports conversations to a Kommo bridge, asks it, and hears its events."""

from kommo_bridge_client.client import AsyncBridge, Bridge
from kommo_bridge_client.errors import (
    AwayError,
    BridgeError,
    ErasedError,
    KeyRefusedError,
    KnownOtherwiseError,
    MayNotReplyError,
    NotFoundError,
    RefusedError,
)
from kommo_bridge_client.events import Event, Events, Gone, MemoryStore, Said, Skip, SqliteStore
from kommo_bridge_client.reporter import AsyncConversationReporter, ConversationReporter, Turn

__all__ = [
    "AsyncBridge",
    "AsyncConversationReporter",
    "AwayError",
    "Bridge",
    "BridgeError",
    "ConversationReporter",
    "ErasedError",
    "Event",
    "Events",
    "Gone",
    "KeyRefusedError",
    "KnownOtherwiseError",
    "MayNotReplyError",
    "MemoryStore",
    "NotFoundError",
    "RefusedError",
    "Said",
    "Skip",
    "SqliteStore",
    "Turn",
]
