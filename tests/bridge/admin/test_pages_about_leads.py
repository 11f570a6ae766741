"""Logs of tables that grow for ever: paged by key, found by their lead, and freed by the press of a button."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import chain

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge.models import AgentEvent, Card, Delivery, Drift, WebhookEvent, WebhookItem
from leads.models import Lead
from tests.conftest import drain, record
from tests.saying import saying

DELIVERIES = "/admin/bridge/delivery/"


def rows(client, path, **query):
    answer = client.get(path, query)
    assert answer.status_code == 200
    return answer.context["cl"]


@pytest.fixture
def many(account, pipeline):
    """A hundred and twenty deliveries of one lead."""
    lead = record(pipeline, name="Maria Souza", email="maria@example.com").lead
    drain(account)
    Delivery.objects.all().delete()
    card = Card.objects.get()
    now = timezone.now()
    Delivery.objects.bulk_create(
        Delivery(
            account=account, card=card, at=now - timedelta(seconds=number), operation="update", outcome="delivered"
        )
        for number in range(120)
    )
    return lead


def walk(client, path, link="older"):
    """Return the ids of every page, from the first one on."""
    pages, address = [], path
    while address:
        found = rows(client, address)
        pages.append([row.pk for row in found.result_list])
        address = path + getattr(found.paginator, link) if getattr(found.paginator, link) else ""
    return pages


def test_pages_follow_each_other_without_gap_or_repetition(staff, many):
    pages = walk(staff, DELIVERIES)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert [*chain(*pages)] == list(Delivery.objects.order_by("-id").values_list("pk", flat=True))


def test_one_comes_back_by_the_same_pages(staff, many):
    pages = walk(staff, DELIVERIES)
    last = rows(staff, f"{DELIVERIES}?older={pages[1][-1]}")
    before = rows(staff, DELIVERIES + last.paginator.newer)
    assert [row.pk for row in before.result_list] == pages[1]
    assert not rows(staff, DELIVERIES + before.paginator.newer).paginator.newer


def test_rows_of_one_moment_are_told_apart(staff, account, pipeline):
    record(pipeline)
    card, now = Card.objects.get(), timezone.now()
    Drift.objects.bulk_create(Drift(card=card, subject=str(n), found_at=now, found_by="poll") for n in range(60))
    pages = walk(staff, "/admin/bridge/drift/")
    assert [len(page) for page in pages] == [50, 10]
    assert len(set(chain(*pages))) == 60


@pytest.mark.parametrize("key", ["", "x", "9" * 30, "2026-13-45~1", "~"])
def test_what_is_no_key_begins_at_the_newest(staff, many, key):
    assert len(rows(staff, DELIVERIES, older=key).result_list) == 50
    assert len(rows(staff, "/admin/leads/lead/", older=key).result_list) == 1


def test_no_list_counts_its_table(staff, many):
    with CaptureQueriesContext(connection) as queries:
        rows(staff, DELIVERIES)
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]


def test_a_filter_stays_on_while_paging_and_is_left_by_a_new_one(staff, many):
    shown = rows(staff, DELIVERIES, outcome__exact="delivered")
    assert "outcome__exact=delivered" in shown.paginator.older
    assert "older" not in rows(staff, DELIVERIES + shown.paginator.older).get_query_string({"operation": "note"})


@pytest.mark.parametrize("text", ["maria sou", "MARIA@example.com", "(81) 99999-0000", "99990000"])
def test_a_leads_rows_are_found_however_it_is_called(staff, many, pipeline, account, text):
    Lead.objects.filter(pk=many.pk).update(phone="+5581999990000")
    record(pipeline, "+5511988887777", name="João")
    for path in (DELIVERIES, "/admin/leads/lead/", "/admin/bridge/card/", "/admin/leads/event/"):
        found = rows(staff, path, q=text).result_list
        names = {getattr(row, "name", None) or (getattr(row, "lead", None) or row.card.lead).name for row in found}
        assert names == {"Maria Souza"}, path


def test_a_lead_is_found_by_its_number_in_kommo(staff, many):
    number = Card.objects.get().kommo_lead_id
    assert [row.pk for row in rows(staff, "/admin/leads/lead/", q=str(number)).result_list] == [many.pk]
    assert not rows(staff, DELIVERIES, q="nobody of this name").result_list


def test_leads_who_wait_for_a_person_are_listed(staff, many):
    assert not rows(staff, "/admin/leads/lead/", handoff="yes").result_list
    Lead.objects.update(handoff_source="api", handoff_since=timezone.now())
    assert len(rows(staff, "/admin/leads/lead/", handoff="yes").result_list) == 1


def test_a_webhook_shows_its_body_what_it_tells_and_what_became_of_it(staff, account):
    event = WebhookEvent.objects.create(
        account=account, body=b"leads[add][0][id]=7&leads[add][0][name]=<b>", received_at=timezone.now()
    )
    address = reverse("admin:bridge_webhookevent_change", args=[event.pk])
    page = staff.get(address).content.decode()
    assert "leads[add][0][id]=7" in page
    assert "lead add 7" in page
    assert "=<b>" not in page

    WebhookItem.objects.create(event=event, entity="lead", action="add", kommo_id=7, result="echo")
    assert "echo of our own write" in staff.get(address).content.decode()


def test_a_webhook_is_read_again(staff, account):
    event = WebhookEvent.objects.create(account=account, body=b"?", received_at=timezone.now(), state="failed")
    staff.post(reverse("admin:bridge_webhookevent_process_this_again", args=[event.pk]))
    event.refresh_from_db()
    assert event.state == WebhookEvent.State.RECEIVED


def test_the_agent_is_told_again_under_the_same_id(staff, many):
    now = timezone.now()
    event = AgentEvent.objects.create(
        lead=many, type="agent.paused", data={"reason": "x"}, created_at=now, due_at=now, state="dead"
    )
    staff.post(reverse("admin:bridge_agentevent_tell_this_again", args=[event.pk]))
    assert list(AgentEvent.objects.values_list("pk", "state")) == [(event.pk, "due")]


def test_each_try_to_tell_the_agent_is_shown_newest_first(staff, many):
    now = timezone.now()
    tries = [
        {"at": now.isoformat(), "status": None, "error": "<b>refused</b>", "seconds": 0.01},
        {"at": now.isoformat(), "status": 200, "error": "", "seconds": 1.24},
    ]
    event = AgentEvent.objects.create(lead=many, type="agent.paused", created_at=now, due_at=now, tries=tries)
    page = staff.get(reverse("admin:bridge_agentevent_change", args=[event.pk])).content.decode()
    assert page.index("HTTP 200 · 1.2 s · taken") < page.index("HTTP – · 0.0 s · &lt;b&gt;refused")


def test_what_was_sent_is_shown_as_it_was_sent(staff, many):
    delivery = Delivery.objects.first()
    delivery.sent = {"name": "Maria <script>", "price": 1}
    delivery.save()
    page = staff.get(reverse("admin:bridge_delivery_change", args=[delivery.pk])).content.decode()
    assert "Maria &lt;script&gt;" in page


def test_cards_that_are_gone_are_made_anew_from_the_list(staff, many):
    Card.objects.update(state=Card.State.GONE)
    card = Card.objects.get()
    staff.post("/admin/bridge/card/", {"action": "recreate", "_selected_action": [card.pk]})
    card.refresh_from_db()
    assert (card.state, card.kommo_lead_id) == (Card.State.DUE, None)
    assert saying(many.events.filter(actor="staff"), "ada had the card made anew")


def test_cards_are_closed_from_the_list_and_the_timeline_says_by_whom(staff, many):
    card = Card.objects.get()
    staff.post("/admin/bridge/card/", {"action": "close", "_selected_action": [card.pk]})
    card.refresh_from_db()
    assert card.state == Card.State.CLOSED
    assert saying(many.events.filter(actor="staff"), "closed by ada")


def test_a_difference_is_decided_by_hand_with_who_did_it(staff, many):
    card = Card.objects.get()
    drift = Drift.objects.create(
        card=card, subject="name", ours="Maria Souza", theirs="Maria S.", found_at=timezone.now(), found_by="poll"
    )
    staff.post(reverse("admin:bridge_drift_take_this", args=[drift.pk]))

    drift.refresh_from_db()
    many.refresh_from_db()
    assert (drift.resolution, drift.resolved_by, many.name) == (Drift.Resolution.ADOPTED, "ada", "Maria S.")


def test_a_difference_that_cannot_be_decided_keeps_no_other_from_it(staff, many):
    card, now = Card.objects.get(), timezone.now()
    made = [
        Drift.objects.create(card=card, subject=subject, ours="1", theirs="2", found_at=now, found_by="poll")
        for subject in ("price", "name")
    ]
    data = {"action": "keep_ours", "_selected_action": [drift.pk for drift in made]}

    answer = staff.post("/admin/bridge/drift/", data, follow=True)

    assert "only reads this from Kommo" in answer.content.decode()
    assert "1 difference decided" in answer.content.decode()
    assert list(Drift.objects.order_by("pk").values_list("resolution", flat=True)) == ["open", "repaired"]


def test_each_row_of_a_card_is_reached_by_words(admin_client, many):
    """Within the link to its lead, the link to the row would be empty."""
    card = Card.objects.get()
    page = admin_client.get("/admin/bridge/card/").content.decode()
    assert re.search(rf'<a href="/admin/bridge/card/{card.pk}/change/[^>]*>\s*{card.kommo_lead_id}\s*</a>', page)
