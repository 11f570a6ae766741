"""May the agent reply? A doubt means no."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from bridge.models import Account
from tests.conftest import MARIA, drain, record


def ask(agent, phone=MARIA):
    return agent.get("agent/may-reply/", phone=phone).json()


def test_while_kommo_cannot_be_asked_the_answer_becomes_no(agent, account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    assert ask(agent)["may_reply"] is True

    since = timezone.now() - timedelta(hours=1)
    Account.objects.update(connected_at=since, polled_at=since, compared_at=None)
    assert ask(agent) == {
        "may_reply": False,
        "reason": "Kommo could not be asked for too long; a person may have taken over",
        "since": since.isoformat(),
    }

    Account.objects.update(polled_at=timezone.now(), takeovers_looked_at=timezone.now())
    assert ask(agent)["may_reply"] is True


def test_a_pipeline_may_answer_all_the_same(agent, account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    since = timezone.now() - timedelta(hours=1)
    Account.objects.update(connected_at=since, polled_at=since, compared_at=None, takeovers_looked_at=since)
    assert agent.get("agent/may-reply/", phone="+5581999990000").json()["may_reply"] is False
    pipeline.silent_when_kommo_is_away = False
    pipeline.save()

    assert agent.get("agent/may-reply/", phone="+5581999990000").json()["may_reply"] is True
    assert agent.says().json()["agent"]["may_reply"] is True


def test_a_lead_without_a_card_was_taken_over_by_nobody(agent, account, pipeline):
    record(pipeline, name="Maria")
    Account.objects.update(connected_at=timezone.now() - timedelta(days=1), polled_at=None)
    assert ask(agent)["may_reply"] is True


def test_the_question_costs_the_same_whoever_asks(agent, account, pipeline, django_assert_max_num_queries):
    record(pipeline, name="Maria")
    drain(account)
    ask(agent)
    with django_assert_max_num_queries(3):
        ask(agent)
