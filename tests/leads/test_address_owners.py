"""Whose address is it? Each place where one may be written is asked by its index."""

from __future__ import annotations

import pytest
from django.utils import timezone

from leads import address_owners
from leads.models import FurtherAddress, Lead
from tests.conftest import record

pytestmark = pytest.mark.django_db


def test_whoever_has_an_address_is_found_by_the_first_and_by_any_further_one(pipeline):
    first = record(pipeline, "+5581999990001").lead
    other = record(pipeline, "+5581999990002").lead
    now = timezone.now()
    FurtherAddress.objects.create(
        lead=other, pipeline=pipeline, key="instagram:ana", value="ana", seen_in="report", first_seen_at=now
    )

    def found(*keys):
        return set(Lead.objects.filter(address_owners.of_any(keys)))

    assert found(first.phone_key) == {first}
    assert found("instagram:ana", "instagram:nobody") == {other}
    assert found(first.phone_key, "instagram:ana") == {first, other}
    assert found() == set()


def test_no_address_is_looked_for_by_a_condition_that_reads_every_lead(pipeline):
    """Of two places with “or” between them PostgreSQL takes the index of neither."""
    where = str(Lead.objects.filter(address_owners.of_any(["+5581999990001", "kommo_contact:1"])).query)
    assert " UNION " in where
    assert " OR " not in where
