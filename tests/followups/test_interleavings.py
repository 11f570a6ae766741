"""Whatever happens in between: nobody is written to who must not be, and nothing is said twice."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followups import staff_actions
from followups.channels import Outcome, Outgoing
from followups.models import Attempt, Enrollment
from followups.schedule import WEEKDAYS, Hours
from leads import handoff, interaction_values, interactions, optout, stage_moves
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Lead, Pipeline, Stage
from leads.phone import parse
from tests.followups.conftest import MARIA, TUESDAY
from tests.followups.simulation import Noted, Worker, forgotten, minutes
from tests.followups.wall_clock import on_the_wall

SAO_PAULO = "America/Sao_Paulo"
HOURS = Hours(time(20), time(8), frozenset(WEEKDAYS) - {"sun"})


class Story:
    """One lead's life, and beside it what a person following it would say about writing to them now."""

    def __init__(self) -> None:
        self.pipeline = Pipeline.objects.get(slug="solar")
        self.now = TUESDAY
        self.channel = Noted(self.judge)
        self.worker = Worker(self.channel)
        self.claimed: list[Attempt] | None = None
        # Who wrote last, from the conversation alone.
        self.last = ""
        self.in_handoff = self.opted_out = self.is_closed = False
        self.meeting_at: datetime | None = None
        self.ids: dict[tuple[int, int], set[str]] = defaultdict(set)
        self.agent_writes()

    # --- The judge

    def judge(self, message: Outgoing, now: datetime) -> None:
        """Say whether this message may go out now; called in place of a receiver."""
        assert not self.opted_out, "they opted out"
        assert not self.in_handoff, "a person is talking to them"
        assert not self.is_closed, "the lead is closed"
        if message.sequence == "meeting_reminders":
            assert self.meeting_at is not None, "there is no meeting"
            assert now < self.meeting_at, "the meeting has begun"
        else:
            assert self.last == "agent", "they have answered, or a person has written"
            # One that has gone by stands no more, whatever came of it (leads/meetings.py).
            assert self.meeting_at is None or self.meeting_at <= now, "a meeting is booked"
        assert on_the_wall(now, HOURS, SAO_PAULO), "it is night, or Sunday"

    # --- What happens

    def _record(self, direction: Direction | None = None, **context: object) -> None:
        message = Message(direction, text="…") if direction else None
        interaction = interaction_values.Interaction(
            phone=parse(MARIA, region="BR"), occurred_at=self.now, message=message, context=context
        )
        interactions.record(interaction, pipeline=self.pipeline, now=self.now)

    @property
    def lead(self) -> Lead:
        return Lead.objects.select_related("pipeline", "stage").get(phone=MARIA)

    def agent_writes(self) -> None:
        self.last = "agent"
        self._record(Direction.OUTBOUND)

    def lead_writes(self) -> None:
        self.last = "lead"
        self._record(Direction.INBOUND)

    def person_writes(self) -> None:
        self.last = "staff"
        self._record(Direction.STAFF)

    def person_takes_over(self) -> None:
        handoff.pause(self.lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="mine", now=self.now)
        self.in_handoff = True

    def person_gives_back(self) -> None:
        handoff.resume(self.lead, by=Lead.Actor.STAFF, reason="yours", now=self.now)
        self.in_handoff = False

    def meeting_is_booked(self) -> None:
        self.meeting_at = self.now + timedelta(hours=50)
        self._record(meeting=Meeting("scheduled", "evt", self.meeting_at))

    def meeting_is_moved(self) -> None:
        if self.meeting_at is not None:
            self.meeting_at = self.meeting_at + timedelta(hours=26)
            self._record(meeting=Meeting("rescheduled", "evt", self.meeting_at))

    def meeting_is_off(self) -> None:
        if self.meeting_at is not None:
            self.meeting_at = None
            self._record(meeting=Meeting("cancelled", "evt"))

    def lead_opts_out(self) -> None:
        optout.opt_out(self.lead, by=Lead.Actor.LEAD, reason="asked", now=self.now)
        self.opted_out = True

    def card_is_won(self) -> None:
        self._move("won", is_closed=True)

    def card_is_taken_back(self) -> None:
        self._move("qualifying", is_closed=False)

    def _move(self, key: str, *, is_closed: bool) -> None:
        stage = Stage.objects.get(pipeline=self.pipeline, key=key)
        stage_moves.move(self.lead, stage, by=Lead.Actor.STAFF, reason="moved", now=self.now)
        self.is_closed = is_closed

    # --- What the bridge does, and where it dies

    def worker_looks(self) -> None:
        self.worker.look(self.now)

    def worker_claims(self) -> None:
        """And stops there for a while: whatever happens next happens between the claim and the send."""
        self.claimed = self.claimed or self.worker.claim(self.now)

    def worker_sends(self) -> None:
        claimed, self.claimed = self.claimed, None
        if claimed:
            self.worker.send(claimed, self.now)

    def worker_dies_before_sending(self) -> None:
        self.claimed = None
        self.worker.die(self.now)

    def worker_dies_after_sending(self) -> None:
        claimed, self.claimed = self.claimed, None
        if claimed:
            self.worker.send(claimed, self.now, dies=True)

    def agent_is_away(self) -> None:
        self.channel.outcome = Outcome.RETRY

    def agent_is_back(self) -> None:
        self.channel.outcome = Outcome.SENT

    def staff_hold(self) -> None:
        self._for_each(staff_actions.hold)

    def staff_let_go(self) -> None:
        self._for_each(staff_actions.let_go_on)

    def staff_skip(self) -> None:
        self._for_each(staff_actions.skip)

    def staff_cancel(self) -> None:
        self._for_each(staff_actions.cancel)

    def _for_each(self, deed: object) -> None:
        for enrollment in Enrollment.objects.filter(state="waiting"):
            deed(enrollment, who="ada", now=self.now)  # type: ignore[operator]

    def half_an_hour_passes(self) -> None:
        self.now += minutes(31)

    def a_day_passes(self) -> None:
        self.now += timedelta(hours=24, minutes=1)

    def days_pass_with_the_worker_at_it(self) -> None:
        for _ in range(8):
            self.now += timedelta(hours=7)
            self.worker_looks()

    # --- Scenes: something happens in the very gaps in which it may go wrong

    def _until_something_is_due(self) -> None:
        due = Enrollment.objects.filter(state="waiting", held=False, next_at__isnull=False).order_by("next_at").first()
        if due is not None and due.next_at is not None:
            self.now = max(self.now, due.next_at)

    def plainly(self, deed: str) -> None:
        self.happens(deed)

    def between_claim_and_send(self, deed: str) -> None:
        self._until_something_is_due()
        for each in ("worker_claims", deed, "worker_sends"):
            self.happens(each)

    def between_a_death_and_the_next_life(self, deed: str) -> None:
        self._until_something_is_due()
        for each in ("worker_claims", "worker_dies_after_sending", deed, "worker_looks"):
            self.happens(each)

    def while_the_agent_is_away(self, deed: str) -> None:
        self._until_something_is_due()
        for each in ("agent_is_away", "worker_looks", deed, "agent_is_back", "days_pass_with_the_worker_at_it"):
            self.happens(each)

    def happens(self, deed: str) -> None:
        # Nothing happens at the very same moment: who wrote last must be plain.
        self.now += timedelta(seconds=1)
        before = self.lead.stage.key
        getattr(self, deed)()
        if self.lead.stage.key == "not_interested" != before:
            assert self.last == "agent", "given up on somebody who answered"
            assert not self.in_handoff, "given up on somebody a person talks to"

    # --- What must hold at any time

    def check(self) -> None:
        for complaint in self.channel.complaints:
            raise complaint
        rows = {str(row.pk): row for row in Attempt.objects.all()}
        for message, _at in self.channel.given:
            row = rows[message.attempt_id]
            self.ids[row.enrollment_id, row.step].add(message.attempt_id)
        assert all(len(ids) == 1 for ids in self.ids.values()), "a step went out under two ids"
        live = Enrollment.objects.filter(state="waiting").values_list("purpose", flat=True)
        assert len(live) == len(set(live)), "two sequences for one purpose"


SCENES = ["plainly", "between_claim_and_send", "between_a_death_and_the_next_life", "while_the_agent_is_away"]
NO_DEEDS = {"judge", "lead", "check", "happens", *SCENES}
DEEDS = [name for name in vars(Story) if not name.startswith("_") and name not in NO_DEEDS]


@pytest.mark.django_db
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(SCENES), st.sampled_from(DEEDS)), min_size=1, max_size=8))
def test_nobody_is_written_to_who_must_not_be_whatever_happens_in_between(scenes):
    with forgotten():
        story = Story()
        for scene, deed in scenes:
            getattr(story, scene)(deed)
        story.happens("worker_sends")
        story.happens("days_pass_with_the_worker_at_it")
        story.check()


@pytest.mark.django_db
def test_an_undisturbed_story_does_go_out():
    """The property above would hold for a bridge that never sends."""
    with forgotten():
        story = Story()
        for _ in range(3):
            story.days_pass_with_the_worker_at_it()
        story.check()
        assert [message.step for message, _ in story.channel.given] == [1, 2, 3]
