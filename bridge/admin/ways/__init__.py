"""Ways in and out: one page for all of them, a page for each, and what the ways in told."""

from bridge.admin.ways import channels, intake_calls, intakes, outgoing_messages

__all__ = ["channels", "intake_calls", "intakes", "outgoing_messages"]
