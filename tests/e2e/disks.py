"""A disk small enough to be filled: memory that behaves as one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

CHUNK = 64 * 1024


class SmallDisk:
    """A file system of so many MiB. Mounting one takes root, and a container that may: `mounted` says if it could."""

    def __init__(self, mebibytes: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-disk-"))
        # Others may pass through: PostgreSQL does not run as root.
        options = f"size={mebibytes}m,mode=755"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        mount = shutil.which("mount")
        self.mounted = bool(mount) and subprocess.run(command, check=False, capture_output=True).returncode == 0
        self._ballast = self.folder / "ballast"

    def fill(self) -> None:
        """Leave no room for another byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            size = CHUNK
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        if self.mounted:
            # Lazily: whoever still has a file open there keeps the file, and nobody the folder.
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir() if self.mounted else shutil.rmtree(self.folder)
