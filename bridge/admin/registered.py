"""Every page of a table: importing this registers them, behind those of the other applications (bridge/urls.py)."""

from bridge.admin import accounts, followups, keys, leads, logs, rules, system, ways

__all__ = ["accounts", "followups", "keys", "leads", "logs", "rules", "system", "ways"]
