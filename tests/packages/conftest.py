from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.repository import ROOT

sys.path.insert(0, str(ROOT / "packages" / "python-client" / "src"))


@pytest.fixture
def connections_stay() -> Iterator[None]:
    """Let requests that are served in this thread leave the test's connection open."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)
