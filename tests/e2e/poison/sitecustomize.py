"""On the path of a test's processes: whoever is about to send this poison ends as by the kernel's hand."""

from __future__ import annotations

import os
import signal
from http.client import HTTPConnection
from typing import Any

POISON = b"veneno"

_send = HTTPConnection.send


def send(self: HTTPConnection, data: Any) -> None:
    if isinstance(data, bytes) and POISON in data:
        os.kill(os.getpid(), signal.SIGKILL)
    _send(self, data)


HTTPConnection.send = send  # type: ignore[method-assign]
