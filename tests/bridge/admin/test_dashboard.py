"""The overview says what needs a person and does it at the press of a button, at the same cost for any table."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge.accounts import account_state
from bridge.admin.dashboard import charts
from bridge.admin.dashboard.remedies import BY_STATE, remedy
from bridge.doctor import examine
from bridge.models import Account, AccountPipeline, AgentEvent, Card, Delivery, Drift, Heartbeat, WebhookEvent
from common.reasons import Reason, several
from followups.models import Enrollment
from leads import handoff, stage_moves
from leads.interaction_values import Direction, Message
from leads.models import Event, FieldMapping, Lead, Stage
from tests.conftest import drain, record

INDEX = "/admin/"
LIVE = "/admin/overview/live/"


@pytest.fixture
def worker(db):
    """A worker that beats."""
    return Heartbeat.objects.create(worker="one", at=timezone.now())


@pytest.fixture(autouse=True)
def agent(settings):
    """An agent is connected: that none is would be one more thing to mend."""
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/"


def titles(client):
    return [concern.title for concern in client.get(LIVE).context["concerns"]]


def press(client, do, **values):
    return client.post(reverse("overview-act", args=[do]), values, follow=True)


def paused(lead):
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="wants a person", now=timezone.now())


def test_nothing_to_do_is_said_plainly(staff, account, worker):
    assert titles(staff) == []
    assert "Nothing is stuck" in staff.get(INDEX).content.decode()


def test_a_silent_worker_is_the_first_thing_to_mend(staff, account):
    assert titles(staff) == ["No worker is at work"]


def test_what_needs_a_person_is_named_with_its_remedy(staff, account, pipeline, worker):
    lead = record(pipeline, context={"conversation_stage": "nunca vista"}).lead
    now = timezone.now()
    Card.objects.update(state=Card.State.DEAD, waiting_reason="refused", due_at=None, pending_since=None)
    Drift.objects.create(card=Card.objects.get(lead=lead), subject="name", found_at=now, found_by="poll")
    WebhookEvent.objects.create(account=account, body=b"?", received_at=now, state=WebhookEvent.State.FAILED)
    AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now, due_at=now, state=AgentEvent.State.DEAD)
    Account.objects.update(token_expires_at=now + timedelta(days=3), webhook_problem="disabled by Kommo")
    account_state.pause(account, reason="the token was refused", now=now)

    shown = titles(staff)

    assert shown[0].endswith("nothing is sent")
    for part in ("1 card was refused", "1 webhook could", "1 event never", "1 difference", "1 conversation stage"):
        assert any(part in title for title in shown), part
    assert any("token expires" in title for title in shown)
    assert any("webhooks do not arrive" in title for title in shown)


TROUBLES = {
    "an unbound stage": lambda: Stage.objects.filter(key="qualified").update(kommo_status_id=None),
    "a field that is not in Kommo": lambda: FieldMapping.objects.update(kommo_field_id=None),
    "an account never connected": lambda: Account.objects.update(connected_at=None),
    "a paused account": lambda: Account.objects.update(state="paused", state_reason="402"),
    "a token near its end": lambda: Account.objects.update(token_expires_at=timezone.now() + timedelta(days=20)),
    "webhooks that do not come": lambda: Account.objects.update(webhook_problem="disabled by Kommo"),
    "a pipeline without an account": lambda: AccountPipeline.objects.all().delete(),
    "a dead card": lambda: Card.objects.update(state="dead", waiting_reason="refused", due_at=None, pending_since=None),
    "a blocked card": lambda: Card.objects.update(state="blocked", waiting_reason="x", due_at=None, pending_since=None),
    "a card deleted there": lambda: Card.objects.update(state="gone", due_at=None, pending_since=None),
    "a card that waits": lambda: Card.objects.update(
        state="retrying", due_at=timezone.now(), pending_since=timezone.now() - timedelta(hours=1)
    ),
    "a lead without a card": lambda: Card.objects.all().delete(),
    "no worker": lambda: Heartbeat.objects.all().delete(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_doctor_calls_wrong_stands_on_the_overview_and_on_the_page_of_health(
    staff, account, pipeline, worker, trouble
):
    record(pipeline)
    drain(account)
    assert shown_on(staff, LIVE) == shown_on(staff, reverse("health")) == []
    TROUBLES[trouble]()
    cache.clear()

    wrong = [finding for finding in examine(timezone.now(), ask_kommo=False) if not finding.is_well]

    overview, health = shown_on(staff, LIVE), shown_on(staff, reverse("health"))
    assert wrong
    assert len(overview) >= len(wrong)
    assert overview == health
    words = "1 thing needs you" if len(overview) == 1 else f"{len(overview)} things need you"
    assert words in staff.get(LIVE).content.decode()


def shown_on(client, path):
    return [concern.title for concern in client.get(path).context["concerns"] if concern.needs_somebody]


def test_all_working_is_said_in_one_sentence_that_leads_to_the_page_of_health(staff, account, worker):
    page = staff.get(INDEX).content.decode()
    assert re.search(rf'href="{reverse("health")}">\s*All working', page)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("dead", "and 1 stuck"), ("blocked", "and 1 stuck"), ("gone", "and 1 stuck"), ("in_sync", "Kommo has everything")],
)
def test_kommo_has_everything_only_if_no_card_is_stuck(staff, account, pipeline, worker, state, sentence):
    record(pipeline)
    drain(account)
    Card.objects.update(state=state)
    page = staff.get(INDEX).content.decode()
    assert sentence in page
    assert ("Kommo has everything" in page) == (state == "in_sync")


def test_messages_that_reach_nobody_are_told_though_nothing_is_broken(staff, account, worker, settings):
    settings.AGENT_WEBHOOK_URL = ""
    [title] = titles(staff)
    assert title == "Follow-ups: not sent, only logged: AGENT_WEBHOOK_URL is empty"
    assert staff.get(LIVE).context["tone"] == "warning"


def test_deliveries_are_counted_apart_as_arrived_overtaken_and_failed(staff, account, pipeline, worker):
    record(pipeline)
    drain(account)
    [done] = Delivery.objects.all()
    for outcome in ("dropped", "would_send", "refused", "failed", "unknown"):
        Delivery.objects.create(account=account, card=done.card, at=timezone.now(), operation="update", outcome=outcome)
    shown = staff.get(LIVE).context["deliveries"]
    assert (shown["delivered"], shown["aside"], shown["other"]) == (1, 2, 3)


def test_only_what_goes_out_today_stands_under_today(staff, account, pipeline, worker, time_machine):
    time_machine.move_to(datetime(2026, 11, 24, 10, 0, tzinfo=ZoneInfo("America/Sao_Paulo")), tick=False)
    message = Message(Direction.OUTBOUND, text="Olá")
    for number, days in enumerate((0, 3, 1200)):
        record(pipeline, f"+55819999900{number:02}", name=f"Maria {days}", message=message)
        at = timezone.now() + timedelta(days=days, minutes=24)
        Enrollment.objects.filter(lead__name=f"Maria {days}").update(next_at=at)

    answer = staff.get(LIVE)

    followups = answer.context["followups"]
    assert [enrollment.lead.name for enrollment in followups.next] == ["Maria 0"]
    assert [enrollment.lead.name for enrollment in followups.later] == ["Maria 3", "Maria 1200"]
    page = answer.content.decode()
    for moment in (">10:24<", ">Fri 10:24<", ">03/08/2030 10:24<"):
        assert moment in page, moment


def test_cards_of_one_cause_are_sent_again_at_one_press(staff, account, pipeline):
    record(pipeline)
    record(pipeline, "+5581999990001")
    cause = "refused by Kommo: name: too long"
    Card.objects.update(state=Card.State.DEAD, waiting_reason=cause, due_at=None)

    answer = press(staff, "requeue", state="dead", cause=cause)

    assert "2 cards will be sent again" in answer.content.decode()
    assert set(Card.objects.values_list("state", "waiting_reason")) == {("due", "")}


def test_a_lead_is_given_back_to_the_agent_with_who_did_it(staff, account, pipeline):
    lead = record(pipeline, name="Maria").lead
    paused(lead)
    assert "wants a person" in staff.get(INDEX).content.decode()

    press(staff, "resume-agent", lead=lead.pk)

    lead.refresh_from_db()
    event = lead.events.get(kind=Event.Kind.RESUMED)
    assert (lead.in_handoff, event.reason, event.actor) == (False, "resumed by ada", "staff")


def test_a_lead_in_a_stage_of_people_is_given_back_on_its_page_where_one_says_where_to(staff, account, pipeline):
    lead = record(pipeline, name="Maria").lead
    there = pipeline.stages.get(key="human_handoff")
    stage_moves.move(lead, there, by=Lead.Actor.STAFF, reason="dragged", now=timezone.now())
    address = reverse("admin:leads_lead_change", args=[lead.pk])
    assert f"{address}#do-resume" in staff.get(INDEX).content.decode()

    press(staff, "resume-agent", lead=lead.pk)

    lead.refresh_from_db()
    assert lead.in_handoff


def test_a_paused_account_goes_on(staff, account):
    account_state.pause(account, reason="the token was refused", now=timezone.now())
    press(staff, "resume-account", account=account.pk)
    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE


def test_failed_webhooks_and_events_are_tried_again(staff, account, pipeline):
    now = timezone.now()
    lead = record(pipeline).lead
    event = WebhookEvent.objects.create(account=account, body=b"?", received_at=now, state=WebhookEvent.State.FAILED)
    agent_event = AgentEvent.objects.create(
        lead=lead, type="x", data={"reason": "x"}, created_at=now, due_at=now, state=AgentEvent.State.DEAD
    )

    press(staff, "replay-webhooks")
    press(staff, "replay-agent-events")

    event.refresh_from_db()
    agent_event.refresh_from_db()
    assert (event.state, agent_event.state) == (WebhookEvent.State.RECEIVED, AgentEvent.State.DUE)


def test_whoever_may_only_look_presses_nothing(client, account, pipeline):
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(viewer)
    lead = record(pipeline, name="Maria").lead
    paused(lead)
    Card.objects.update(state=Card.State.DEAD, waiting_reason="refused")

    page = client.get(INDEX).content.decode()

    assert "Maria" in page
    assert "Give back" not in page
    assert "Send 1 card again" not in page
    assert press(client, "resume-agent", lead=lead.pk).status_code == 403
    assert press(client, "requeue", state="dead", cause="refused").status_code == 403
    lead.refresh_from_db()
    assert lead.in_handoff


def test_leads_are_named_only_to_those_who_may_see_them(client, pipeline):
    paused(record(pipeline, name="Maria").lead)
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert "Maria" not in client.get(INDEX).content.decode()


def test_a_button_that_is_not_there_and_a_get_do_nothing(staff):
    assert press(staff, "drop-everything").status_code == 404
    assert staff.get(reverse("overview-act", args=["requeue"])).status_code == 405


def test_nobody_reads_or_presses_without_a_login(client, db):
    assert client.get(LIVE).status_code == 302
    assert client.post(reverse("overview-act", args=["requeue"])).status_code == 302


def test_the_overview_costs_the_same_for_any_number_of_rows(staff, account, pipeline, worker):
    def fill(count):
        for number in range(count):
            lead = record(
                pipeline, f"+55819900001{count}{number}", name="Maria", context={"conversation_stage": "x"}
            ).lead
            paused(lead)
            now = timezone.now()
            Drift.objects.create(card=Card.objects.get(lead=lead), subject="name", found_at=now, found_by="poll")
            WebhookEvent.objects.create(account=account, body=b"?", received_at=now, state=WebhookEvent.State.FAILED)
        drain(account)
        Card.objects.filter(lead__handoff_since__isnull=False).update(state=Card.State.DEAD, waiting_reason="refused")

    def cost():
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(LIVE).status_code == 200
        return len(queries)

    def cost_soon_after():
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(LIVE).status_code == 200
        return len(queries)

    fill(1)
    few, few_soon_after = cost(), cost_soon_after()
    fill(9)
    # Everything doctor looks at is looked at again only after a few seconds.
    assert (cost(), cost_soon_after()) == (few, few_soon_after)
    assert few_soon_after <= 38


@pytest.mark.parametrize(
    ("state", "reason", "page"),
    [
        (
            "blocked",
            "stage “X” is not bound to a stage in Kommo: run kommo_connect",
            "/admin/leads/pipeline/rules/?part=stages",
        ),
        ("blocked", "“Solução” has no option “Y” in Kommo", "/admin/leads/pipeline/rules/?part=fields"),
        ("blocked", "pipeline “P” is not bound to a pipeline in Kommo", "/admin/setup/pipeline/"),
        ("blocked", Reason("stage_not_bound", a="“X”"), "/admin/leads/pipeline/rules/?part=stages"),
        (
            "blocked",
            several([Reason("no_such_option", a="“Solução”", b="“Y”"), Reason("new_card_needs_stage")]),
            "/admin/leads/pipeline/rules/?part=fields",
        ),
        ("blocked", Reason("pipeline_not_bound", a="“P”"), "/admin/setup/pipeline/"),
    ],
)
def test_a_remedy_leads_to_the_page_where_it_is_mended(state, reason, page):
    assert remedy(state, reason).url == page


def test_what_kommo_refused_for_another_reason_is_sent_again():
    assert remedy("dead", "name: too long") is BY_STATE["dead"]
    assert BY_STATE["dead"].requeue


def test_charts_fill_their_height_and_stand_empty_without_values():
    chart = charts.bars([((3, 2, 1), "a"), ((0, 0, 0), "b")])
    full, empty = chart["bars"]
    assert [part.place for part in full.parts] == [0, 1, 2]
    assert sum(part.height for part in full.parts) == charts.HEIGHT
    assert (full.parts[0].y + full.parts[0].height, full.parts[2].y) == (charts.HEIGHT, 0)
    assert [part.height for part in empty.parts] == [0, 0, 0]
    assert charts.bars([])["most"] == charts.lines([])["most"] == 0
    assert charts.lines([("new", [0, 4])])["lines"][0] == {
        "name": "new",
        "points": "0.0,117.0 600.0,3.0",
        "area": "0,120 0.0,117.0 600.0,3.0 600,120",
        "total": 4,
        "last": 4,
    }


def test_a_remedy_is_chosen_by_what_a_reason_is_and_not_by_a_name_in_it():
    named = Reason("field_not_in_kommo", a="“Incoming leads”")
    assert remedy("blocked", named) is BY_STATE["blocked"]
    assert remedy("dead", Reason("person_in_incoming_leads", number=7)) is not BY_STATE["dead"]
