"""Ways in and out: one page for all of them, a page for each, and what the ways in told."""

from bridge.admin.ways import calls, channels, intakes, outgoing

__all__ = ["calls", "channels", "intakes", "outgoing"]
