"""The demo's sixty days: in seconds, the same on every run, and something to show in every picture."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge.demo import history
from bridge.models import Card
from bridge.selectors import morning, results
from bridge.selectors.results import Period
from followups.models import Enrollment
from leads.models import Lead
from tests.connected import Connected, all_rows

# Whoever plays it once has it for all.
pytestmark = pytest.mark.xdist_group("history")


@pytest.fixture(scope="module")
def plays():
    """When sixty days were played, and what they left, once the first test has done so."""
    return []


@pytest.fixture
def played(account, pipeline, sandbox_server, plays):
    if not plays:
        before, now = all_rows(), timezone.now()
        history.play(pipeline, now=now)
        plays.append((now, Connected.since(before, sandbox_server.sandbox)))
        return now
    [(now, left)] = plays
    left.restore(sandbox_server.sandbox)
    return now


def test_every_number_of_the_results_has_something_to_show(pipeline, played):
    period = results.usual(pipeline, now=played)
    both = [results.results(pipeline, span) for span in (period, period.before)]
    for shown in both:
        assert all(shown[name] for name in results.HEADLINE)
        assert shown["followups"] and shown["objections"] and shown["disqualified_because"]
        assert shown["first_reply_seconds"]["p50"] and shown["handoff_wait_seconds"]["p50"]
    whole = Period(period.before.first, period.last, pipeline.time_zone)
    assert 40 <= results.results(pipeline, whole)["meetings_booked"] <= 130
    assert results.results(pipeline, whole)["rescued"] >= 12


def test_somebody_waits_something_is_refused_and_something_is_held(played):
    people = morning.people(now=played)
    assert {"Alguém aí? Quero fechar hoje!", "Consigo um desconto à vista?"} <= {row.said for row in people.waiting}
    assert Card.objects.filter(state=Card.State.DEAD).count() == 1
    assert Enrollment.objects.filter(held=True).count() == 1


def test_nothing_of_the_past_goes_out_when_the_demo_begins(played):
    assert not Enrollment.objects.filter(state="waiting", held=False, next_at__lte=played).exists()
    assert not Lead.objects.filter(created_at__gt=played).exists()


def test_made_up_leads_are_not_mixed_with_others(pipeline, played):
    before = Lead.objects.count()
    with pytest.raises(CommandError, match="leads already"):
        call_command("demo_history")
    assert Lead.objects.count() == before
