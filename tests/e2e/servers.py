"""A PostgreSQL and a Redis of a test's own, which it may stop, kill and start as it likes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
IS_THERE = bool(POSTGRES) and shutil.which("redis-server") is not None
IS_ROOT = os.geteuid() == 0


class Postgres:
    """One cluster in a folder of its own, made where it may pass: PostgreSQL refuses to run as root."""

    def __init__(self, port: int, directory: Path | None = None) -> None:
        # Not below pytest's folder, which is root's alone.
        self._data, self._port = Path(tempfile.mkdtemp(prefix="bridge-postgres-", dir=directory)), port
        if IS_ROOT:
            shutil.chown(self._data, "postgres")
        self._do("initdb", "-U", "bridge", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self.url = f"postgres://bridge@127.0.0.1:{port}/postgres"

    def _do(self, program: str, *arguments: str) -> None:
        command = [str(POSTGRES[-1] / program), "-D", str(self._data), *arguments]
        if IS_ROOT:
            command = ["runuser", "-u", "postgres", "--", *command]
        # Not a pipe: what stays running would hold it, and whoever waits for its end would wait for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, cwd="/", check=False, stdout=output, stderr=subprocess.STDOUT)
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read().decode(errors='replace')}"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._do("pg_ctl", "-w", "-l", str(self._data / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop: `immediate` is what a crash is, `fast` ends every connection first."""
        self._do("pg_ctl", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._data)


class Redis:
    def __init__(self, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word; what it held is forgotten."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
