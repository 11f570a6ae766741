"""May the agent reply? A doubt means no."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bridge.api import api_keys
from bridge.models import Account, ApiKey
from leads import emergency_stop, erasure, handoff, may_speak, optout
from leads.models import Lead, Pipeline, Stage
from leads.phone import parse
from tests.bridge.api.conftest import Agent
from tests.conftest import MARIA, drain, record

WHY_NOT_KOMMO = "Kommo could not be asked for too long; a person may have taken over"


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


# --- What may-reply says, POST messages says


def a_person_has_it(lead):
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer gente", now=timezone.now())


def opts_out(lead):
    optout.opt_out(lead, by=Lead.Actor.LEAD, reason="pare", now=timezone.now())


def silenced(lead):
    emergency_stop.silence(lead.pipeline, by="ana", reason="preço errado", now=timezone.now())


def unserved(lead):
    Pipeline.objects.update(serves_share=Decimal(0))


def kommo_is_away(lead):
    since = timezone.now() - timedelta(hours=1)
    Account.objects.update(connected_at=since, polled_at=since, compared_at=None, takeovers_looked_at=since)


REASONS = {
    may_speak.Shut.PERSON: (a_person_has_it, "quer gente"),
    may_speak.Shut.OPTED_OUT: (opts_out, "the person opted out"),
    may_speak.Shut.SWITCHED_OFF: (silenced, "the agent is silenced in this pipeline: preço errado"),
    may_speak.Shut.UNSERVED: (unserved, "the agent serves 0 % of the leads, and this one was not drawn"),
    "kommo is away": (kommo_is_away, WHY_NOT_KOMMO),
}


def all_answers(agent, lead):
    """Return the reason, and since when, in every place where the agent meets them."""
    answer = agent.get("agent/may-reply/", phone=lead.phone).json()
    shown = agent.get(f"leads/{lead.pk}/").json()["agent"]
    reported = agent.says(lead.phone).json()["agent"]
    refused = agent.post(f"leads/{lead.pk}/messages/", {"text": "oi"})
    assert refused.status_code == 409, refused.content
    assert refused.json()["code"] == "may_not_reply"
    assert {answer["may_reply"] for answer in (answer, shown, reported)} == {False}
    return [(answer["reason"], answer["since"]) for answer in (answer, shown, reported, refused.json())]


@pytest.mark.parametrize("shut", REASONS)
def test_whatever_a_message_is_refused_for_may_reply_says_too(agent, account, pipeline, shut):
    lead = record(pipeline, name="Maria").lead
    drain(account)
    shut_it, why = REASONS[shut]
    shut_it(lead)

    answers = all_answers(agent, lead)

    assert {reason for reason, _ in answers} == {why}
    assert len(set(answers)) == 1


def test_two_reasons_at_once_are_told_as_one_and_the_same(agent, account, pipeline):
    lead = record(pipeline, name="Maria").lead
    drain(account)
    for shut_it, _ in REASONS.values():
        shut_it(lead)
        assert len(set(all_answers(agent, lead))) == 1


def test_every_reason_there_is_has_its_case():
    # Who was erased has no address any more to ask by.
    assert {reason for reason in REASONS if isinstance(reason, may_speak.Shut)} == set(may_speak.Shut) - {
        may_speak.Shut.ERASED
    }


def test_of_who_was_erased_the_lead_says_what_a_message_is_told(agent, pipeline):
    lead = record(pipeline, name="Maria").lead
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())

    refused = agent.post(f"leads/{lead.pk}/messages/", {"text": "oi"}).json()
    shown = agent.get(f"leads/{lead.pk}/").json()["agent"]

    assert (shown["may_reply"], shown["reason"], shown["since"]) == (False, refused["reason"], refused["since"])


def test_who_opted_out_and_is_known_by_nothing_else_is_not_spoken_to(agent, pipeline):
    optout.opt_out_number(parse(MARIA, region="BR"), by=Lead.Actor.STAFF, reason="pediu", now=timezone.now())

    answer = agent.get("agent/may-reply/", phone=MARIA).json()

    assert (answer["may_reply"], answer["reason"]) == (False, "the person opted out")
    assert answer["since"]


def another_pipeline(**rules):
    other = Pipeline.objects.create(slug="energia", name="Energia", **rules)
    Stage.objects.create(pipeline=other, key="new", name="Novo", rank=0)
    return other


# Why a person took over is said in their pipeline alone: it is about what was said there.
TOLD_ELSEWHERE = {
    may_speak.Shut.PERSON: may_speak.ELSEWHERE,
    may_speak.Shut.OPTED_OUT: REASONS[may_speak.Shut.OPTED_OUT][1],
}


@pytest.mark.parametrize("shut", TOLD_ELSEWHERE)
def test_people_decide_for_every_pipeline(agent, pipeline, shut):
    other = another_pipeline()
    mine = Agent(api_keys.issue(ApiKey(name="mine", pipeline=pipeline)))
    lead, elsewhere = record(pipeline).lead, record(other).lead
    REASONS[shut][0](elsewhere)
    why = TOLD_ELSEWHERE[shut]

    answer = mine.get("agent/may-reply/", phone=lead.phone).json()
    refused = mine.post(f"leads/{lead.pk}/messages/", {"text": "oi"}).json()

    assert (answer["may_reply"], answer["reason"], refused.get("reason")) == (False, why, why)


@pytest.mark.parametrize("shut", [may_speak.Shut.SWITCHED_OFF, may_speak.Shut.UNSERVED])
def test_rules_of_another_pipeline_are_no_matter_of_a_key_for_this_one(agent, pipeline, shut):
    other = another_pipeline(serves_share=Decimal(0 if shut is may_speak.Shut.UNSERVED else 1))
    if shut is may_speak.Shut.SWITCHED_OFF:
        emergency_stop.silence(other, by="ana", reason="preço errado", now=timezone.now())
    mine = Agent(api_keys.issue(ApiKey(name="mine", pipeline=pipeline)))
    lead = record(pipeline).lead
    record(other)

    assert mine.get("agent/may-reply/", phone=lead.phone).json()["may_reply"] is True
    # No way leads to them here; the gate is open.
    assert mine.post(f"leads/{lead.pk}/messages/", {"text": "oi"}).status_code == 422
