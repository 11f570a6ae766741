from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine

from bridge import tasks
from bridge.configuration.importing import bring_in
from kommo_sandbox.reference import OTHER_PIPELINE_ID
from leads.models import Pipeline
from tests.playbooks.office import TUESDAY, Office
from tests.repository import ROOT


@pytest.fixture
def office(connect: Any, kommo: Any) -> Iterator[Callable[..., Office]]:
    """Bring a playbook into force in an empty Kommo, on a Tuesday morning; everything missing is created there."""

    def open_(trade: str) -> Office:
        bring_in((ROOT / "playbooks" / f"{trade}.yaml").read_bytes(), reason="test")
        # A pipeline is made by people alone; the local Kommo has one for what comes after the sale.
        Pipeline.objects.filter(is_default=False).update(kommo_pipeline_id=OTHER_PIPELINE_ID)
        account = connect()
        # Nothing is created before the account was compared once.
        tasks.poll(account.pk, full=True)
        return Office(account, kommo, Pipeline.objects.get(is_default=True))

    with time_machine.travel(TUESDAY, tick=True):
        yield open_
