"""Every page of a table: importing this registers them, behind those of the other applications (bridge/urls.py)."""

from bridge.admin import (
    accounts,
    agent_event_pages,
    agent_keys,
    card_pages,
    delivery_pages,
    drift_pages,
    erasure_pages,
    followups,
    leads,
    people_and_jobs,
    rules,
    ways,
    webhook_pages,
)

__all__ = [
    "accounts",
    "agent_event_pages",
    "agent_keys",
    "card_pages",
    "delivery_pages",
    "drift_pages",
    "erasure_pages",
    "followups",
    "leads",
    "people_and_jobs",
    "rules",
    "ways",
    "webhook_pages",
]
