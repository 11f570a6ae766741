"""Whatever stands where the id of a row belongs, in an address or in a form, is no fault of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver
from django.utils import timezone

from bridge.admin.paging import NEWER, OLDER
from bridge.models import SavedView
from leads.models import Event, Lead, Pipeline, UnmappedConversationStage

NO_IDS = ["x", "9" * 30, "_00", "%7B%7D"]
ID = re.compile(r"<(?:path:object_id|int:pk|id)>|\(\[\^/\]\+\)")
LISTS = [model for model in admin.site._registry if model._meta.app_label != "axes"]


def addresses() -> Iterator[str]:
    """Yield the addresses of all pages about one row, with `{}` for its id."""
    for url in admin.site.urls[0]:
        if not isinstance(url, URLResolver):
            continue
        for page in url.url_patterns:
            assert isinstance(page, URLPattern)
            shown = ID.sub("{}", f"/admin/{url.pattern}{page.pattern}")
            if "{}" in shown:
                yield re.sub(r"<[^>]+>", "x", shown).replace("^", "").replace("$", "")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_page_about_what_can_be_no_row_is_not_there(staff: Client, pipeline: object, method: str) -> None:
    staff.raise_request_exception = False
    answered = {}
    for address in sorted(set(addresses())):
        for text in NO_IDS:
            # What a database does not take would end the test's transaction.
            with transaction.atomic():
                asked = address.format(*[text] * address.count("{}"))
                answered[asked] = getattr(staff, method)(asked).status_code
                transaction.set_rollback(True)
    assert len(answered) > 400
    assert {asked: code for asked, code in answered.items() if code >= 500} == {}


@pytest.mark.parametrize("text", ["x", "\0", "", "{}"])
def test_an_action_on_what_can_be_no_row_does_nothing(staff: Client, full: Lead, text: str) -> None:
    staff.raise_request_exception = False
    answered = {}
    for model in LISTS:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        page = staff.get(path)
        choices = page.context and getattr(page.context.get("action_form"), "fields", {}).get("action")
        for name, _ in choices.choices if choices else ():
            if not name:
                continue
            with transaction.atomic():
                form = {"action": name, "index": "0", "_selected_action": text}
                answered[path, name] = staff.post(path, form).status_code
                transaction.set_rollback(True)
    assert len(answered) > 5
    assert {asked: code for asked, code in answered.items() if code >= 500} == {}


def test_a_version_that_is_none_is_not_there(staff: Client, pipeline: Pipeline) -> None:
    assert staff.get(f"/admin/leads/pipeline/{pipeline.pk}/history/x/").status_code == 404


def test_the_history_of_a_table_that_keeps_none_opens(staff: Client, pipeline: object) -> None:
    now = timezone.now()
    row = UnmappedConversationStage.objects.create(
        pipeline=pipeline, text="nunca vista", first_seen_at=now, last_seen_at=now
    )
    assert staff.get(f"/admin/leads/unmappedconversationstage/{row.pk}/history/").status_code == 200


ENDS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "x"]


@pytest.mark.parametrize("moment", ENDS)
def test_a_page_that_begins_where_no_time_is_begins_at_the_newest(staff: Client, full: Lead, moment: str) -> None:
    staff.raise_request_exception = False
    pk = "00000000-0000-0000-0000-000000000000"
    lead = f"/admin/leads/lead/{full.pk}/change/"
    asked = [(lead, {"before": moment}), (lead, {"said": f"{moment}~{pk}"})]
    for path, name, row in product(("/admin/leads/lead/", "/admin/leads/event/"), (OLDER, NEWER), ("1", "x", pk)):
        asked.append((path, {name: f"{moment}~{row}"}))
    assert {path: code for path, query in asked if (code := staff.get(path, query).status_code) != 200} == {}
    now = "2026-11-22T13:00:00Z"
    assert staff.get("/admin/leads/event/", {OLDER: f"{now}~x"}).status_code == 200


NO_LEAD_OR_ACCOUNT = [
    {},
    {"lead": "x", "account": "x"},
    {"lead": "\0", "account": "9" * 30},
    {"lead": "-1", "account": "-1"},
]


@pytest.mark.parametrize("posted", NO_LEAD_OR_ACCOUNT)
@pytest.mark.parametrize("do", ["resume-agent", "resume-account", "did-not-ask", "opt-out"])
def test_a_button_of_the_overview_about_what_can_be_no_row_is_not_there(staff: Client, do: str, posted: Any) -> None:
    assert staff.post(f"/admin/overview/{do}/", posted).status_code == 404


def test_nothing_that_is_typed_is_stored_with_a_sign_that_a_database_refuses(staff: Client, full: Lead) -> None:
    staff.post("/admin/leads/lead/views/save/", {"name": "Quentes\0", "query": "stage=new\0"})
    staff.post(f"/admin/leads/lead/{full.pk}/do/pause/", {"reason": "liga\0da"})

    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Quentes", "stage=new")
    assert Event.objects.filter(kind=Event.Kind.HANDOFF).latest("at").reason == "ligada"


def test_an_address_that_only_leads_to_another_puts_nothing_on_the_record(staff: Client, full: Lead) -> None:
    before = LogEntry.objects.count()

    assert staff.post(f"/admin/leads/lead/{full.pk}/").status_code == 302
    assert LogEntry.objects.count() == before
