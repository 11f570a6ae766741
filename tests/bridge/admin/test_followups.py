"""Staff see what goes out next, why and when, and act on it, one or many."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge import roles
from bridge.admin.followups.sent_messages import STATE_COLOURS
from followups.models import Attempt, Enrollment
from followups.schedule import WEEKDAYS
from leads import interaction_values, interactions
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead, OptOut, Pipeline
from leads.phone import parse
from tests.bridge.admin.people import client_of
from tests.saying import saying

LIST = "/admin/followups/enrollment/"
OPT_OUTS = "/admin/leads/optout/"


@pytest.fixture
def waiting(pipeline):
    """Make leads whose first message waits; any hour is allowed."""
    Pipeline.objects.update(quiet_from=None, quiet_to=None, sending_weekdays=list(WEEKDAYS))
    pipeline.refresh_from_db()

    def make(count=1):
        for number in range(Lead.objects.count(), Lead.objects.count() + count):
            interactions.record(
                interaction_values.Interaction(
                    phone=parse(f"+55119888877{number:02}", region="BR"),
                    occurred_at=timezone.now(),
                    facts={"name": f"Pessoa {number}"},
                    message=Message(Direction.OUTBOUND, text="Olá"),
                ),
                pipeline=pipeline,
                now=timezone.now(),
            )
        return list(Enrollment.objects.order_by("pk"))

    return make


def act(staff, name, enrollments, **more):
    chosen = {"action": name, "_selected_action": [enrollment.pk for enrollment in enrollments]}
    return staff.post(LIST, chosen | more, follow=True)


def test_the_list_says_what_goes_out_next_why_and_when(staff, waiting):
    waiting()
    shown = staff.get(LIST).content.decode()
    assert "Oi, Pessoa! Ficou alguma dúvida" in shown
    assert "30 min after our last message" in shown
    assert "1/3" in shown


def test_the_list_costs_the_same_for_any_number_of_leads(staff, waiting):
    waiting()
    staff.get(LIST)
    costs = []
    for more in (0, 20):
        waiting(more)
        costs.append(min(_statements(staff) for _ in range(3)))
    assert costs[0] == costs[1]


def _statements(staff):
    """Count what a page asks; now and then something is due besides, such as adding up the figures."""
    with CaptureQueriesContext(connection) as asked:
        staff.get(LIST)
    return len(asked)


def test_the_page_of_one_tells_its_whole_story(staff, waiting):
    [enrollment] = waiting()
    Attempt.objects.create(
        enrollment=enrollment,
        step=1,
        state=Attempt.State.SENT,
        text="Olá!",
        due_at=timezone.now(),
        created_at=timezone.now(),
    )
    Enrollment.objects.update(step=2, next_at=timezone.now() + timedelta(days=1))
    shown = staff.get(f"{LIST}{enrollment.pk}/change/").content.decode()
    assert "Olá!" in shown
    assert "48 h" in shown or "2 days after our last message" in shown
    assert "given up after 1 day of silence" in shown


def test_what_is_over_is_one_filter_away(staff, waiting):
    [enrollment] = waiting()
    act(staff, "cancel", [enrollment], followups_confirmed="1")
    assert "cancelled by ada" not in staff.get(LIST).content.decode()
    assert "cancelled by ada" in staff.get(f"{LIST}?state=cancelled").content.decode()


@pytest.mark.parametrize("name", ["send_now", "skip", "cancel", "opt_out"])
def test_what_cannot_be_undone_is_asked_first(staff, waiting, name):
    enrollments = waiting(3)
    before = list(Enrollment.objects.order_by("pk").values("state", "next_at", "step"))
    answer = act(staff, name, enrollments)
    assert answer.templates[0].name == "admin/followups/confirm.html"
    assert "Oi, Pessoa" in answer.content.decode()
    assert list(Enrollment.objects.order_by("pk").values("state", "next_at", "step")) == before


def test_send_now_warns_of_the_hour_where_the_lead_lives(staff, waiting):
    enrollments = waiting(1)
    # Every hour of the day is quiet but one that is not now.
    there = timezone.now().astimezone(timezone.get_fixed_timezone(-180))
    Pipeline.objects.update(
        quiet_from=(there - timedelta(hours=1)).time(), quiet_to=(there + timedelta(hours=1)).time()
    )
    assert "outside the hours for messages" in act(staff, "send_now", enrollments).content.decode()


def test_many_are_sent_held_let_go_skipped_and_cancelled_at_once(staff, waiting):
    enrollments = waiting(3)
    act(staff, "hold", enrollments)
    assert set(Enrollment.objects.values_list("held", flat=True)) == {True}
    assert "Pessoa 0" in staff.get(f"{LIST}?state=held").content.decode()
    act(staff, "let_go_on", enrollments)
    assert set(Enrollment.objects.values_list("held", flat=True)) == {False}
    act(staff, "skip", enrollments, followups_confirmed="1")
    assert set(Enrollment.objects.values_list("step", flat=True)) == {2}
    act(staff, "send_now", enrollments, followups_confirmed="1")
    assert Enrollment.objects.filter(next_at__lte=timezone.now(), sent_by_hand=True).count() == 3
    answer = act(staff, "cancel", enrollments, followups_confirmed="1")
    assert "3 sequences cancelled" in answer.content.decode()
    assert len(saying(Event.objects.filter(actor="staff"), "by ada", str.__contains__)) == 15


def test_the_page_of_one_has_a_button_for_each_deed(staff, waiting):
    [enrollment] = waiting()
    address = reverse("admin:followups_enrollment_cancel_detail", args=[enrollment.pk])
    assert "admin/followups/confirm.html" in [template.name for template in staff.get(address).templates]
    staff.post(address, {"followups_confirmed": "1"})
    enrollment.refresh_from_db()
    assert (enrollment.state, enrollment.reason) == ("cancelled", "cancelled by ada")


def test_a_held_follow_up_looks_held_with_who_and_when_and_offers_to_let_it_go_on(staff, waiting):
    [enrollment] = waiting()
    address = f"{LIST}{enrollment.pk}/change/"
    assert "<s>" not in staff.get(address).content.decode()
    assert buttons(staff, enrollment) == {"send-now", "hold", "skip", "cancel", "opt-out"}

    act(staff, "hold", [enrollment])

    page = staff.get(address).content.decode()
    assert "held by ada" in page
    assert page.count("<s>") == 4, "three messages and the end of patience"
    assert ">to come<" not in page
    assert buttons(staff, enrollment) == {"send-now", "let-go-on", "skip", "cancel", "opt-out"}


def test_a_follow_up_that_is_over_offers_nothing_that_would_do_nothing(staff, waiting):
    [enrollment] = waiting()
    act(staff, "cancel", [enrollment], followups_confirmed="1")
    assert buttons(staff, enrollment) == {"opt-out"}


def buttons(client, enrollment):
    page = client.get(f"{LIST}{enrollment.pk}/change/").content.decode()
    return set(re.findall(rf'href="{LIST}{enrollment.pk}/([\w-]+)/"', page)) - {"history", "change"}


@pytest.mark.parametrize("state", Attempt.State)
def test_only_what_the_person_got_is_green(staff, waiting, state):
    [enrollment] = waiting()
    now = timezone.now()
    Attempt.objects.create(
        enrollment=enrollment, step=1, state=state, reason="x", due_at=now, created_at=now, ended_at=now
    )
    enrollment.lead.events.create(
        at=now, kind=Event.Kind.FOLLOW_UP, actor="bridge", reason="x", data={"outcome": state.value}
    )
    Enrollment.objects.update(step=2)

    pages = [staff.get(f"{LIST}{enrollment.pk}/change/").content.decode()]
    pages += [
        staff.get(reverse("admin:leads_lead_change", args=[enrollment.lead_id]), {"show": "followups"}).content.decode()
    ]

    assert re.search(rf'kb-pill kb-(\w+)">{re.escape(str(state.label))}<', pages[0])[1] == STATE_COLOURS[state]
    assert f"kb-entry kb-{STATE_COLOURS[state]}" in pages[1]
    assert (STATE_COLOURS[state] == "success") == (state == Attempt.State.SENT)


def test_figures_are_shown_for_each_step(staff, waiting):
    [enrollment] = waiting()
    now = timezone.now()
    Attempt.objects.create(
        enrollment=enrollment,
        step=1,
        state=Attempt.State.SENT,
        due_at=now,
        created_at=now,
        ended_at=now,
        answered_at=now,
    )
    answer = staff.get(reverse("admin:followups_attempt_outcomes"))
    [table] = [table for table in answer.context["tables"] if table["rows"]]
    assert (table["rows"][0]["sent"], table["rows"][0]["answered_share"]) == (1, 1.0)
    assert "100" in answer.content.decode()


def test_somebody_is_opted_out_by_number_and_it_can_be_taken_back(staff, waiting):
    [enrollment] = waiting()
    answer = staff.post(f"{OPT_OUTS}person/", {"phone": "(11) 98888-7700"}, follow=True)
    assert "opted out by ada" in answer.content.decode()
    enrollment.refresh_from_db()
    assert enrollment.state == "cancelled"

    # By person, and not by lead: whatever leads of theirs come later.
    staff.post(OPT_OUTS, {"action": "take_back", "_selected_action": [OptOut.objects.get().pk]})

    assert Lead.objects.get().opted_out_at is None
    assert saying(Event.objects, "opt-out taken back by ada")


def test_what_is_no_number_is_said_so(staff, waiting):
    waiting()
    answer = staff.post(f"{OPT_OUTS}person/", {"phone": "nonsense"})
    assert answer.context["form"].errors["phone"]
    assert not OptOut.objects.exists()


def test_somebody_nobody_knows_yet_is_opted_out_ahead(staff, waiting):
    [enrollment] = waiting()
    staff.post(f"{OPT_OUTS}person/", {"phone": "+55 11 90000-0000"})
    assert OptOut.objects.get().phone_key == "+5511900000000"
    assert Lead.objects.get().opted_out_at is None
    assert "+5511900000000" in staff.get(OPT_OUTS, {"q": "90000"}).content.decode()
    assert "+5511900000000" not in staff.get(OPT_OUTS, {"q": enrollment.lead.name}).content.decode()


def test_messages_can_be_found_by_the_id_the_agent_was_told(staff, waiting):
    [enrollment] = waiting()
    attempt = Attempt.objects.create(enrollment=enrollment, step=1, due_at=timezone.now(), created_at=timezone.now())
    assert "Pessoa 0" in staff.get("/admin/followups/attempt/", {"q": str(attempt.pk)}).content.decode()


def test_a_button_of_the_page_is_a_link_and_a_link_does_nothing(staff, waiting):
    [enrollment] = waiting()
    address = reverse("admin:followups_enrollment_hold_detail", args=[enrollment.pk])
    staff.get(address)
    assert not Enrollment.objects.get().held
    staff.post(address, {"followups_confirmed": "1"})
    assert Enrollment.objects.get().held


def test_a_viewer_looks_and_an_operator_acts(waiting):
    [enrollment] = waiting()
    viewer, operator = client_of(roles.READER), client_of(roles.SELLER)
    assert "Oi, Pessoa" in viewer.get(LIST).content.decode()
    assert viewer.get(reverse("admin:followups_attempt_outcomes")).status_code == 200
    act(viewer, "cancel", [enrollment], followups_confirmed="1")
    cancel = reverse("admin:followups_enrollment_cancel_detail", args=[enrollment.pk])
    assert viewer.post(cancel, {"followups_confirmed": "1"}).status_code == 403
    assert viewer.get(f"{OPT_OUTS}person/").status_code == 403
    assert Enrollment.objects.get().state == "waiting"
    assert operator.get(f"{OPT_OUTS}person/").status_code == 200
    act(operator, "cancel", [enrollment], followups_confirmed="1")
    assert Enrollment.objects.get().state == "cancelled"
    assert LogEntry.objects.filter(object_id=str(enrollment.pk)).exists()
