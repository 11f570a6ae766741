"""The rules staff own: pages to read, prepare, publish and roll back a pipeline's rules, and the single rows below."""

from bridge.admin.rules import pages, stored_rows

__all__ = ["pages", "stored_rows"]
