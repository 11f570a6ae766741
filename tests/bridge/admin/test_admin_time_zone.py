"""Staff read times as their clock shows them: in the pipeline's zone, whatever the server's is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.cache import cache

from bridge.models import ApiKey
from leads.models import Pipeline


@pytest.mark.parametrize(
    ("zone", "shown"), [("America/Manaus", "08:30"), ("Europe/Lisbon", "13:30"), ("not a zone", "09:30")]
)
def test_times_are_those_of_the_pipelines_zone(staff, pipeline, zone, shown):
    cache.clear()
    Pipeline.objects.filter(pk=pipeline.pk).update(time_zone=zone)
    ApiKey.objects.create(
        name="agent", prefix="kb_", key_hash="x", last_used_at=datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    )

    page = staff.get("/admin/bridge/apikey/", headers={"accept-language": "pt-BR"}).content.decode()

    assert f"às {shown}" in page
    cache.clear()
