"""Everything a person does is on the record: who, what, to which row."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from bridge import roles
from bridge.admin.audit_record import RecordMiddleware, is_about_people
from bridge.models import Account, WebhookEvent
from followups.models import Enrollment
from leads.models import Lead, Pipeline, ProbablySame
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


def pair_with(lead):
    now = timezone.now()
    known = dict.fromkeys(("stage_set_at", "created_at", "updated_at"), now)
    other = Lead.objects.create(pipeline=lead.pipeline, name="Zuzu", **known)
    return ProbablySame.objects.create(older=lead, younger=other, first_seen_at=now, last_seen_at=now)


@pytest.mark.parametrize("action", ["join", "keep_apart"])
def test_who_is_thought_to_be_whom_is_on_the_record_by_an_id(full, action):
    Lead.objects.filter(pk=full.pk).update(name="Ana")
    pair = pair_with(full)

    press(client_of(roles.SELLER), ProbablySame, action, pair)

    [line] = lines()
    assert line.object_id == str(pair.pk)
    assert "Ana" not in line.object_repr and "Zuzu" not in line.object_repr


@pytest.mark.parametrize("do", ["resume-agent", "opt-out", "did-not-ask"])
def test_a_button_of_the_overview_is_on_the_record_of_its_lead_and_names_nobody(full, do):
    Lead.objects.filter(pk=full.pk).update(name="Ana", stage=None)

    client_of(roles.SELLER).post(reverse("overview-act", args=[do]), {"lead": str(full.pk)})

    [line] = lines()
    assert line.object_id == str(full.pk)
    assert "Ana" not in line.object_repr + line.change_message


def test_every_table_that_hangs_on_people_is_named_by_ids(full):
    assert is_about_people(Lead) and is_about_people(ProbablySame) and is_about_people(Enrollment)
    assert not is_about_people(Pipeline) and not is_about_people(Account)
    hanging = [model for model in apps.get_models() if any(field.related_model is Lead for field in model._meta.fields)]
    assert [model for model in hanging if not is_about_people(model)] == []


def test_lines_of_before_name_nobody_either(admin_user):
    about = ContentType.objects.get_for_model(ProbablySame)
    written = {"user": admin_user, "action_flag": 2}
    pair = LogEntry.objects.create(content_type=about, object_id="7", object_repr="Ana / Zuzu", **written)
    line = LogEntry.objects.create(
        object_repr="overview", change_message="Ana continua recebendo mensagens.", **written
    )

    import_module("bridge.migrations.0049_the_record_names_nobody").forwards(apps, None)

    pair.refresh_from_db()
    line.refresh_from_db()
    assert (pair.object_repr, line.change_message) == ("probably the same 7", "… continua recebendo mensagens.")
