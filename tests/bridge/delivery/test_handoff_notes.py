"""What a seller is told at a handoff: a note and a task, each once."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import account_state
from bridge.delivery import calls_for_a_person, handoff_notes
from bridge.doctor import examine
from bridge.models import Account, Briefing, Delivery, Trouble
from leads import handoff
from leads.interaction_values import Direction, Message
from leads.models import Lead, Stage
from leads.stage_moves import move
from tests.conftest import drain, record, rested
from tests.saying import saying


@pytest.fixture
def lead(account, pipeline):
    record(
        pipeline,
        name="Maria Souza",
        bill_value=4500,
        chosen_flow="Aluguel de Lote",
        message=Message(Direction.INBOUND, text="Quero falar com alguém"),
        context={"objections": ["preço"]},
    )
    drain(account)
    return Lead.objects.get()


def hand_over(lead):
    stage = Stage.objects.get(key="human_handoff")
    move(lead, stage, by=Lead.Actor.STAFF, reason="asked for a person", now=timezone.now())


def notes_and_tasks(kommo, lead):
    shown = kommo.get(f"leads/{lead.card.kommo_lead_id}")
    return [note["params"]["text"] for note in shown["notes"]], shown["tasks"]


def test_the_seller_gets_what_is_known_and_a_task_with_a_deadline(account, lead, kommo):
    hand_over(lead)
    drain(account)

    notes, tasks = notes_and_tasks(kommo, lead)
    [note] = notes
    for known in ("Maria Souza", "Aluguel de Lote", "4.500,00", "preço", "Quero falar com alguém"):
        assert known in note
    [task] = tasks
    assert task["text"].startswith("Assumir o atendimento")
    assert task["complete_till"] > timezone.now().timestamp() + 3000
    assert task["responsible_user_id"] == kommo.lead(lead.card.kommo_lead_id)["responsible_user_id"]


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "500", "504", "invalid_json", "429"])
@pytest.mark.parametrize("path", ["/api/v4/leads/notes", "/api/v4/tasks"])
def test_both_are_written_once_whatever_becomes_of_the_answer(account, lead, kommo, mode, path):
    kommo.fault(mode, count=1, path=path, method="POST")
    hand_over(lead)
    for _ in range(3):
        rested(account)
        Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
        drain(account)
    notes, tasks = notes_and_tasks(kommo, lead)
    assert (len(notes), len(tasks)) == (1, 1)
    assert Briefing.objects.get().due_at is None


def test_a_handoff_that_ended_before_tells_nobody(account, lead, kommo):
    hand_over(lead)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="a mistake", now=timezone.now())
    drain(account)
    assert notes_and_tasks(kommo, lead) == ([], [])


def test_a_second_handoff_is_told_again(account, lead, kommo):
    hand_over(lead)
    drain(account)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    handoff.pause(
        Lead.objects.get(), source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="again", now=timezone.now()
    )
    drain(account)
    assert [len(part) for part in notes_and_tasks(kommo, lead)] == [2, 2]


def test_note_and_task_can_be_switched_off(account, lead, kommo, pipeline):
    pipeline.refresh_from_db()
    pipeline.handoff_note, pipeline.handoff_task = False, ""
    pipeline.save()
    hand_over(Lead.objects.get())
    drain(account)
    assert notes_and_tasks(kommo, lead) == ([], [])


def later(account):
    """Let every wait be over: of the account, of what Kommo refused, and of what is to be told."""
    rested(account)
    Trouble.objects.update(next_at=timezone.now())
    Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())


@pytest.mark.parametrize("mode", ["402", "403", "404", "302", "405"])
@pytest.mark.parametrize(("path", "subject"), [("/api/v4/leads/notes", "notes"), ("/api/v4/tasks", "tasks")])
def test_what_kommo_refuses_us_waits_while_everything_else_goes_and_comes_when_it_is_allowed(
    account, lead, kommo, pipeline, mode, path, subject
):
    kommo.fault(mode, path=path, method="POST")
    hand_over(lead)
    drain(account)

    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE
    assert Briefing.objects.get().due_at
    assert {"notes": [0, 1], "tasks": [1, 0]}[subject] == [len(part) for part in notes_and_tasks(kommo, lead)]
    trouble = Trouble.objects.get()
    assert (trouble.subject, trouble.refused) == (subject, True)
    [finding] = [
        each_finding for each_finding in examine(timezone.now(), ask_kommo=False) if each_finding.check == "feature"
    ]
    assert finding.remedy

    record(pipeline, name="Maria Souza Lima")
    drain(rested(account))
    assert kommo.lead(lead.card.kommo_lead_id)["name"] == "Maria Souza Lima"

    kommo.delete("faults")
    later(account)
    drain(account)
    assert [len(part) for part in notes_and_tasks(kommo, lead)] == [1, 1]
    assert not Trouble.objects.exists()
    assert Briefing.objects.get().due_at is None


def test_a_token_that_is_refused_stops_the_account_and_the_seller_is_told_after_it(account, lead, kommo):
    hand_over(lead)
    kommo.fault("401")
    drain(account)
    # Only people's own client is without the pause that workers' have: the account was asked, and refused as well.
    account.refresh_from_db()
    assert account.state == Account.State.PAUSED
    assert Briefing.objects.get().due_at

    kommo.delete("faults")
    account_state.resume(account, now=timezone.now())
    later(account)
    drain(account)
    assert [len(part) for part in notes_and_tasks(kommo, lead)] == [1, 1]


def test_a_401_for_one_feature_alone_is_no_dead_token(account, lead, kommo):
    kommo.fault("401", path="/api/v4/leads/notes")
    hand_over(lead)
    drain(account)
    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE
    assert list(Trouble.objects.values_list("subject", flat=True)) == ["notes"]


def test_a_task_for_somebody_who_left_goes_to_whom_the_account_gives_it(account, lead, kommo):
    kommo.fault("400_named", path="/api/v4/tasks", item="responsible_user_id", path_named="responsible_user_id")
    hand_over(lead)
    drain(account)
    notes, [task] = notes_and_tasks(kommo, lead)
    assert len(notes) == 1
    assert task["text"].startswith("Assumir o atendimento")


@pytest.mark.parametrize("mode", ["400", "400_named"])
def test_a_task_that_kommo_will_never_take_is_told_where_staff_look(account, lead, kommo, mode, admin_client):
    kommo.fault(mode, path="/api/v4/tasks")
    hand_over(lead)
    drain(account)

    assert [len(part) for part in notes_and_tasks(kommo, lead)] == [1, 0]
    row = Briefing.objects.get()
    assert (row.due_at, row.given_up, row.given_up_at is None) == (None, "task", False)
    deliveries = lead.events.filter(kind="delivery")
    assert saying(deliveries, "task for the seller at the handoff given up", str.startswith)
    assert Delivery.objects.filter(operation="task", outcome="refused").exists()
    assert "handoffs" in {finding.check for finding in examine(timezone.now(), ask_kommo=False) if finding.remedy}
    assert "Tell them again" in admin_client.get("/admin/").content.decode()

    kommo.delete("faults")
    admin_client.post("/admin/overview/tell-sellers-again/")
    drain(account)
    assert [len(part) for part in notes_and_tasks(kommo, lead)] == [1, 1]
    assert not handoff_notes.given_up().exists()


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({}, "handoffs: 1, leads who wrote or booked: 0, meetings without a result: 0"),
        ({"call": "the lead wrote from PERDIDO"}, "handoffs: 0, leads who wrote or booked: 1, meetings"),
        ({"asks_result": True}, "leads who wrote or booked: 0, meetings without a result: 1"),
    ],
)
def test_what_was_given_up_is_told_as_what_it_is(account, lead, about, sentence, admin_client):
    hand_over(lead)
    Briefing.objects.all().delete()
    since = Lead.objects.get().handoff_since
    Briefing.objects.create(card=lead.card, since=since, given_up="task", given_up_at=since, **about)

    [finding] = [
        each_finding for each_finding in examine(timezone.now(), ask_kommo=False) if each_finding.check == "handoffs"
    ]
    assert sentence in str(finding.message)
    page = admin_client.get("/admin/", headers={"accept-language": "en"}).content.decode()
    assert "1 seller was not told what to do" in page
    assert f"Meetings without a result: {int('asks_result' in about)}." in page


def test_nobody_is_told_of_what_was_given_up_once_the_handoff_is_over(account, lead, kommo):
    kommo.fault("400", path="/api/v4/tasks")
    hand_over(lead)
    drain(account)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    assert not handoff_notes.given_up().exists()


def test_a_stage_that_only_silences_the_agent_gives_nobody_a_task(account, lead, kommo):
    Stage.objects.filter(key="not_interested").update(pauses_agent=True, tells_staff=False)
    move(lead, Stage.objects.get(key="not_interested"), by=Lead.Actor.STAFF, reason="no", now=timezone.now())
    drain(account)

    lead.refresh_from_db()
    assert (lead.in_handoff, lead.is_with_people) == (True, False)
    assert not Briefing.objects.exists()
    assert notes_and_tasks(kommo, lead) == ([], [])
    assert list(handoff.with_people()) == []


def test_a_lead_that_was_given_up_on_is_nobodys_to_take_over(account, lead, kommo):
    Stage.objects.filter(key="not_interested").update(pauses_agent=True)
    stage = Stage.objects.get(key="not_interested")
    move(lead, stage, by=Lead.Actor.BRIDGE, reason="no answer", now=timezone.now(), tells_staff=False)
    drain(account)

    lead.refresh_from_db()
    assert lead.in_handoff
    assert notes_and_tasks(kommo, lead) == ([], [])


ANA = 11087201


def authors(kommo, lead):
    return [note["created_by"] for note in kommo.get(f"leads/{lead.card.kommo_lead_id}")["notes"]]


@pytest.fixture
def anas(lead, account, kommo, settings):
    settings.KOMMO_NOTES_BY_SELLER = True
    kommo.post("options", {"context_user": "taken"})
    kommo.post(f"leads/{lead.card.kommo_lead_id}/edit", {"responsible_user_id": ANA})
    tasks.poll(account.pk)
    lead.refresh_from_db()
    return lead


def test_a_note_stands_under_the_sellers_name_where_that_is_wanted(account, anas, kommo, settings):
    hand_over(anas)
    drain(account)
    assert authors(kommo, anas) == [ANA]


def test_by_default_it_stands_under_ours(account, lead, kommo):
    hand_over(lead)
    drain(account)
    assert authors(kommo, lead) == [account.kommo_user_id]


def test_where_kommo_refuses_that_the_note_goes_without_it_once_and_it_is_remembered(account, anas, kommo):
    kommo.post("options", {"context_user": "refused"})
    hand_over(anas)
    drain(account)
    assert authors(kommo, anas) == [account.kommo_user_id]
    account.refresh_from_db()
    assert account.traits["nameless"] == [ANA]
    assert not Trouble.objects.exists()

    written = [call for call in kommo.journal() if call["method"] == "POST" and call["path"] == "/api/v4/leads/notes"]
    assert [answer["status"] for answer in written] == [403, 200]
    Briefing.objects.all().delete()
    calls_for_a_person.call(Lead.objects.get(), "asks again", now=timezone.now())
    drain(account)
    written = [call for call in kommo.journal() if call["method"] == "POST" and call["path"] == "/api/v4/leads/notes"]
    assert [answer["status"] for answer in written] == [403, 200, 200]


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "500", "504", "invalid_json", "429"])
def test_a_note_in_the_sellers_name_is_written_once_whatever_becomes_of_the_answer(account, anas, kommo, mode):
    kommo.fault(mode, count=1, path="/api/v4/leads/notes", method="POST")
    hand_over(anas)
    drain(account)
    rested(account)
    Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
    drain(account)
    assert authors(kommo, anas) == [ANA]


def test_notes_that_are_refused_altogether_say_nothing_of_names(account, anas, kommo):
    kommo.fault("403", path="/api/v4/leads/notes", method="POST")
    hand_over(anas)
    drain(account)
    account.refresh_from_db()
    assert not account.traits.get("nameless")
    assert Trouble.objects.get().subject == "notes"
