"""`manage.py run` from a script: started in its background, stopped by SIGTERM, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest
import requests

from bridge.demo.stage import MANAGE, Stage, free_port
from tests.e2e.stack import eventually, give_migrated, port
from tests.e2e.test_kills import descendants

pytestmark = pytest.mark.once


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_script_that_started_it_in_its_background_can_stop_it(tmp_path, ending):
    give_migrated(tmp_path)
    url = f"127.0.0.1:{free_port(port())}"
    environment = Stage(tmp_path, web_port=0, sandbox_port=0).environment
    # As a shell without job control does for what it puts into its background.
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        running = subprocess.Popen(
            [*MANAGE, "run", "--bind", url],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            restore_signals=False,
        )
    finally:
        signal.signal(signal.SIGINT, ignored)
    try:
        eventually(lambda: requests.get(f"http://{url}/readyz", timeout=5).raise_for_status())
        children = descendants(running.pid)
        assert len(children) >= 2

        running.send_signal(ending)

        assert running.wait(timeout=60) == 0
        eventually(lambda: _assert_gone(children))
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


@pytest.mark.parametrize("bind", ["taken", "127.0.0.1:many", "8000", "127.0.0.1:99999", "nobody.invalid:8000"])
def test_an_address_that_cannot_be_served_is_told_at_once(tmp_path, bind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}" if bind == "taken" else bind
        command = [*MANAGE, "run", "--bind", address]
        environment = Stage(tmp_path, web_port=0, sandbox_port=0).environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout == ""
    [message] = done.stderr.splitlines()
    assert f"{address} cannot be served" in message
    assert "--bind 127.0.0.1:8001" in message


def _assert_gone(pids: set[int]) -> None:
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
