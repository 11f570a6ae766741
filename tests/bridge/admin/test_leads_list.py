"""The list of leads as a seller works with it: chips, columns, orders, pages, and lists saved under a name."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from bridge import roles
from bridge.models import Card, SavedView
from bridge.models.saved_view import MOST_OF_ONE_PERSON
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import record

LEADS = "/admin/leads/lead/"


def shown(client, **asked):
    """Return the names that the list shows, in its order."""
    page = client.get(LEADS, asked).content.decode()
    return re.findall(r'kb-cell-name">([^<]+)<', page)


def many(pipeline, count, **columns):
    stage = columns.pop("stage", None) or pipeline.stages.get(key="new")
    now = timezone.now()
    Lead.objects.bulk_create(
        Lead(
            pipeline=pipeline,
            stage=stage,
            name=f"{stage.key} {number:03}",
            phone_key=f"+55819{stage.pk:03}{number:05}",
            stage_set_at=now,
            created_at=now - timedelta(hours=number),
            updated_at=now - timedelta(minutes=number),
            bill_value=None if number % 3 == 0 else 100 * (number % 7),
            **columns,
        )
        for number in range(count)
    )


def walked(client, **asked):
    """Return the names of all pages of a list, in order, and check that one may go back the same way."""
    pages, address = [], f"{LEADS}?{urlencode(asked)}"
    while True:
        page = client.get(address).content.decode()
        pages.append(re.findall(r'kb-cell-name">([^<]+)<', page))
        older = re.search(r'href="([^"]+)" rel="next"', page)
        if not older:
            break
        address = LEADS + html.unescape(older[1])
    back = re.search(r'href="([^"]+)" rel="prev"', page)
    if len(pages) > 1:
        assert back
        before = client.get(LEADS + html.unescape(back[1])).content.decode()
        assert re.findall(r'kb-cell-name">([^<]+)<', before) == pages[-2]
    return [name for page in pages for name in page]


# --- Columns


def test_a_row_says_what_a_seller_wants_to_know(staff, pipeline, account):
    account.catalogue.users = [{"id": 7, "name": "Ana Ribeiro", "email": ""}]
    account.catalogue.save()
    record(pipeline, name="Rita", bill_value=1350, message=Message(Direction.INBOUND, text="Quanto custa?"))
    Lead.objects.update(kommo_responsible_id=7)

    page = staff.get(LEADS, headers={"accept-language": "pt-br"}).content.decode()

    for words in ("Rita", "R$\xa01.350", "Quanto custa?", "agora", "Ana Ribeiro", "NOVO LEAD"):
        assert words in page


def test_a_row_says_of_card_and_agent_only_what_is_not_well(staff, pipeline, account):
    record(pipeline, name="Rita")
    Card.objects.update(state=Card.State.IN_SYNC, due_at=None)
    assert "in sync" not in _rows(staff)

    Card.objects.update(state=Card.State.DEAD)
    assert "refused by Kommo" in _rows(staff)


def _rows(client):
    return client.get(LEADS).content.decode().partition('id="result_list"')[2].partition("</table>")[0]


def test_a_page_takes_as_many_queries_for_fifty_leads_as_for_five(
    staff, pipeline, account, django_assert_max_num_queries
):
    many(pipeline, 5)
    with django_assert_max_num_queries(40) as few:
        staff.get(LEADS)
    many(pipeline, 60, stage=pipeline.stages.get(key="qualified"))
    with django_assert_max_num_queries(len(few)):
        staff.get(LEADS)


# --- Chips, orders and pages


def test_every_chip_opens_a_list_and_lets_go_of_it_again(staff, pipeline, account):
    record(pipeline, name="Rita")
    page = staff.get(LEADS).content.decode()
    chips = re.findall(r'href="(\?shelf=\w+)"', page)
    assert len(chips) == 8
    for chip in chips:
        chosen = staff.get(LEADS + chip).content.decode()
        assert re.search(r'class="kb-chip" href="\?" aria-current="true"', chosen), chip


@pytest.mark.parametrize(
    "asked", [{"shelf": "nonsense"}, {"of": "x"}, {"of": "9" * 30}, {"by": "nonsense"}, {"shelf": ""}]
)
def test_what_nobody_offers_shows_the_whole_list(staff, pipeline, asked):
    record(pipeline, name="Rita")
    answer = staff.get(LEADS, asked, follow=True)
    assert "Rita" in answer.content.decode()


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("", lambda lead: lead.updated_at),
        ("new", lambda lead: lead.created_at),
        ("worth", lambda lead: lead.bill_value),
    ],
)
def test_pages_of_each_order_hold_every_lead_once(staff, pipeline, by, key):
    for stage in ("new", "qualified", "won"):
        many(pipeline, 45, stage=pipeline.stages.get(key=stage))
    many(pipeline, 5, stage=pipeline.stages.get(key="lost"), other_stage_name="")
    Lead.objects.filter(name__startswith="lost").update(stage=None, other_stage_name="Elsewhere")

    found = walked(staff, **({"by": by} if by else {}))

    rows = [lead for lead in Lead.objects.all() if by != "worth" or lead.bill_value is not None]
    rows.sort(key=lambda lead: (key(lead), lead.pk), reverse=True)
    assert found == [lead.name for lead in rows]


def test_pages_of_what_is_given_up_hold_every_such_lead_once(staff, pipeline):
    for stage in ("lost", "not_interested", "disqualified", "new"):
        many(pipeline, 40, stage=pipeline.stages.get(key=stage))
    for by in ({}, {"by": "worth"}):
        found = walked(staff, shelf="lost", **by)
        given_up = Lead.objects.exclude(stage__key="new")
        assert sorted(found) == sorted(lead.name for lead in given_up if not by or lead.bill_value is not None)


def test_a_list_of_one_stage_stays_narrow_when_it_is_sorted_by_value(staff, pipeline):
    many(pipeline, 10)
    many(pipeline, 10, stage=pipeline.stages.get(key="won"))
    won = str(pipeline.stages.get(key="won").pk)
    assert {name[:3] for name in shown(staff, by="worth", stage__id__exact=won)} == {"won"}


@pytest.mark.parametrize("key", ["worth~", "x~y", "NaN~00000000-0000-0000-0000-000000000000", "1e9~zz", "-1~"])
def test_a_page_that_begins_nowhere_is_the_first(staff, pipeline, key):
    many(pipeline, 3)
    assert len(shown(staff, by="worth", older=key)) == 2


def test_somebodys_leads_and_ones_own(pipeline, account):
    account.catalogue.users = [{"id": 7, "name": "Ana", "email": "ana@example.com"}, {"id": 8, "name": "Bia"}]
    account.catalogue.save()
    for number, user_id in enumerate((7, 8, None)):
        lead = record(pipeline, f"+558199000000{number}", name=f"Lead {user_id}").lead
        Lead.objects.filter(pk=lead.pk).update(kommo_responsible_id=user_id)
    seller = client_of(roles.SELLER)
    assert shown(seller, of="8") == ["Lead 8"]
    assert shown(seller, of="me") == []

    User.objects.update(email="Ana@example.com")
    assert shown(seller, of="me") == ["Lead 7"]
    assert "My leads" in seller.get(LEADS).content.decode()


def test_a_list_that_is_taken_out_is_narrowed_as_it_is_seen(pipeline, account):
    many(pipeline, 3)
    many(pipeline, 2, stage=pipeline.stages.get(key="lost"))
    answer = client_of(roles.MANAGER).get(LEADS, {"shelf": "lost", "_export": "csv"})
    csv = b"".join(answer.streaming_content).decode()
    assert csv.count("\n") == 3
    assert "new 000" not in csv


# --- Saved views


def save(client, name="Mornings", query="shelf=waiting&by=new", **more):
    return client.post(f"{LEADS}views/save/", {"name": name, "query": query, **more}, follow=True).content.decode()


def views_of(client, **asked):
    page = client.get(LEADS, asked).content.decode()
    return re.findall(r'class="kb-chip kb-view" href="[^"]+"[^>]*>.*?</span>([^<]+)</a>', page)


@pytest.fixture
def seller(pipeline):
    return client_of(roles.SELLER)


def test_a_view_is_saved_seen_and_chosen(seller):
    page = save(seller)
    assert "Saved as “Mornings”." in html.unescape(page)
    assert views_of(seller) == ["Mornings"]
    assert SavedView.objects.get().query == "by=new&shelf=waiting"
    chosen = seller.get(LEADS, {"shelf": "waiting", "by": "new"}).content.decode()
    assert (
        'aria-current="true"><span class="material-symbols-outlined" aria-hidden="true">bookmark</span>Mornings'
        in chosen
    )
    # What is saved already need not be saved again, and can be changed.
    assert 'id="view-save"' not in chosen
    assert 'id="view-change"' in chosen


def test_only_what_is_shared_is_seen_by_others_and_only_its_owner_changes_it(seller, pipeline):
    other = client_of(roles.READER)
    save(seller)
    save(seller, name="Team", query="shelf=today", shared="1")

    assert views_of(other) == ["Team"]
    assert 'id="view-change"' not in other.get(LEADS, {"shelf": "today"}).content.decode()
    for view in SavedView.objects.all():
        for deed in ("change", "delete"):
            assert other.post(f"{LEADS}views/{view.pk}/{deed}/", {"name": "Mine"}).status_code == 404
    assert set(SavedView.objects.values_list("name", flat=True)) == {"Mornings", "Team"}


def test_a_view_is_renamed_and_shared_and_kept_again(seller):
    save(seller)
    view = SavedView.objects.get()
    seller.post(f"{LEADS}views/{view.pk}/change/", {"name": "Afternoons", "shared": "1"})
    view.refresh_from_db()
    assert (view.name, view.is_shared) == ("Afternoons", True)
    seller.post(f"{LEADS}views/{view.pk}/change/", {"name": "  "})
    view.refresh_from_db()
    assert (view.name, view.is_shared) == ("Afternoons", False)


def test_a_name_that_is_taken_is_not_given_twice(seller):
    save(seller)
    save(seller, name="Other", query="shelf=lost")
    other = SavedView.objects.get(name="Other")
    answer = seller.post(f"{LEADS}views/{other.pk}/change/", {"name": "Mornings"}, follow=True)
    assert "You have a view called “Mornings” already." in html.unescape(answer.content.decode())
    other.refresh_from_db()
    assert other.name == "Other"


def test_what_is_saved_again_under_its_name_is_the_new_list(seller):
    save(seller)
    save(seller, query="shelf=lost")
    assert SavedView.objects.get().query == "shelf=lost"


def test_a_deleted_view_is_brought_back(seller):
    save(seller, shared="1")
    view = SavedView.objects.get()
    page = seller.post(f"{LEADS}views/{view.pk}/delete/", follow=True).content.decode()
    assert not SavedView.objects.exists()
    what = html.unescape(re.search(r'name="what" value="([^"]+)"', page)[1])

    assert client_of(roles.SELLER).post(f"{LEADS}views/back/", {"what": what}).status_code == 403
    assert seller.post(f"{LEADS}views/back/", {"what": f"{what}x"}).status_code == 404
    seller.post(f"{LEADS}views/back/", {"what": what})
    back = SavedView.objects.get()
    assert (back.name, back.query, back.is_shared) == ("Mornings", "by=new&shelf=waiting", True)


def test_what_was_searched_for_is_no_part_of_a_view(seller):
    """A name or a phone that is saved would outlive the person's erasure."""
    save(seller, query="q=Maria+Souza&shelf=lost&older=2026-01-01~x")
    assert SavedView.objects.get().query == "shelf=lost"


def test_a_view_without_a_name_is_not_saved_and_there_is_an_end_to_them(seller):
    assert "Give it a name." in html.unescape(save(seller, name=" "))
    for number in range(MOST_OF_ONE_PERSON):
        save(seller, name=f"View {number}")
    assert "delete one first" in html.unescape(save(seller, name="One more"))
    assert SavedView.objects.count() == MOST_OF_ONE_PERSON


def test_views_are_for_whoever_sees_leads_and_are_not_followed_by_a_link(seller, pipeline):
    assert seller.get(f"{LEADS}views/save/").status_code == 405
    nobody = client_of(roles.READER)
    User.objects.get(groups__name=roles.READER).groups.clear()
    assert nobody.post(f"{LEADS}views/save/", {"name": "x", "query": "shelf=lost"}).status_code in (302, 403)
    assert not SavedView.objects.exists()


def test_what_is_done_with_views_is_on_the_record(seller):
    save(seller)
    assert [line.change_message for line in LogEntry.objects.all()] == ["Saved as “Mornings”."]
