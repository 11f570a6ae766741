"""Leads that the agent does not serve: it may not reply, and hears nothing of them; a tag in Kommo changes it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone, translation

from bridge import reasons
from bridge.agent import agent_events
from bridge.models import AgentEvent, Card
from followups import who_may_be_written_to
from followups.models import Enrollment
from leads import address_owners, emergency_stop, handoff, joining, may_speak
from leads.addresses import parse as address
from leads.interaction_values import Direction, Message
from leads.models import Lead, Pipeline
from leads.phone import parse
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import MARIA, drain, lead_of, record
from tests.heard import carded, hear, hook

agent = agent_with_a_key
ANA, BIA = "+5581988880000", "+5581977770000"
URL = "https://agent.example/hook"


def serves(**facts: object) -> Pipeline:
    pipeline = Pipeline.objects.get()
    for name, value in facts.items():
        setattr(pipeline, f"serves_{name}", value)
    pipeline.save()
    pipeline.rules_changed()
    return pipeline


def may_reply(agent, phone: str = MARIA) -> tuple[bool, str | None]:
    answer = agent.get("agent/may-reply/", phone=phone).json()
    return answer["may_reply"], answer["reason"]


def tagged(kommo, account, kommo_id: int, *names: str) -> None:
    tags = [{"name": name} for name in names] or None
    kommo.post(f"leads/{kommo_id}/edit", {"_embedded": {"tags": tags}})
    hear(account, hook(kommo_id, "update"))


def test_without_a_gate_everybody_is_served_and_nothing_more_is_asked(pipeline, django_assert_num_queries):
    lead = record(pipeline).lead
    with django_assert_num_queries(0):
        assert may_speak.refusal(lead) is None


def test_the_reason_stands_in_every_answer(agent, pipeline):
    serves(share=Decimal(0))
    why = "the agent serves 0 % of the leads, and this one was not drawn"
    answer = agent.says(name="Maria").json()
    assert answer["agent"] == {"may_reply": False, "reason": why, "since": None}
    assert may_reply(agent) == (False, why)
    assert agent.get(f"leads/{answer['lead']['id']}/").json()["agent"]["reason"] == why


def test_a_stranger_is_asked_for_as_the_lead_they_will_be(agent, pipeline):
    serves(share=Decimal("0.5"))
    phones = [f"+55819{number:08}" for number in range(99990000, 99990012)]
    before = [may_reply(agent, phone) for phone in phones]
    assert {reason for reason, _ in before} == {True, False}
    for phone in phones:
        agent.says(phone=phone)
    assert [may_reply(agent, phone) for phone in phones] == before
    serves(share=Decimal(1), only_with_tag="IA")
    assert may_reply(agent, ANA) == (False, "the agent serves only leads with the tag “IA”")


def test_may_reply_asks_once_more_only_where_tags_are_asked(agent, pipeline, django_assert_max_num_queries):
    record(pipeline)
    serves(share=Decimal(0))
    agent.get("agent/may-reply/", phone=MARIA)
    with django_assert_max_num_queries(4):
        # The key and its last use, and one for the person.
        may_reply(agent)


def test_new_are_those_who_came_after_it_was_set(agent, pipeline):
    record(pipeline)
    Lead.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    since = serves(only_new_leads=True).serves_new_since
    record(pipeline, ANA)
    assert may_reply(agent) == (False, "the agent serves only new leads, and this one was there before")
    assert may_reply(agent, ANA) == (True, None)
    # Other rules are changed: nobody who was served is let go for it.
    assert serves(share=Decimal(1)).serves_new_since == since
    serves(only_new_leads=False)
    assert may_reply(agent) == (True, None)


def test_a_tag_in_kommo_decides_and_changes_it(agent, account, pipeline, kommo, settings):
    settings.AGENT_WEBHOOK_URL = URL
    kommo_id = carded(account, pipeline, name="Maria")
    serves(never_with_tag="sem IA")
    tagged(kommo, account, kommo_id, "Sem_IA", "vip")
    assert may_reply(agent) == (False, "the agent serves no leads with the tag “sem IA”")
    before = AgentEvent.objects.count()
    record(pipeline, qualification_score=82, context={"conversation_stage": "qualificação"})
    handoff.pause(lead_of(), source="api", by=Lead.Actor.STAFF, reason="x", now=timezone.now())
    handoff.resume(lead_of(), by=Lead.Actor.STAFF, reason="x", now=timezone.now())
    assert AgentEvent.objects.count() == before
    tagged(kommo, account, kommo_id, "vip")
    assert may_reply(agent) == (True, None)
    news = AgentEvent.objects.latest("created_at")
    assert (news.type, news.data["reason"]) == ("agent.resumed", "the agent serves this lead from now on")
    assert AgentEvent.objects.count() == before + 1


def test_before_there_is_a_card_its_tags_are_those_it_will_have(agent, pipeline):
    serves(only_with_tag="fluxo_aluguel_de_lote")
    assert agent.says().json()["agent"]["may_reply"] is False
    assert agent.says(chosen_flow="Aluguel de Lote").json()["agent"]["may_reply"] is True
    assert may_reply(agent) == (True, None)


def test_follow_ups_end_with_the_reason_and_none_begin(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    serves(never_with_tag="humano")
    record(pipeline, message=Message(Direction.OUTBOUND, text="Olá"))
    assert Enrollment.objects.get().state == "waiting"
    tagged(kommo, account, kommo_id, "humano")
    ended = Enrollment.objects.get()
    assert (ended.state, ended.reason) == ("cancelled", "the agent serves no leads with the tag “humano”")
    record(pipeline, message=Message(Direction.OUTBOUND, text="Oi?"))
    assert Enrollment.objects.filter(state="waiting").count() == 0
    assert who_may_be_written_to.vetoes([lead_of()]) == {
        lead_of().pk: "the agent serves no leads with the tag “humano”"
    }


def test_what_waits_to_be_told_is_not_told_of_a_lead_that_is_served_no_more(pipeline, settings):
    settings.AGENT_WEBHOOK_URL = URL
    lead = record(pipeline).lead
    agent_events.tell(lead, agent_events.PAUSED, now=timezone.now(), reason="x")
    serves(share=Decimal(0))
    agent_events.deliver_due(until=timezone.now() + timedelta(seconds=5), clock=timezone.now)
    row = AgentEvent.objects.get()
    assert (row.state, row.tries) == ("dropped", None)
    assert row.error.startswith("the agent serves 0 %")


def test_a_number_that_comes_to_be_known_changes_no_draw(pipeline):
    lid = address("lid", "99887766@lid", region="BR")
    lead = Lead.objects.create(
        pipeline=pipeline, phone_key=lid.key, stage_set_at=timezone.now(),
        created_at=timezone.now(), updated_at=timezone.now(),
    )  # fmt: skip
    assert address_owners.call_by(lead, parse(MARIA, region="BR"), timezone.now())
    lead = Lead.objects.get()
    assert (lead.phone_key, lead.drawn_as) == (MARIA, lid.key)


def test_of_joined_leads_the_one_that_stays_keeps_its_draw(pipeline):
    older, younger = record(pipeline).lead, record(pipeline, ANA).lead
    Lead.objects.filter(pk=older.pk).update(phone=None, phone_key="lid:99887766@lid")
    older = Lead.objects.get(pk=older.pk)
    joining.join(older, younger, by=Lead.Actor.BRIDGE, reason=joining.REASON, now=timezone.now())
    lead = Lead.objects.get()
    assert (lead.phone_key, lead.drawn_as) == (ANA, "lid:99887766@lid")


def test_tags_of_many_are_asked_in_few_queries(account, pipeline, django_assert_max_num_queries):
    for phone in (MARIA, ANA, BIA):
        record(pipeline, phone)
    drain(account)
    serves(only_with_tag="IA")
    leads = list(Lead.objects.select_related("pipeline"))
    with django_assert_max_num_queries(1):
        assert len(may_speak.unserved(leads)) == 3
    Card.objects.update(kommo_lead_id=None)
    with django_assert_max_num_queries(12):
        # Once: the rules are read anew, and the leads with their objections.
        assert len(may_speak.unserved(leads)) == 3


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("the agent serves no leads with the tag “IA”", "o agente não atende leads com a tag “IA”"),
        ("the agent serves only leads with the tag “IA”", "o agente só atende leads com a tag “IA”"),
        (
            "the agent serves only new leads, and this one was there before",
            "o agente só atende leads novos, e este já existia",
        ),
        (
            "the agent serves 10 % of the leads, and this one was not drawn",
            "o agente atende 10 % dos leads, e este não foi sorteado",
        ),
    ],
)
def test_the_reason_is_told_in_both_languages(reason, sentence):
    with translation.override("pt-br"):
        assert reasons.in_words(reason) == sentence
    with translation.override("en"):
        assert reasons.in_words(reason) == reason


def test_a_pipeline_that_is_silenced_answers_no_stranger_either(agent, pipeline):
    emergency_stop.silence(pipeline, by="ana", reason="preço errado", now=timezone.now())
    assert may_reply(agent, ANA) == (False, "the agent is silenced in this pipeline: preço errado")
