"""What came of each message of a sequence, beside its text: the numbers of the results page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bridge.selectors import results
from followups.models import Attempt, Enrollment, Sequence
from tests.bridge.admin.rules_editing import edit, page
from tests.conftest import record

NOW = timezone.now


@pytest.fixture
def enrolled(pipeline):
    """Return a function that sends a step to a lead, with what came of it."""
    sequence = Sequence.objects.get(slug="reengagement")
    Enrollment.objects.all().delete()

    def send(number, step=1, state=Attempt.State.SENT, ago=timedelta(days=1), **became):
        lead = record(pipeline, f"+55819999{number:05d}").lead
        version = sequence.versions.first() or sequence.versions.create(digest="x", content={})
        at = NOW() - ago
        enrollment = Enrollment.objects.create(
            lead=lead, sequence=sequence, version=version, purpose=sequence.starts_on, anchor_at=at, started_at=at,
            state=Enrollment.State.values[-1], ended_at=at,
        )  # fmt: skip
        times = dict.fromkeys(became, at)
        Attempt.objects.create(
            enrollment=enrollment, step=step, state=state, due_at=at, created_at=at, ended_at=at, **times
        )

    return send


def shown(staff, pipeline):
    context = staff.get(page("sequence", pipeline, slug="reengagement")).context
    return [form.results for form in context["steps"].forms]


def test_each_step_shows_what_came_of_it_as_the_results_count_it(staff, pipeline, enrolled):
    enrolled(1, answered_at=1, booked_at=1)
    enrolled(2)
    enrolled(3, state=Attempt.State.NOT_DELIVERED)
    enrolled(4, step=2, answered_at=1, opted_out_at=1)
    enrolled(5, step=2, ago=timedelta(days=45))
    enrolled(6, step=2, state=Attempt.State.SKIPPED)

    first, second, third = shown(staff, pipeline)

    counted = [first[name] for name in ("sent", "not_delivered", "answered", "booked", "opted_out", "share")]
    assert counted == [2, 1, 1, 1, 0, 0.5]
    assert [second[name] for name in ("sent", "answered", "opted_out")] == [1, 1, 1] and third is None
    rows = results.results(pipeline, results.usual(pipeline, now=NOW()))["followups"]
    for row, counts in zip(rows, (first, second), strict=True):
        assert {name: counts[name] for name in ("sent", "answered", "booked", "opted_out")}.items() <= row.items()
    assert len(staff.get(first["link"]).context["page"].object_list) == 1


def test_a_step_keeps_its_numbers_where_the_draft_puts_it(staff, pipeline, enrolled):
    enrolled(1, step=2, answered_at=1)
    path = page("sequence", pipeline, slug="reengagement")
    orders = {"steps-0-ORDER": 2, "steps-1-ORDER": 1, "steps-2-ORDER": 3}
    assert edit(staff, path, **orders).status_code == 302
    first, second, third = shown(staff, pipeline)
    assert first["sent"] == 1 and second is None and third is None


def test_the_numbers_cost_one_query_however_many_there_are(pipeline, enrolled):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as found:
            results.of_sequence(pipeline, "reengagement", results.usual(pipeline, now=NOW()))
        return len(found)

    enrolled(1)
    few = queries()
    for number in range(2, 8):
        enrolled(number, step=1 + number % 3)
    assert queries() == few == 1
