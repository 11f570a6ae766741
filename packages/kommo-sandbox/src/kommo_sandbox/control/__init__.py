"""The control API below `/_sandbox/`: acting as staff, ordering faults, reading the journal."""

from __future__ import annotations

from kommo_sandbox.calls import Route
from kommo_sandbox.control import administrator, instruments, staff

ROUTES: list[Route] = [*instruments.ROUTES, *staff.ROUTES, *administrator.ROUTES]
