"""The demo's processes: a sandbox of Kommo, the web server and the worker, each its own, all stopped together."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import requests
from cryptography.fernet import Fernet

from bridge import web_server
from bridge.installed_paths import MANAGE

# What lives is waited for: a busy machine takes its time. Beyond this something is wrong that time does not cure.
READY_WITHIN_SECONDS = 900
SAY_AGAIN_SECONDS = 20
TRIES, BETWEEN_TRIES_SECONDS = 10, 3
STOP_WITHIN_SECONDS = 30


class StageError(Exception):
    """A process did not start; the message says which and where its log is."""


# Held until the process ends, so that of two that begin in the same moment only one takes the usual port.
_claims: dict[int, int] = {}


# What an installation is told by its environment: its account and agent, and whom it writes to. A play is none of it.
OF_OTHERS = (
    "KOMMO_", "AGENT_WEBHOOK", "DJANGO_", "BRIDGE_", "TEST_", "ALERT_", "EMAIL_URL", "EVOLUTION_", "FOLLOWUP_CHANNEL",
    "SENTRY_", "OTEL_", "REDIS_URL", "Q_", "SECURE", "SESSION_", "CSRF_", "TRUSTED_",
)  # fmt: skip


def free_port(preferred: int) -> int:
    """Return the preferred port, or any free one when it is taken or claimed by another demo."""
    for port in (preferred, 0):
        if port and not _claimed(port):
            continue
        with socket.socket() as probe:
            # As the servers do: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StageError("no free port on 127.0.0.1")


def _claimed(port: int) -> bool:
    """Claim a port among the demos and tests of this machine; False when another process has it."""
    if port in _claims:
        return True
    try:
        claim = os.open(Path(tempfile.gettempdir()) / f"kommo-bridge-port-{port}.lock", os.O_WRONLY | os.O_CREAT)
    except OSError:
        # Another user's.
        return False
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        return False
    _claims[port] = claim
    return True


class Stage:
    """Sandbox, web and worker on a database of their own, from `start` until `stop`."""

    def __init__(
        self,
        directory: Path,
        *,
        web_port: int,
        sandbox_port: int,
        extra: dict[str, str] | None = None,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.directory = directory
        # Where somebody is told that something takes longer.
        self._say = say
        self.web_url = f"http://127.0.0.1:{web_port}"
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        self._web_port, self._sandbox_port = web_port, sandbox_port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_OTHERS)} | {
            "ENV_FILE": os.devnull,
            "DEBUG": "true",
            "SECRET_KEY": "only-for-this-demo-" + os.urandom(16).hex(),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATABASE_URL": f"sqlite:///{directory / 'demo.sqlite3'}",
            "KOMMO_BASE_URL": self.sandbox_url,
            "KOMMO_LONG_LIVED_TOKEN": "sandbox-token",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            # Beside a bridge of one's own on this machine: browsers keep cookies by host, whatever the port.
            "SESSION_COOKIE_NAME": "demo_sessionid",
        }
        self.environment |= extra or {}

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a management command to its end and return what it printed. Raises StageError with its last line."""
        done = subprocess.run(
            [*MANAGE, *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StageError(f"manage.py {arguments[0]}: {(done.stderr.strip() or done.stdout.strip())[-600:]}")
        return done.stdout.strip()

    def manage_patiently(self, *arguments: str) -> str:
        """Run a command that may be repeated until it succeeds. Raises StageError with what the last try said."""
        for number in range(1, TRIES + 1):
            try:
                return self.manage(*arguments)
            except StageError as error:
                if number == TRIES:
                    raise
                self._say(f"… {str(error).splitlines()[-1]} Trying again ({number}).")
                time.sleep(BETWEEN_TRIES_SECONDS)
        raise AssertionError

    def start_sandbox(self, *, waits: bool = True) -> None:
        self.start("sandbox", [*MANAGE, "kommo_sandbox", "--port", str(self._sandbox_port)])
        if waits:
            self.wait_for_sandbox()

    def wait_for_sandbox(self) -> None:
        self.wait_for("sandbox", f"{self.sandbox_url}/_sandbox/statistics")

    def start_web(self, *, workers: int = 1, threads: int = 4, waits: bool = True) -> None:
        gunicorn = [*web_server.COMMAND, "--bind", f"127.0.0.1:{self._web_port}"]
        sizes = [
            "--workers",
            str(workers),
            "--worker-class",
            "gthread",
            "--threads",
            str(threads),
            "--log-level",
            "warning",
        ]
        self.start("web", [*gunicorn, *sizes])
        if waits:
            self.wait_for_web()

    def wait_for_web(self) -> None:
        self.wait_for("web", f"{self.web_url}/readyz")

    def start_worker(self, name: str = "worker") -> None:
        self.start(name, [*MANAGE, "worker"])

    def start(self, name: str, command: list[str]) -> None:
        log = (self.directory / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait_for(self, name: str, url: str) -> None:
        began = said_at = time.monotonic()
        log = self.directory / f"{name}.log"
        while not self._answers(name, url, log):
            now = time.monotonic()
            if now - began > READY_WITHIN_SECONDS:
                raise StageError(f"the {name} does not answer after {int(now - began)} s; its log is {log}")
            if now - said_at > SAY_AGAIN_SECONDS:
                said_at = now
                self._say(f"… the {name} is still starting after {int(now - began)} s; its log is {log}")
            time.sleep(0.1)

    def _answers(self, name: str, url: str, log: Path) -> bool:
        if self.processes[name].poll() is not None:
            raise StageError(f"the {name} ended at once; its log is {log}")
        try:
            return requests.get(url, timeout=10).ok
        except requests.RequestException:
            return False

    def stop_process(self, name: str) -> None:
        """Stop one process, gracefully first."""
        self._stop([self.processes.pop(name)])

    def stop(self) -> None:
        """Stop everything that was started, gracefully first."""
        self._stop(list(self.processes.values()))
        self.processes.clear()

    def _stop(self, processes: list[subprocess.Popen[bytes]]) -> None:
        running = [process for process in processes if process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_WITHIN_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def until(is_so: Callable[[], bool], *, within_seconds: float, every_seconds: float = 0.1) -> bool:
    """Wait until something is so; False when it was not in time."""
    deadline = time.monotonic() + within_seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_seconds)
    return True
