"""Who wrote last, whatever becomes of the reports: shuffled, doubled, late, by clocks that are two minutes apart.

Where the times of two messages are too close for their clocks to tell, their reports come in order; all others come as
they like. Then whoever answered last waits for us, and neither for a nudge nor to be given up on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from followups.models import Enrollment
from leads.models import Lead
from leads.order_of_messages import CLOCK_TOLERANCE
from tests.bridge.api.conftest import Agent
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.followups.conftest import MARIA, TUESDAY
from tests.followups.simulation import Noted, Worker, forgotten

api = pytest.fixture(name="api")(agent_with_a_key.__wrapped__)
OURS, THEIRS, FACTS, CALENDAR = "outbound", "inbound", "facts", "calendar"
DAY = 86_400
# Meetings lie further ahead than any of this lasts, so that each stands until something else is said of it.
AHEAD = TUESDAY + timedelta(days=60)
# WhatsApp cuts the second off its times: that much of the tolerance is used up.
APART = int(CLOCK_TOLERANCE.total_seconds()) - 1


@dataclass(frozen=True)
class Said:
    """Something said `gap` seconds after what was said before it, and how its report fares."""

    side: str
    gap: float = 60
    late: float = 0
    # How far the lead's clock is from the agent's.
    skew: int = 0
    copies: tuple[float, ...] = ()
    # Which meeting the calendar speaks of, and the day it is booked for; None when it is called off.
    meeting: str = "a"
    day: int | None = 0


GAPS = st.sampled_from([1, 1.3, 5, 59, 119, 121, 125, 300, 3600, DAY + 60])
LATE = st.sampled_from([0, 0, 0, 0.4, 20, 100, 600, 7200, 2 * DAY, 9 * DAY])
SAID = st.builds(
    Said,
    side=st.sampled_from([OURS, OURS, OURS, THEIRS, THEIRS, THEIRS, FACTS, CALENDAR, CALENDAR]),
    gap=GAPS,
    late=LATE,
    skew=st.integers(-APART, APART),
    copies=st.lists(st.sampled_from([0, 1, 30, 600, 2 * DAY]), max_size=2).map(tuple),
    meeting=st.sampled_from("ab"),
    day=st.sampled_from([None, 0, 1, 2]),
)


class Talk:
    """What was said when, and what the bridge hears of it; the worker looks before each report and long after."""

    def __init__(self, api: Agent, turns: list[Said], agents_clock: int) -> None:
        self.api, self.said, self.agents_clock = api, turns, agents_clock
        self.channel = Noted()
        self.worker = Worker(self.channel)
        self.at = [
            TUESDAY + timedelta(seconds=sum(turn.gap for turn in turns[: place + 1])) for place in range(len(turns))
        ]

    @property
    def last(self) -> str:
        return next((turn.side for turn in reversed(self.said) if turn.side in (OURS, THEIRS)), "")

    def stands(self) -> dict[str, datetime]:
        """Return what is booked in the end, by id."""
        booked: dict[str, datetime] = {}
        for turn in self.said:
            if turn.side == CALENDAR:
                booked.pop(turn.meeting, None)
                if turn.day is not None:
                    booked[turn.meeting] = AHEAD + timedelta(days=turn.day)
        return booked

    def _news(self, place: int) -> dict[str, Any]:
        """Return what the calendar says: what it has booked before was moved."""
        turn = self.said[place]
        before = [other for other in self.said[:place] if (other.side, other.meeting) == (CALENDAR, turn.meeting)]
        if turn.day is None:
            return {"id": turn.meeting, "status": "cancelled"}
        status = "rescheduled" if before and before[-1].day is not None else "scheduled"
        return {"id": turn.meeting, "status": status, "starts_at": (AHEAD + timedelta(days=turn.day)).isoformat()}

    def reports(self) -> list[tuple[datetime, int]]:
        """Return when each report arrives, and of what it tells: of what the clocks cannot tell apart, in order."""
        first: list[datetime] = []
        for place, turn in enumerate(self.said):
            arrives = self.at[place] + timedelta(seconds=turn.late)
            if turn.side == THEIRS:
                close = [
                    first[other] + timedelta(seconds=0.1)
                    for other in range(place)
                    if self.said[other].side == OURS and self.at[place] - self.at[other] <= CLOCK_TOLERANCE
                ]
                arrives = max([arrives, *close])
            first.append(arrives)
        copies = [
            (first[place] + timedelta(seconds=late), place)
            for place, turn in enumerate(self.said)
            for late in turn.copies
        ]
        return sorted(
            [*((arrives, place) for place, arrives in enumerate(first)), *copies], key=lambda arrival: arrival[0]
        )

    def leaves_open_what_came_first(self) -> bool:
        """Say whether the first that is heard of a meeting is that it is off, and it is booked so soon after that.

        By clocks that differ it may as well have been booked before, and is taken to have been.
        """
        order = [place for _, place in self.reports()]
        for off, turn in enumerate(self.said):
            if turn.side != CALENDAR or turn.day is not None:
                continue
            booked = [
                place
                for place, other in enumerate(self.said)
                if (other.side, other.meeting) == (CALENDAR, turn.meeting) and other.day is not None
            ]
            was_heard = any(place < off and order.index(place) < order.index(off) for place in booked)
            if not was_heard and any(
                timedelta(0) <= self.at[place] - self.at[off] <= CLOCK_TOLERANCE for place in booked
            ):
                return True
        return False

    def body(self, place: int) -> dict[str, Any]:
        turn, clock = self.said[place], self.at[place] + timedelta(seconds=self.agents_clock)
        if turn.side == CALENDAR:
            return {
                "lead": {"phone": MARIA},
                "context": {"meeting": self._news(place)},
                "occurred_at": clock.isoformat(),
            }
        if turn.side == FACTS:
            context = {"conversation_stage": "estágio_1_apresentar_soluções"}
            return {"lead": {"phone": MARIA, "name": "Maria Souza"}, "context": context}
        if turn.side == THEIRS:
            clock = (clock + timedelta(seconds=turn.skew)).replace(microsecond=0)
        message = {"id": f"m{place}", "direction": turn.side, "text": "…", "sent_at": clock.isoformat()}
        return {"lead": {"phone": MARIA}, "message": message}

    def play(self) -> None:
        for now, place in self.reports():
            with self._it_is(now):
                self.worker.look(now)
                answer = self.api.post("interactions/", self.body(place))
                assert answer.status_code in (200, 201), answer.content

    def weeks_pass(self) -> None:
        now, _ = self.reports()[-1]
        for _ in range(3 * 14):
            now += timedelta(hours=8)
            with self._it_is(now):
                self.worker.look(now)

    def waits(self) -> bool:
        return Enrollment.objects.filter(purpose="agent_unanswered", state="waiting").exists()

    def told_to_agent(self) -> str:
        return str(self.api.get(f"leads/{Lead.objects.get().pk}/").json()["followup"]["state"])

    @contextmanager
    def _it_is(self, now: datetime) -> Iterator[None]:
        with time_machine.travel(now, tick=False):
            # Calls are counted by the second, and here all of them fall into one.
            cache.clear()
            yield


@pytest.mark.django_db
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(SAID, min_size=1, max_size=8), agents_clock=st.integers(-60, 60))
# Answered at once, by a clock that is behind; the nudge's own report comes in between.
@example(turns=[Said(OURS), Said(THEIRS, gap=1, skew=-APART)], agents_clock=0)
# Our message is heard of only after the answer to it.
@example(turns=[Said(OURS, late=7200), Said(THEIRS, gap=125, skew=-APART)], agents_clock=60)
# The answer is heard of after the lead was given up on.
@example(turns=[Said(OURS), Said(THEIRS, gap=300, late=9 * DAY)], agents_clock=0)
@example(turns=[Said(OURS, copies=(2 * DAY,)), Said(THEIRS, gap=5)], agents_clock=-60)
def test_whoever_answered_last_is_neither_nudged_nor_given_up_on(api, turns, agents_clock):
    with forgotten():
        talk = Talk(api, turns, agents_clock)
        talk.play()
        if talk.last != THEIRS:
            return
        assert not talk.waits()
        # A reminder of a meeting waits for no answer.
        assert talk.told_to_agent() != "waiting" or talk.stands()
        assert Lead.objects.get().stage.key != "not_interested"
        before = len(talk.channel.given)
        talk.weeks_pass()
        assert len(talk.channel.given) == before
        assert Lead.objects.get().stage.key != "not_interested"


@pytest.mark.django_db
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(SAID, min_size=1, max_size=8), agents_clock=st.integers(-60, 60))
def test_whoever_has_a_standing_meeting_stands_where_it_says_and_is_nudged_by_nobody(api, turns, agents_clock):
    with forgotten():
        talk = Talk(api, turns, agents_clock)
        if not any(turn.side == CALENDAR for turn in turns) or talk.leaves_open_what_came_first():
            return
        talk.play()
        ahead, lead = talk.stands(), Lead.objects.get()
        assert lead.has_standing_meeting == bool(ahead)
        reminded = Enrollment.objects.filter(purpose="meeting_scheduled", state="waiting")
        assert set(reminded.values_list("meeting_starts_at", flat=True)) == ({min(ahead.values())} if ahead else set())
        if not ahead:
            assert lead.stage.key != "meeting_scheduled"
            return
        assert lead.meeting_starts_at == min(ahead.values())
        assert not talk.waits()
        before = len(talk.channel.given)
        talk.weeks_pass()
        assert len(talk.channel.given) == before
        assert Lead.objects.get().stage.key == "meeting_scheduled"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "turns",
    [
        [Said(OURS)],
        [Said(THEIRS), Said(OURS, gap=1)],
        [Said(THEIRS, skew=APART, late=20), Said(OURS, gap=300), Said(OURS, gap=5, copies=(0, 30))],
        [Said(OURS), Said(THEIRS, gap=300, late=600), Said(OURS, gap=1300)],
    ],
)
def test_whom_we_spoke_to_last_is_nudged_and_given_up_on(api, turns):
    """The property above would hold for a bridge that never follows up."""
    with forgotten():
        talk = Talk(api, turns, 0)
        talk.play()
        assert talk.waits()
        assert talk.told_to_agent() == "waiting"
        talk.weeks_pass()
        assert [message.step for message, _ in talk.channel.given] == [1, 2, 3]
        assert Lead.objects.get().stage.key == "not_interested"
