from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, kinds, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package", params=kinds())
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A sandbox, the web server and one worker, shared by all tests that leave them alive."""
    with running(request.param, tmp_path_factory.mktemp("stack")) as stack:
        yield stack
