"""Which process is this, in words that other hosts can keep apart and this one can check?

Whoever holds a lease signs it with `signature()`. A process of the same machine can then see that the holder is dead
and free the lease at once; everybody else waits until it runs out.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from uuid import uuid4

LONGEST_NAME = 60


@cache
def machine() -> str:
    """Return this machine's name and a mark of its process ids.

    Machines cloned from one image share a name, and containers of one machine count their processes apart: freeing
    a live holder's lease would let two processes send for one account. So the boot and the process namespace are part
    of it.
    """
    try:
        mark = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:
        # Not Linux: no containers that count their processes apart.
        mark = ""
    digest = hashlib.sha256(mark.encode()).hexdigest()[:8]
    return f"{socket.gethostname()[:LONGEST_NAME]}/{digest}"


def process() -> str:
    """Return "machine:pid" of this process."""
    return f"{machine()}:{os.getpid()}"


def signature() -> str:
    """Return "machine:pid:random", unlike every other signature."""
    return f"{process()}:{uuid4().hex[:8]}"


def is_dead(holder: str) -> bool:
    """Say whether the holder was a process of this machine that is no more; False when that cannot be known."""
    name, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if name != machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return _is_zombie(int(pid))


def _is_zombie(pid: int) -> bool:
    """Say whether the process has ended and only waits for its parent to notice."""
    try:
        # "pid (name) state …", and a name may itself hold brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
