"""A sandbox of its own for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kommo_sandbox.options import Options
from kommo_sandbox.server import SandboxServer
from sandbox_calls import Api, Listener


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer(options=Options(requests_per_second=0, webhook_time_scale=0.00005)) as server:
        yield server


@pytest.fixture
def api(sandbox_server: SandboxServer) -> Iterator[Api]:
    client = Api(sandbox_server)
    client.staff("reset")
    with client.session:
        yield client
    client.staff("reset")


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()
