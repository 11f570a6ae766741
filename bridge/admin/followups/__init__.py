"""Follow-ups as staff see them: what goes out next and why, what went out and what came of it, who wants no more."""

from bridge.admin.followups import enrollments, optouts, sent_messages

__all__ = ["enrollments", "optouts", "sent_messages"]
