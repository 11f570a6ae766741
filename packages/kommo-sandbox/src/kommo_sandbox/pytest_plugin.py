"""For pytest: `kommo`, a local Kommo with its staff, new for each test; `--kommo hostile` makes it behave badly.

`kommo_by_name` is the same, for clients that call https://<name>.kommo.com and take no other address. The server is one
for the whole run (`sandbox_server`); before each test that asks for `kommo` it starts afresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kommo_sandbox import names
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


@pytest.fixture
def kommo_by_name(kommo: Kommo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kommo:
    """The same; https://<name>.kommo.com and .amocrm.ru are it, for this process and those it starts."""
    certificate = tmp_path / "kommo-sandbox-ca.pem"
    certificate.write_bytes(names.authority())
    for name, value in names.environment(kommo.url, certificate).items():
        monkeypatch.setenv(name, value)
    return kommo
