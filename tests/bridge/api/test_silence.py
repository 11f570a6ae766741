"""The switch that silences the agent in a whole pipeline, over HTTP and in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from bridge import roles
from leads.models import Pipeline
from tests.conftest import MARIA, record


def test_one_call_silences_the_agent_for_every_lead_and_another_lets_it_speak(pipeline, agent):
    record(pipeline)
    answer = agent.post("agent/silence/", {"reason": "responde errado"})
    assert answer.status_code == 200
    assert answer.json()["may_reply"] is False
    may = agent.get("agent/may-reply/", phone=MARIA).json()
    assert may == answer.json()
    assert "responde errado" in may["reason"]
    # Nor to anybody new.
    assert agent.get("agent/may-reply/", phone="5581911112222").json()["may_reply"] is False

    assert agent.delete("agent/silence/").json() == {"may_reply": True, "reason": None, "since": None}
    assert agent.get("agent/may-reply/", phone=MARIA).json()["may_reply"] is True


@pytest.mark.parametrize("key_first", [False, True])
def test_what_a_person_stopped_no_key_starts_again(pipeline, agent, key_first):
    if key_first:
        agent.post("agent/silence/")
    staff = Client()
    staff.force_login(User.objects.create_superuser("bia"))
    staff.post(reverse("admin:rules_silence", args=[pipeline.pk]), {"reason": "preços errados"})
    # Nor by silencing first.
    agent.post("agent/silence/")

    refused = agent.delete("agent/silence/")

    assert (refused.status_code, refused["Content-Type"]) == (409, "application/problem+json")
    assert agent.get("agent/may-reply/", phone=MARIA).json()["may_reply"] is False
    staff.post(reverse("admin:rules_silence", args=[pipeline.pk]), {"do": "speak"})
    assert agent.get("agent/may-reply/", phone=MARIA).json()["may_reply"] is True
    assert agent.delete("agent/silence/").status_code == 200


@pytest.mark.parametrize("slug", ["nope", "%00"])
def test_a_pipeline_that_is_not_there_is_404(pipeline, agent, slug):
    assert agent.post(f"agent/silence/?pipeline={slug}").status_code == 404
    pipeline.refresh_from_db()
    assert pipeline.silenced_at is None


@pytest.mark.parametrize(("role", "status"), [(roles.READER, 403), (roles.SELLER, 302)])
def test_staff_who_may_pause_the_agent_may_silence_it_and_are_asked_first(pipeline, role, status):
    user = User.objects.create_user("bia", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    path = reverse("admin:rules_silence", args=[pipeline.pk])
    assert client.get(path).status_code == (403 if status == 403 else 200)
    pipeline.refresh_from_db()
    assert pipeline.silenced_at is None

    assert client.post(path, {"reason": "nonsense"}).status_code == status

    row = Pipeline.objects.get(pk=pipeline.pk)
    assert (row.silenced_at is not None, row.silenced_by) == (status == 302, "bia" if status == 302 else "")
    if status == 302:
        assert "nonsense" in client.get(reverse("admin:rules_overview", args=[pipeline.pk])).content.decode()
        assert b'value="speak"' in client.get(path).content
        client.post(path, {"do": "speak"})
        assert Pipeline.objects.get(pk=pipeline.pk).silenced_at is None


def test_the_button_that_silences_never_lets_speak_however_often_and_by_whom_it_is_pressed(pipeline):
    client = Client()
    client.force_login(User.objects.create_superuser("bia"))
    path = reverse("admin:rules_silence", args=[pipeline.pk])
    assert b'value="silence"' in client.get(path).content

    for reason in ("first", "the same page, open elsewhere"):
        client.post(path, {"do": "silence", "reason": reason})

    row = Pipeline.objects.get(pk=pipeline.pk)
    assert (row.silenced_at is not None, row.silenced_reason) == (True, "first")
    for _ in range(2):
        client.post(path, {"do": "speak"})
        assert Pipeline.objects.get(pk=pipeline.pk).silenced_at is None
