"""docs/operating.md as its reader follows it: its commands, and the little a host does that a test has to do itself."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "operating.md"
UNITS = ROOT / "deploy" / "systemd"
BLOCK = re.compile(r"(?:^<!-- (?P<who>[^>]+) -->\n)?^```sh\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Commands that are run together. `who` says by whom or on what they are run; empty: by the bridge's own user."""

    section: str
    who: frozenset[str]
    commands: str


def blocks() -> list[Block]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return [
        Block(
            section=re.findall(r"^##+ (.+)$", text[: found.start()], re.MULTILINE)[-1],
            who=frozenset(part.strip() for part in (found["who"] or "").split(",")) - {""},
            commands=found["commands"],
        )
        for found in BLOCK.finditer(text)
    ]


class Services:
    """What systemd does with our units, as far as they ask for it: start, reload, wait for the end, kill the group."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def systemctl(self, verb: str, *names: str) -> None:
        for name in names:
            if verb in ("stop", "restart"):
                self._stop(name)
            if verb in ("start", "restart", "enable"):
                self._start(name)
            if verb == "reload":
                self._reload(name)

    def _unit(self, name: str) -> tuple[dict[str, list[str]], str]:
        template, _, instance = name.partition("@")
        text = (UNITS / f"{template}@.service").read_text(encoding="utf-8").replace("%i", instance)
        lines: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, separator, value = line.partition("=")
            if separator and not line.startswith("#"):
                lines.setdefault(key, []).append(self._host.here(value))
        return lines, instance

    def _start(self, name: str) -> None:
        unit, _ = self._unit(name)
        variables = dict(setting.split("=", 1) for setting in unit.get("Environment", []))
        for path in unit["EnvironmentFile"]:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
            variables |= dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        with (self._host.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                shlex.split(unit["ExecStart"][0]),
                cwd=unit["WorkingDirectory"][0],
                env=self._host.environment | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _reload(self, name: str) -> None:
        unit, _ = self._unit(name)
        command = unit["ExecReload"][0].replace("$MAINPID", str(self.processes[name].pid))
        subprocess.run(shlex.split(command), check=True)

    def _stop(self, name: str) -> None:
        unit, _ = self._unit(name)
        assert unit["KillMode"] == ["mixed"], "the main process alone is to be asked"
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(int(unit["TimeoutStopSec"][0]))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def stop_all(self) -> None:
        for name in list(self.processes):
            self._stop(name)

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in self._host.root.glob("*.log")
        )


class Host:
    """A folder that stands for the host: the document's paths, names and ports are replaced by the test's own."""

    def __init__(
        self, root: Path, replaced: dict[str, str], environment: dict[str, str], of_root: dict[str, str]
    ) -> None:
        self.root = root
        self._of_root = of_root
        self._replaced = replaced
        self.environment = environment
        self.services = Services(self)

    def here(self, text: str) -> str:
        for theirs, ours in self._replaced.items():
            text = text.replace(theirs, ours)
        return text

    def run(self, commands: str, **variables: str) -> str:
        """Run commands as a shell does that stops at the first that fails; return what they printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(commands)],
            cwd=self.root,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        output = f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{self.services.logs()}"
        assert done.returncode == 0, output
        return done.stdout

    def as_root(self, commands: str, *, skipped: set[str]) -> None:
        """Do what a block for root asks of the services; the rest is run, but for what changes a whole machine."""
        for line in commands.strip().splitlines():
            words = shlex.split(self.here(line))
            if words[0] == "systemctl":
                ours = [word for word in words[2:] if word.startswith("bridge-")]
                self.services.systemctl(words[1], *ours)
            elif words[0] in skipped:
                continue
            else:
                self.run(line, **self._of_root)
