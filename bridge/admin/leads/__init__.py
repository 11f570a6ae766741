"""Leads: the list, and the page of one lead with all that happened and all that can be done."""

from bridge.admin.leads import lists, probably_one_person

__all__ = ["lists", "probably_one_person"]
