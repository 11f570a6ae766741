"""Every page of a table: importing this registers them, behind those of the other applications (bridge/urls.py)."""

from bridge.admin import accounts, agent_keys, card_pages, followups, leads, people_and_jobs, rules, ways

__all__ = ["accounts", "agent_keys", "card_pages", "followups", "leads", "people_and_jobs", "rules", "ways"]
