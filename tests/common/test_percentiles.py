"""A percentile as an aggregate, against sorting the same rows by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from math import ceil

import pytest
from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.percentiles import Percentile
from leads.models import Milestone
from tests.conftest import record

slowly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHARES = st.sampled_from([0.01, 0.1, 0.5, 0.9, 0.99, 1])


def by_hand(values, share):
    return sorted(values)[ceil(share * len(values)) - 1] if values else None


@pytest.fixture
def lead(pipeline):
    found = record(pipeline).lead
    Milestone.objects.all().delete()
    return found


@slowly
@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 2**31 - 1)), max_size=30), SHARES)
def test_it_is_the_least_value_that_so_large_a_share_of_its_group_does_not_exceed(pipeline, lead, rows, share):
    Milestone.objects.all().delete()
    now, kind = timezone.now(), Milestone.Kind.FIRST_REPLY
    groups = defaultdict(list)
    for group, seconds in rows:
        Milestone.objects.create(lead=lead, pipeline=pipeline, kind=kind, at=now, seconds=seconds, detail=group)
        groups[group] += [] if seconds is None else [seconds]
    found = Milestone.objects.values_list("detail").annotate(within=Percentile("seconds", share)).order_by()
    assert dict(found) == {group: by_hand(values, share) for group, values in groups.items()}


def test_of_nothing_it_is_nothing(pipeline, lead):
    assert Milestone.objects.aggregate(half=Percentile("seconds", 0.5)) == {"half": None}


def test_of_durations_it_is_a_duration(pipeline, lead):
    now, kind = timezone.now(), Milestone.Kind.FIRST_REPLY
    for hours in (1, 5, 3):
        Milestone.objects.create(lead=lead, pipeline=pipeline, kind=kind, at=now - timedelta(hours=hours))
    spent = ExpressionWrapper(now - F("at"), output_field=DurationField())
    half = Milestone.objects.annotate(spent=spent).aggregate(half=Percentile("spent", 0.5))["half"]
    assert half == timedelta(hours=3)


def test_a_new_connection_knows_it_too(pipeline, lead):
    Milestone.objects.create(
        lead=lead, pipeline=pipeline, kind=Milestone.Kind.FIRST_REPLY, at=timezone.now(), seconds=7
    )
    counted = Milestone.objects.filter(seconds=7)
    if connection.vendor == "sqlite":
        # The database of a test lives in its connection: what was lent is taken back instead.
        connection.connection.create_aggregate("percentile_disc", 2, None)
    assert counted.aggregate(half=Percentile("seconds", 0.5)) == {"half": 7}
