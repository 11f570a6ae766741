"""The lead that `kommo_probe` makes for itself is nobody's: it is no lead of ours, whatever webhooks tell of it."""

from __future__ import annotations

from bridge.kommo.replies import LeadReply

NAME = "Bridge probe"


def is_one(reply: LeadReply) -> bool:
    return reply.name.startswith(NAME)
