"""Everything a person does is on the record: who, what, to which row."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django.urls import reverse

from bridge import roles
from bridge.admin.audit_record import RecordMiddleware
from bridge.models import WebhookEvent
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.bridge.admin.test_roles import press


def lines():
    return list(LogEntry.objects.order_by("id"))


def test_an_action_on_a_list_is_on_the_record_of_every_row(full):
    press(client_of(roles.SELLER), Lead, "pause_agent", full)

    (line,) = lines()
    assert (line.user.username.partition("-")[0], line.object_id) == ("seller", str(full.pk))
    assert line.change_message == "Pause the agent"


def test_a_button_of_a_page_is_on_the_record_of_its_row(full):
    event = WebhookEvent.objects.get()
    client_of(roles.SELLER).post(reverse("admin:bridge_webhookevent_process_this_again", args=[event.pk]))

    (line,) = lines()
    assert (line.object_id, line.change_message) == (str(event.pk), "Process again")


def test_looking_leaves_no_line(full):
    client_of(roles.SELLER).get(reverse("admin:leads_lead_changelist"))
    assert lines() == []


def test_an_action_that_was_refused_leaves_no_line(full):
    press(client_of(roles.READER), Lead, "pause_agent", full)
    assert [line.change_message for line in lines() if "Pause" in line.change_message] == []


@pytest.mark.parametrize(
    ("answer", "noted"),
    [
        (HttpResponseRedirect("/admin/"), True),
        (HttpResponse(status=204), True),
        (HttpResponse("a file", headers={"Content-Disposition": "attachment; filename=leads.csv"}), True),
        (HttpResponse("the form again"), False),
        (HttpResponse(status=403), False),
    ],
    ids=["redirect", "nothing to show", "file", "form again", "refused"],
)
def test_what_a_page_forgets_to_note_is_noted_by_its_address(admin_user, answer, noted):
    request = RequestFactory().post("/admin/some/button/")
    request.user = admin_user

    RecordMiddleware(lambda request: answer)(request)

    assert [line.change_message for line in lines()] == (["POST /admin/some/button/"] if noted else [])


def test_a_row_changed_by_a_form_has_one_line_not_two(full, account):
    boss = client_of(roles.ADMINISTRATOR)
    boss.post(reverse("admin:bridge_apikey_add"), {"name": "agent"})
    assert len(lines()) == 1


def test_an_admin_reads_the_record_and_a_manager_does_not(full):
    press(client_of(roles.SELLER), Lead, "pause_agent", full)

    page = client_of(roles.ADMINISTRATOR).get(reverse("admin:admin_logentry_changelist"))
    assert "Pause the agent" in page.content.decode()
    assert client_of(roles.MANAGER).get(reverse("admin:admin_logentry_changelist")).status_code == 403


@pytest.mark.parametrize("name", ["rules_what_if", "rules_parts", "rules_timeline"])
def test_looking_ahead_leaves_no_line_although_a_form_travels_with_it(full, name):
    pipeline = full.pipeline_id
    address = reverse(f"admin:{name}", args=[pipeline])
    client_of(roles.MANAGER).post(address, {}, headers={"hx-request": "true"})

    assert lines() == []
