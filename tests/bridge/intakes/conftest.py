from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from bridge.intakes import managing_intakes, reading_calls
from bridge.models import Intake


class WayIn:
    """A way in as the other side sees it: it calls, and later the worker reads."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.client = Client()

    @property
    def path(self) -> str:
        return managing_intakes.path_of(self.intake)

    def call(self, body: Any, **more: Any) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body)
        more.setdefault("path", self.path)
        return self.client.post(more.pop("path"), data, content_type="application/json", **more).status_code

    def tell(self, *bodies: Any) -> None:
        """Call with each, and let the worker read them all."""
        for body in bodies:
            assert self.call(body) == 200
        reading_calls.read_all()


@pytest.fixture
def way_in(pipeline: Any) -> Any:
    def make(kind: str = "evolution", **settings: str) -> WayIn:
        return WayIn(managing_intakes.establish(kind, f"{kind}-1", settings=settings))

    return make
