"""Searching on PostgreSQL reads an index, not every lead. What is found: admin/test_logs.py."""

from __future__ import annotations

import pytest
from django.db import connection

from bridge.selectors import search
from leads.models import Lead


@pytest.mark.served
@pytest.mark.parametrize("typed", ["souza", "SOUZA li", "99990000", "+55 81 99999", "maria@exam"])
def test_part_of_a_name_phone_or_email_is_found_by_an_index(pipeline, typed):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no index for parts of texts")
    with connection.cursor() as cursor:
        # The table is small; the question is whether the index can answer, not whether it pays already.
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "lead_search" in search.find(Lead.objects.order_by(), typed).explain()
