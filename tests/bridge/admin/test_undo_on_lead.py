"""What was done to a lead is taken back by one press, and never over what has happened since."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from bridge.admin.leads.undo_on_lead import TRACES, UNDOES
from leads import handoff, optout, stage_moves
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import record

Source, Actor = Lead.HandoffSource, Lead.Actor


@pytest.fixture
def lead(pipeline):
    return record(pipeline, name="Maria").lead


def hand_over(lead):
    now = timezone.now()
    handoff.pause(lead, source=Source.API, by=Actor.AGENT, reason="quer uma pessoa", now=now)


def to_the_people(lead):
    there = lead.pipeline.stages.get(key="human_handoff")
    stage_moves.move(lead, there, by=Actor.STAFF, reason="dragged", now=timezone.now())


def opted_out(lead):
    optout.opt_out(lead, by=Actor.LEAD, reason="pare", now=timezone.now())


# What is done, with what, how the lead stood before that, and what must be as it was.
DEEDS = {
    "a move": ("move", {"stage": "qualified"}, None, ("stage_id",)),
    "a move to the people": ("move", {"stage": "human_handoff"}, None, ("stage_id", "handoff_source")),
    "a pause": ("pause", {"reason": "vou ligar"}, None, ("handoff_source",)),
    "giving back": ("resume", {}, hand_over, ("handoff_source", "handoff_reason")),
    "giving back out of a stage": ("resume", {"stage": "new"}, to_the_people, ("stage_id", "handoff_source")),
    "an opt-out": ("opt-out", {}, None, ()),
    "taking an opt-out back": ("take-back", {}, opted_out, ()),
}


def do(client, lead, what, **values):
    return client.post(reverse("admin:leads_lead_do", args=[lead.pk, what]), values, follow=True)


def button(answer):
    found = re.search(r'name="what" value="([^"]+)"', answer.content.decode())
    return unescape(found[1]) if found else None


def stand(lead):
    lead.refresh_from_db()
    return {name: getattr(lead, name) for name in ("stage_id", "handoff_source", "handoff_reason")} | {
        "opted_out": lead.opted_out_at is not None
    }


@pytest.mark.parametrize("deed", DEEDS)
def test_it_is_as_it_was_after_one_press(pipeline, lead, deed):
    what, values, begin, kept = DEEDS[deed]
    if begin:
        begin(lead)
    before = stand(lead)
    client = client_of("seller")
    signed = button(do(client, lead, what, **values))
    assert stand(lead) != before

    answer = client.post(reverse("lead-undo"), {"what": signed}, follow=True)

    assert "Undone." in answer.content.decode()
    after = stand(lead)
    assert {name: after[name] for name in (*kept, "opted_out")} == {name: before[name] for name in (*kept, "opted_out")}


def test_nothing_is_taken_back_over_what_happened_since(pipeline, lead):
    client = client_of("seller")
    signed = button(do(client, lead, "move", stage="qualified"))
    lead.refresh_from_db()
    won = pipeline.stages.get(key="won")
    stage_moves.move(lead, won, by=Actor.STAFF, reason="sold", now=timezone.now() + timedelta(seconds=1))

    answer = client.post(reverse("lead-undo"), {"what": signed}, follow=True)

    assert "the lead has gone on since" in answer.content.decode()
    lead.refresh_from_db()
    assert lead.stage == won


def test_pressed_twice_it_is_done_once(pipeline, lead):
    client = client_of("seller")
    signed = button(do(client, lead, "move", stage="qualified"))
    client.post(reverse("lead-undo"), {"what": signed})
    answer = client.post(reverse("lead-undo"), {"what": signed}, follow=True)
    assert "Not undone" in answer.content.decode()


def test_what_nobody_signed_is_nothing(lead):
    forged = signing.dumps({"lead": str(lead.pk), "do": "move"}, salt="another")
    for what in (forged, "", "x"):
        assert client_of("seller").post(reverse("lead-undo"), {"what": what}).status_code == 404


def test_whoever_may_only_look_undoes_nothing(lead):
    signed = button(do(client_of("seller"), lead, "move", stage="qualified"))
    assert client_of("reader").post(reverse("lead-undo"), {"what": signed}).status_code == 403


def test_giving_back_on_the_overview_is_taken_back_too(lead):
    hand_over(lead)
    client = client_of("seller")
    answer = client.post(reverse("overview-act", args=["resume-agent"]), {"lead": lead.pk}, follow=True)
    client.post(reverse("lead-undo"), {"what": button(answer)})
    lead.refresh_from_db()
    assert lead.handoff_source == Source.API


def test_everything_that_leaves_traces_can_be_undone():
    assert TRACES.keys() == UNDOES.keys()
