"""Whom the agent serves: by tags, age and a draw that stays the same for a person (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.served_leads import Terms, is_drawn, percent, why_not

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
shares = st.decimals(0, 1, places=4)


def asked(terms: Terms, *, tags=(), created_at=NOON, drawn_as="+5581999990000") -> str:
    return why_not(terms, tags=tags, created_at=created_at, drawn_as=drawn_as)


def test_an_open_gate_serves_everybody():
    assert Terms().is_open
    assert asked(Terms(), tags=["vip"], drawn_as="") == ""


@pytest.mark.parametrize("worn", ["IA", "ia", " Ia ", "ïa"])
def test_a_tag_counts_in_any_spelling(worn):
    assert asked(Terms(only_with_tag="IA"), tags=[worn, "other"]) == ""
    assert asked(Terms(never_with_tag="IA"), tags=[worn]) == "the agent serves no leads with the tag “IA”"


def test_a_lead_without_the_tag_is_not_served():
    assert asked(Terms(only_with_tag="IA"), tags=["IAGO"]) == "the agent serves only leads with the tag “IA”"
    assert asked(Terms(never_with_tag="vip"), tags=["vip 2"]) == ""


def test_everything_that_is_named_must_hold():
    terms = Terms(only_with_tag="IA", never_with_tag="vip", new_since=NOON, share=Decimal(1))
    assert asked(terms, tags=["ia"]) == ""
    assert asked(terms, tags=["ia", "vip"])
    assert asked(terms, tags=["ia"], created_at=NOON - timedelta(seconds=1)) == (
        "the agent serves only new leads, and this one was there before"
    )


@given(st.text(min_size=1), shares, shares)
def test_whoever_is_drawn_for_a_share_is_drawn_for_every_larger_one(person, first, other):
    small, large = sorted((first, other))
    assert not is_drawn(person, small) or is_drawn(person, large)
    assert is_drawn(person, Decimal(1)) and not is_drawn(person, Decimal(0))


@pytest.mark.parametrize("share", [Decimal("0.1"), Decimal("0.5"), Decimal("0.85")])
def test_about_as_many_are_drawn_as_are_to_be(share):
    drawn = sum(is_drawn(f"+55819{number:08}", share) for number in range(4000))
    assert abs(drawn / 4000 - float(share)) < 0.03


@pytest.mark.parametrize(("share", "text"), [("0.1", "10 %"), ("0.125", "12.5 %"), ("0", "0 %"), ("1", "100 %")])
def test_a_share_is_said_as_people_write_it(share, text):
    assert percent(Decimal(share)) == text
