from __future__ import annotations

import pytest

from tests.conftest import drain, lead_of, record


@pytest.fixture
def card(account, pipeline, kommo):
    """Maria's card, made in Kommo."""
    record(pipeline)
    drain(account)
    return lead_of().card
