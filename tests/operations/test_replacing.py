"""An update without a pause: the shipped units and proxy, the document's commands, and callers that never rest."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import database, eventually, kinds, migrated, new_phone, port
from tests.e2e.test_kills import children
from tests.operations.document import ROOT, Host, blocks
from tests.operations.test_proxy import configured

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx is not installed"),
]
LANES = 4
[REPLACE] = [block.commands for block in blocks() if block.section == "Update" and "as root" in block.who]
START = REPLACE.replace("reload", "start").replace("restart", "start")


class Callers:
    """An agent with new leads, and Kommo, calling in several lanes without a pause; what went wrong is kept."""

    def __init__(self, url: str, key: str, certificate: Path) -> None:
        self._url, self._certificate = url, str(certificate)
        self._headers = {"Host": "bridge.example", "Authorization": f"Api-Key {key}"}
        self._enough = threading.Event()
        self.accepted: list[str] = []
        self.failed: list[str] = []

    def ask(self, method: str, path: str, **body: object) -> requests.Response:
        return requests.request(
            method, self._url + path, headers=self._headers, verify=self._certificate, timeout=40, **body
        )

    @contextmanager
    def calling(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._call) for _ in range(LANES)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._enough.set()
            for thread in threads:
                thread.join()

    def more_are_answered(self, count: int = 10) -> None:
        """Wait until so many more leads were taken in, or a call has failed."""
        before = len(self.accepted)

        def look() -> None:
            assert self.failed or len(self.accepted) >= before + count

        eventually(look)

    def _call(self) -> None:
        while not self._enough.is_set():
            phone = new_phone()
            if self._is_answered(201, "/api/v1/interactions/", json={"lead": {"phone": phone}}):
                self.accepted.append(phone)
            self._is_answered(404, "/webhooks/kommo/of-nobody/", data={"leads[update][0][id]": "1"})

    def _is_answered(self, status: int, path: str, **body: object) -> bool:
        try:
            answer = self.ask("POST", path, **body)
        except requests.RequestException as error:
            self.failed.append(f"{path}: {error!r}")
            return False
        if answer.status_code != status:
            self.failed.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == status


@pytest.fixture
def place(tmp_path) -> Iterator[Host]:
    """What the document's host comes to here: its folders are ours, nothing is installed."""
    kind = kinds()[0].partition("+")[0]
    with database(kind, tmp_path, like=migrated(kind, os.environ.get("TEST_DATABASE_URL", ""))) as url:
        web, second = (free_port(port()) for _ in range(2))
        stage = Stage(tmp_path, web_port=web, sandbox_port=0, extra={"DATABASE_URL": url})
        stage.environment |= {"DEBUG": "false", "ALLOWED_HOSTS": "bridge.example", "KOMMO_BASE_URL": ""}
        (tmp_path / ".env").touch()
        replaced = {
            "/opt/kommo-bridge/app/.env": str(tmp_path / ".env"),
            "/opt/kommo-bridge/app": str(ROOT),
            "/opt/kommo-bridge/venv/bin": str(Path(sys.executable).parent),
            "127.0.0.1:8000": f"127.0.0.1:{web}",
            "127.0.0.1:8001": f"127.0.0.1:{second}",
            "@8000": f"@{web}",
            "@8001": f"@{second}",
        }
        place = Host(tmp_path, replaced, stage.environment, {})
        place.stage, place.ports = stage, {"web": web, "away": second}
        with stage:
            try:
                yield place
            finally:
                place.services.stop_all()


def processes(place: Host) -> set[int]:
    """Return the processes that do the work: those below the main ones, which systemd watches."""
    return set().union(*(children(main.pid) for main in place.services.processes.values()))


@pytest.mark.served
def test_no_call_fails_while_every_process_is_replaced(place, tmp_path):
    ports = place.ports | {name: free_port(port()) for name in ("plain", "secure")}
    conf = configured(tmp_path, **ports)
    key = place.stage.manage("api_key", "agent")
    callers = Callers(f"https://127.0.0.1:{ports['secure']}", key, tmp_path / "fullchain.pem")
    place.as_root(START, skipped=set())
    place.stage.start("nginx", ["nginx", "-c", str(conf), "-g", "daemon off;"])
    eventually(lambda: callers.ask("GET", "/readyz").raise_for_status())

    with callers.calling():
        callers.more_are_answered()
        before = processes(place)
        place.as_root(REPLACE, skipped=set())
        callers.more_are_answered()

    assert callers.failed == []
    assert not before & processes(place), "somebody still runs the old code"
    count = "from leads.models import Lead; print(Lead.objects.count())"
    assert int(place.stage.manage("shell", "-v0", "-c", count)) == len(callers.accepted)
