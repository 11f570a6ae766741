"""For pytest: `kommo`, a local Kommo with its staff, new for each test; `--kommo hostile` makes it behave badly.

The server is one for the whole run (`sandbox_server`); before each test that asks for `kommo` it starts afresh.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kommo_sandbox.options import PROFILES, Options
from kommo_sandbox.server import SandboxServer
from kommo_sandbox.staff import Kommo


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kommo", choices=list(PROFILES), default="default", help="how the local Kommo behaves")


@pytest.fixture(scope="session")
def sandbox_server(request: pytest.FixtureRequest) -> Iterator[SandboxServer]:
    """The running server: its `url`, and `sandbox`, the account in memory."""
    with SandboxServer(options=Options.of_profile(request.config.getoption("--kommo"))) as server:
        yield server


@pytest.fixture
def kommo(sandbox_server: SandboxServer) -> Kommo:
    """The local Kommo as it is when new, with its staff at hand."""
    sandbox_server.sandbox.reset()
    return Kommo(sandbox_server.url)
