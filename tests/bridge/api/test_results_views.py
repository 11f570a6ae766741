"""What the agent was worth: a history that is played and counted by hand, through the API alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.api import api_keys
from bridge.models import ApiKey
from followups.models import Attempt, Enrollment, Sequence
from followups.sequence_versions import pin
from leads import erasure, stage_moves
from leads.models import Lead, Milestone, Pipeline, Stage
from tests.bridge.api.conftest import Agent

PHONES = [f"+55819999900{number:02}" for number in range(20)]


def message(direction, number, minutes_ago, text="Olá"):
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return {"id": f"m{number}", "direction": direction, "sent_at": at.isoformat(), "text": text}


def meeting(number, status="scheduled", **more):
    starts_at = (timezone.now() + timedelta(days=1)).isoformat()
    return {"meeting": {"id": f"evt{number}", "status": status, "starts_at": starts_at} | more}


def qualifying(agent, phone, **facts):
    return agent.says(phone, context={"conversation_stage": "qualificação"}, **facts)


def of(rows, **wanted):
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def test_nothing_has_happened_yet(agent):
    answer = agent.get("results/").json()
    assert [answer[name] for name in ("leads", "qualified", "won", "rescued", "messages_by_agent")] == [0] * 5
    assert answer["hours_saved"] == 0
    assert answer["first_reply_seconds"] == {"p50": None, "p90": None}
    assert {row["entered"] for row in answer["funnel"]} == {0}
    assert answer["disqualified_because"] == answer["objections"] == answer["followups"] == []


def test_leads_are_counted_by_what_became_of_them(agent, pipeline):
    for phone in PHONES[:3]:
        agent.says(phone)
        qualifying(agent, phone, qualification_score=82, is_decision_maker=True)
    for phone, bill in zip(PHONES[3:5], ("R$ 350", "R$ 210,50"), strict=True):
        qualifying(agent, phone, bill_value=bill)
    qualifying(agent, PHONES[5], qualification_score=12)
    won = Lead.objects.get(phone=PHONES[0])
    stage = Stage.objects.get(pipeline=pipeline, kind=Stage.Kind.WON)
    stage_moves.move(won, stage, by=Lead.Actor.STAFF, reason="sold", now=timezone.now())
    answer = agent.get("results/").json()
    assert [answer[name] for name in ("leads", "qualified", "disqualified", "won")] == [6, 3, 3, 1]
    assert answer["disqualified_because"] == [
        {"reason": "bill_value < 400", "count": 2},
        {"reason": "qualification_score < 70", "count": 1},
    ]
    # Of before the upgrade they have the sentence.
    before = Milestone.objects.filter(kind=Milestone.Kind.DISQUALIFIED, lead__phone=PHONES[3])
    assert before.update(detail="bill_value < 400") == 1
    assert agent.get("results/").json()["disqualified_because"] == answer["disqualified_because"]
    new, qualified = (of(answer["funnel"], stage=key) for key in ("new", "qualified"))
    assert (new["entered"], new["share_of_previous"]) == (3, None)
    assert qualified["entered"] == 3
    assert of(answer["funnel"], stage="disqualified")["share_of_previous"] is None


def test_a_lead_that_comes_twice_to_a_stage_is_one_lead(agent, pipeline):
    agent.says(PHONES[0])
    lead = Lead.objects.get(phone=PHONES[0])
    for key in ("qualified", "new", "qualified"):
        stage_moves.move(
            lead, Stage.objects.get(pipeline=pipeline, key=key), by=Lead.Actor.STAFF, reason="", now=timezone.now()
        )
    answer = agent.get("results/").json()
    assert (answer["qualified"], of(answer["funnel"], stage="qualified")["entered"]) == (1, 1)


def test_staff_who_disqualify_are_a_reason_of_their_own(agent, pipeline):
    agent.says(PHONES[0])
    target = Stage.objects.get(pipeline=pipeline, key="disqualified")
    lead = Lead.objects.get(phone=PHONES[0])
    stage_moves.move(lead, target, by=Lead.Actor.STAFF, reason="moved in Kommo", now=timezone.now())
    assert agent.get("results/").json()["disqualified_because"] == [{"reason": "a person moved the card", "count": 1}]


def test_meetings_are_the_agents_where_no_person_spoke_before_them(agent):
    agent.says(PHONES[0], context=meeting(1))
    agent.says(PHONES[0], context=meeting(1, "rescheduled", starts_at="2031-05-05T10:00:00-03:00"))
    agent.says(PHONES[1], message("staff", 1, 5))
    agent.says(PHONES[1], context=meeting(2))
    agent.says(PHONES[2], context=meeting(3))
    agent.says(PHONES[2], context=meeting(3, "completed", starts_at=timezone.now().isoformat()))
    agent.says(PHONES[3], context=meeting(4))
    agent.says(PHONES[3], context=meeting(4, "cancelled"))
    answer = agent.get("results/").json()
    assert (answer["meetings_booked"], answer["meetings_booked_by_agent"], answer["meetings_held"]) == (4, 3, 1)


def test_waits_are_counted_from_the_first_message_to_its_answer(agent):
    for number, minutes in enumerate((1, 2, 3, 4)):
        agent.says(PHONES[number], message("inbound", f"{number}a", minutes + 10))
        agent.says(PHONES[number], message("inbound", f"{number}b", 10.5))
        agent.says(PHONES[number], message("outbound", f"{number}c", 10))
        agent.says(PHONES[number], message("outbound", f"{number}d", 1))
    # Whom the agent wrote to first has waited for nobody.
    agent.says(PHONES[5], message("outbound", "5a", 20))
    agent.says(PHONES[5], message("inbound", "5b", 10))
    agent.says(PHONES[5], message("outbound", "5c", 1))
    answer = agent.get("results/").json()
    assert answer["first_reply_seconds"] == {"p50": 120, "p90": 240}
    assert (answer["messages_by_agent"], answer["hours_saved"]) == (10, 0.3)


def test_the_wait_for_a_person_ends_with_their_first_message(agent):
    for number in range(2):
        lead_id = agent.says(PHONES[number], message("inbound", f"{number}a", 60)).json()["lead"]["id"]
        agent.post(f"leads/{lead_id}/handoff/", {"reason": "quer uma pessoa"})
    Lead.objects.update(handoff_since=timezone.now() - timedelta(minutes=30))
    agent.says(PHONES[0], message("staff", "0b", 20))
    agent.says(PHONES[0], message("staff", "0c", 5))
    # A person who writes without being asked takes over, and nobody waited for them.
    agent.says(PHONES[3], message("inbound", "3a", 60))
    agent.says(PHONES[3], message("staff", "3b", 1))
    agent.says(PHONES[3], message("staff", "3c", 0))
    assert agent.get("results/").json()["handoff_wait_seconds"] == {"p50": 600, "p90": 600}


def test_objections_are_counted_by_name(agent):
    agent.says(PHONES[0], context={"objections_raised": ["preço", "prazo"]})
    agent.says(PHONES[1], context={"objections_raised": ["Preço"]})
    assert [row["count"] for row in agent.get("results/").json()["objections"]] == [2, 1]


@pytest.fixture
def sequence(pipeline):
    return Sequence.objects.get(pipeline=pipeline, slug="reengagement")


def followed_up(sequence, phone, *, days_ago=2.0, state=Attempt.State.SENT):
    now = timezone.now()
    sent_at = now - timedelta(days=days_ago)
    lead = Lead.objects.get(phone=phone)
    lead.enrollments.all().delete()
    enrollment = Enrollment.objects.create(
        lead=lead, sequence=sequence, version=pin(sequence), purpose=sequence.starts_on,
        state=Enrollment.State.WAITING, anchor_at=sent_at, next_at=now + timedelta(days=1), started_at=sent_at,
    )  # fmt: skip
    return Attempt.objects.create(
        enrollment=enrollment, step=1, state=state, due_at=sent_at, created_at=sent_at, ended_at=sent_at
    )


def test_rescued_are_those_that_answered_a_follow_up_and_came_further(agent, sequence):
    for number in range(5):
        agent.says(PHONES[number], message("outbound", f"{number}a", 3 * 24 * 60))
    for number in range(4):
        followed_up(sequence, PHONES[number])
    for number in (0, 1, 2, 4):
        agent.says(PHONES[number], message("inbound", f"{number}b", 0))
    qualifying(agent, PHONES[0], qualification_score=82, is_decision_maker=True)
    agent.says(PHONES[1], context=meeting(1))
    # The third answered and got no further; the fourth never answered; the fifth was never followed up.
    qualifying(agent, PHONES[4], qualification_score=82, is_decision_maker=True)
    answer = agent.get("results/").json()
    assert answer["rescued"] == 2
    assert answer["followups"] == [
        {"sequence": "reengagement", "step": 1, "sent": 4, "answered": 3, "booked": 1, "opted_out": 0}
    ]


def test_days_bound_what_is_counted(agent, pipeline):
    agent.says(PHONES[0])
    today = timezone.localdate()
    yesterday = (today - timedelta(days=1)).isoformat()
    assert agent.get("results/", **{"from": today.isoformat()}).json()["leads"] == 1
    answer = agent.get("results/", **{"to": yesterday}).json()
    assert (answer["to"], answer["leads"]) == (yesterday, 0)
    assert answer["from"] == (today - timedelta(days=30)).isoformat()


def test_another_pipeline_counts_for_itself(agent, pipeline):
    agent.says(PHONES[0])
    Pipeline.objects.create(slug="clinic", name="Clínica")
    assert agent.get("results/", pipeline="clinic").json()["leads"] == 0
    assert agent.get("results/", pipeline="solar").json()["leads"] == 1


def test_a_key_of_one_pipeline_learns_nothing_of_another(agent, pipeline):
    clinic = Pipeline.objects.create(slug="clinic", name="Clínica")
    guest = Agent(api_keys.issue(ApiKey(name="clinic", pipeline=clinic)))
    assert guest.get("results/").status_code == 200
    assert guest.get("results/", pipeline="solar").status_code == 400


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"from": "2026-05-02", "to": "2026-05-01"}, "from"),
        ({"from": "0001-01-01", "to": "2026-05-01"}, "from"),
        ({"to": "9999-12-31"}, "from"),
        ({"pipeline": "moon"}, "pipeline"),
        ({"pipeline": "a\0b"}, "pipeline"),
    ],
)
def test_what_cannot_be_counted_is_answered_with_what_to_write(agent, asked, named):
    answer = agent.get("results/", **asked)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, named)


def test_erasing_a_person_keeps_the_counts(agent):
    agent.says(PHONES[0], message("inbound", 1, 10))
    agent.says(PHONES[0], message("outbound", 2, 9), context=meeting(1))
    before = agent.get("results/").json()
    erasure.erase(Lead.objects.get(phone=PHONES[0]), by=Lead.Actor.STAFF, now=timezone.now())
    assert agent.get("results/").json() == before
    assert before["meetings_booked"] == before["messages_by_agent"] == 1
