"""The control API below `/_sandbox/`: acting as staff, ordering faults, reading the journal."""

from __future__ import annotations

from bridge.sandbox.calls import Route
from bridge.sandbox.control import administrator, instruments, staff

ROUTES: list[Route] = [*instruments.ROUTES, *staff.ROUTES, *administrator.ROUTES]
