"""What staff see: leads and their cards, the rules, what is stuck, and how to free it."""

from bridge.admin import accounts, followups, keys, leads, logs, rules, system, ways

__all__ = ["accounts", "followups", "keys", "leads", "logs", "rules", "system", "ways"]
