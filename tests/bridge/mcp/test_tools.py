"""What each tool answers, that reading changes nothing, and that acting is what the API and the admin do."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.models import ApiKey
from leads import erasure
from leads.models import Event, Lead
from tests.bridge.mcp.conftest import model_with
from tests.conftest import MARIA, record
from tests.followups.conftest import MARIA as THEIRS
from tests.followups.conftest import agent, conversation, receiver  # noqa: F401  (fixtures)


@pytest.fixture
def lead(pipeline):
    record(pipeline, name="Maria Souza")
    return record(pipeline, qualification_score=82, context={"conversation_stage": "qualificação"}).lead


def test_a_lead_is_found_by_name_and_phone_and_explained(model, lead):
    for text in ("maria", MARIA, MARIA[-9:]):
        [found] = model.call("find_lead", text=text)["leads"]
        assert (found["id"], found["stage"]) == (str(lead.pk), "qualified")
    why = model.call("why_here", lead=str(lead.pk))
    assert why["reason"] == "qualification_score 82 >= 70"
    assert {stage["stage"]: stage["standing"] for stage in why["stages"]}["qualified"] == "here"
    assert all(stage["reasons"] for stage in why["stages"])
    # By a phone as well as by its id.
    assert model.call("why_here", lead=MARIA)["lead"]["id"] == str(lead.pk)


def test_what_a_lead_waits_for(model, agent, conversation):  # noqa: F811
    conversation.lead_writes()
    conversation.agent_writes()
    waits = model.call("why_waiting", lead=THEIRS)
    [followup] = waits["followups"]
    assert (followup["step"], followup["held"]) == (1, False)
    assert followup["next_at"]
    assert waits["card"]["reason"]
    assert waits["agent"]["may_reply"] is True


def test_a_past_is_read_backwards_in_pages(model, lead):
    everything = model.call("timeline", lead=MARIA, limit=100)
    assert everything["next"] is None
    kinds = [event["kind"] for event in everything["events"]]
    assert len(kinds) == Event.objects.filter(lead=lead).count() > 2
    read, place = [], None
    while True:
        page = model.call("timeline", lead=MARIA, limit=1, before=place)
        read += [event["kind"] for event in page["events"]]
        place = page["next"]
        if place is None:
            break
    assert read == kinds
    for nowhere in (
        "x",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00/1",
        "2026-01-01T00:00:00Z/-1",
        "0001-01-01T00:00:00+14:00/1",
    ):
        assert "before is" in model.call("timeline", lead=MARIA, before=nowhere)


def test_whether_the_agent_may_reply_to_known_people_and_strangers(model, acting, lead):
    assert model.call("may_reply", lead=MARIA)["may_reply"] is True
    assert model.call("may_reply", lead="+5511988887777")["may_reply"] is True
    acting.call("hand_over", lead=MARIA, reason="quer falar com a Ana")
    assert model.call("may_reply", lead=MARIA)["reason"] == "quer falar com a Ana"
    assert "neither a lead's id" in model.call("may_reply", lead="ninguém")


def test_the_funnel_and_the_results(model, lead):
    places = {stage["stage"]: stage for stage in model.call("funnel")["stages"]}
    assert places["qualified"]["standing"] == 1
    figures = model.call("results")
    assert (figures["leads"], figures["qualified"]) == (1, 1)
    assert "2026-11-22" in model.call("results", **{"from": "yesterday"})


def test_another_threshold_is_looked_at_and_nothing_is_changed(model, pipeline, lead):
    outlook = model.call("preview_threshold", min_score=90)
    assert (outlook["leads"], outlook["looked_at"], outlook["is_complete"]) == (1, 1, True)
    assert outlook["moves"] == [{"from": "qualified", "to": "disqualified", "leads": 1}]
    assert model.call("preview_threshold", min_score=outlook["min_score_now"])["moves"] == []
    lead.refresh_from_db()
    assert lead.stage.key == "qualified"


def test_a_large_pipeline_is_looked_at_in_parts(model, pipeline, lead, monkeypatch):
    from datetime import timedelta

    from bridge.mcp import explaining_tools
    from leads import reconsideration

    record(pipeline, phone="+5511988887777", qualification_score=75, context={"conversation_stage": "qualificação"})
    monkeypatch.setattr(reconsideration, "PAGE", 1)
    monkeypatch.setattr(explaining_tools, "LOOK_FOR", timedelta(0))
    first = model.call("preview_threshold", min_score=90)
    assert (first["looked_at"], first["is_complete"]) == (1, False)
    second = model.call("preview_threshold", min_score=90, so_far=first["so_far"])
    assert second["looked_at"] == 2
    # About another threshold it begins anew; what was not said by us is told so.
    assert model.call("preview_threshold", min_score=80, so_far=first["so_far"])["looked_at"] == 1
    assert "so_far is" in model.call("preview_threshold", min_score=90, so_far="x")


def test_a_key_has_one_preview_under_way_and_another_key_is_not_kept_waiting(model, pipeline, lead, monkeypatch):
    from bridge.configuration import whatif

    other, inside, look = model_with(pipeline=pipeline), [], whatif.go_on

    def meanwhile(*args, **more):
        inside.append(model.call("preview_threshold", min_score=80))
        monkeypatch.undo()
        inside.append(other.call("preview_threshold", min_score=80))
        return look(*args, **more)

    monkeypatch.setattr(whatif, "go_on", meanwhile)
    answer = model.call("preview_threshold", min_score=90)

    refused, others = inside
    assert "This key has a preview under way" in refused
    assert (answer["looked_at"], others["looked_at"]) == (1, 1)
    assert model.call("preview_threshold", min_score=90)["looked_at"] == 1


def test_a_lead_is_handed_over_and_given_back_once(acting, lead):
    answer = acting.call("hand_over", lead=MARIA, reason="quer falar com a Ana")
    assert (answer["changed"], answer["agent"]["may_reply"]) == (True, False)
    assert acting.call("hand_over", lead=MARIA, reason="de novo")["changed"] is False
    back = acting.call("give_back", lead=MARIA)
    assert (back["changed"], back["agent"]["may_reply"]) == (True, True)
    assert acting.call("give_back", lead=MARIA)["changed"] is False


def test_follow_ups_are_held_once_under_the_keys_name(acting, agent, conversation):  # noqa: F811
    lead = conversation.lead_writes()
    conversation.agent_writes()
    assert acting.call("hold_followup", lead=THEIRS)["changed"] is True
    assert acting.call("hold_followup", lead=THEIRS) == {"lead": str(lead.pk), "changed": False, "held": []}
    hold = Event.objects.filter(lead=lead, kind=Event.Kind.FOLLOW_UP).latest("pk")
    assert hold.reason.endswith(f"held by {ApiKey.objects.get(may_act=True).name}")
    assert acting.call("why_waiting", lead=THEIRS)["followups"][0]["held"] is True


def test_nothing_of_an_erased_person_is_told(model, lead):
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    assert model.call("find_lead", text="Maria")["leads"] == []
    answers = [model.call(name, lead=str(lead.pk)) for name in ("why_here", "why_waiting", "timeline")]
    assert "Maria" not in str(answers)
    assert MARIA not in str(answers)
    assert "Nobody is known" in model.call("why_here", lead=MARIA)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("find_lead", {}, "text is needed"),
        ("find_lead", {"text": "  "}, "text is empty"),
        ("find_lead", {"text": "a\0"}, "no text"),
        ("find_lead", {"text": "Maria", "limit": 0}, "limit lies between"),
        ("find_lead", {"text": "Maria", "limit": True}, "limit must be a integer"),
        ("find_lead", {"text": "Maria", "stage": "new"}, "stage is not taken here"),
        ("why_here", {"lead": 7}, "lead must be a string"),
        ("why_here", {"lead": "0f9c7c1e-6a0b-4f5e-9d6b-1f2a3b4c5d6e"}, "no such lead"),
        ("preview_threshold", {"min_score": 101}, "min_score lies between"),
        ("funnel", {"pipeline": "nowhere"}, "no such pipeline"),
    ],
)
def test_what_is_asked_wrongly_is_told_to_the_model(model, name, arguments, sentence):
    assert sentence in model.call(name, **arguments)


def test_questions_cost_the_same_whatever_the_table_holds(model, pipeline, lead, django_assert_max_num_queries):
    for number in range(12):
        record(pipeline, phone=f"+55119777700{number:02}", name=f"Maria {number}")
    with django_assert_max_num_queries(9):
        assert len(model.call("find_lead", text="Maria")["leads"]) == 10
