"""The first comparison of an account: seen, resumable, at half the ceiling, and nothing is created before it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge import first_comparison_report, tasks
from bridge.accounts import account_state, connection
from bridge.api import representation
from bridge.cards import outbox
from bridge.cards.why_cards_wait import wait_of
from bridge.inbound import reconciliation
from bridge.kommo.throttle import Lane, LocalPace, Permit, Share
from bridge.models import Account, Card
from tests.conftest import MARIA, drain, due_calls, lead_of, record

pytestmark = pytest.mark.django_db


@pytest.fixture
def fresh(account):
    """A connected account that was never compared."""
    Account.objects.update(compared_at=None)
    account.refresh_from_db()
    return account


def seed(kommo, count, **more):
    return [
        kommo.post("leads", {"name": f"Lead {number}", "phone": f"+5581977{number:06d}", **more})
        for number in range(count)
    ]


def compare(account, monkeypatch, *, parts=None):
    """Compare as the worker does, until it is through or so many parts are done."""
    done = 0
    while tasks.compare_first(account.pk, longest=timedelta(0) if parts else tasks.LONGEST_COMPARING) is False:
        done += 1
        if parts and done == parts:
            return


def test_nothing_is_created_before_it_and_the_card_says_so_everywhere(fresh, pipeline, kommo):
    record(pipeline)
    drain(fresh)
    assert kommo.writes() == []
    card = Card.objects.select_related("account").get()
    reason = "the first comparison with Kommo is not through: nothing is created before"
    assert wait_of(card, now=timezone.now()).reason == reason
    waits = representation.lead_in_full(card.lead, timezone.now())["waiting"]
    assert waits == {"reason": reason, "until": None}
    assert outbox.held_back(fresh).count() == 1
    assert fresh.pk not in outbox.accounts_with_work(now=timezone.now())

    tasks.poll(fresh.pk, True)

    assert fresh.pk in outbox.accounts_with_work(now=timezone.now())
    drain(fresh)
    assert len(kommo.leads()) == 1


def test_who_writes_meanwhile_is_linked_to_their_card_and_gets_no_second_one(fresh, pipeline, kommo):
    kommo.post("leads", {"name": "Maria", "phone": MARIA})
    record(pipeline)
    drain(fresh)

    tasks.poll(fresh.pk, True)
    drain(fresh)

    assert len(kommo.leads()) == 1
    assert lead_of().card.kommo_lead_id == kommo.leads()[0]["id"]


def test_changes_of_known_cards_go_out_meanwhile(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    Account.objects.update(compared_at=None)
    record(pipeline, name="Maria Souza")
    drain(account)
    assert kommo.leads()[0]["name"] == "Maria Souza"


def test_an_installation_that_was_compared_before_waits_for_nothing(account, pipeline, kommo):
    assert account.compared_at is not None
    record(pipeline)
    drain(account)
    assert len(kommo.leads()) == 1


def test_it_goes_on_where_it_was_killed_and_does_nothing_twice(fresh, pipeline, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 5)
    seed(kommo, 23)
    kills, save = [], reconciliation.Comparison._keep_place

    def killed(self, *arguments):
        # After the page was taken in, before its place is kept.
        if len(kills) < 5 and self.report.read:
            kills.append(1)
            raise KeyboardInterrupt
        save(self, *arguments)

    monkeypatch.setattr(reconciliation.Comparison, "_keep_place", killed)
    runs = 0
    while Account.objects.filter(compared_at=None).exists():
        runs += 1
        try:
            tasks.compare_first(fresh.pk, longest=timedelta(0) if runs % 2 else tasks.LONGEST_COMPARING)
        except KeyboardInterrupt:
            continue

    assert len(kills) == 5
    assert Card.objects.count() == 23
    assert len({card.kommo_lead_id for card in Card.objects.all()}) == 23
    fresh.refresh_from_db()
    # Leads of the second at the edge of a page are read again, and nothing is taken in twice for it.
    assert fresh.first_comparison["read"] >= 23
    assert fresh.first_comparison["taken_in"] <= 23
    assert kommo.writes() == []


def test_a_lead_deleted_while_pages_are_read_hides_no_other(fresh, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 4)
    made = seed(kommo, 12)
    ids = [created.get("id") or created["lead"]["id"] for created in made]
    for place, kommo_id in enumerate(ids):
        kommo.post(f"leads/{kommo_id}/edit", {"created_at": 1_700_000_000 + place})
    listed = reconciliation.KommoClient.list_leads
    calls = []

    def deleting(self, **arguments):
        if len(calls) == 1:
            # Of the page that was read already.
            kommo.post(f"leads/{ids[-1]}/delete")
        calls.append(arguments)
        return listed(self, **arguments)

    monkeypatch.setattr(reconciliation.KommoClient, "list_leads", deleting)
    tasks.compare_first(fresh.pk)
    assert calls[1]["created_until"] == 1_700_000_000 + 8 + 1
    assert set(ids) == set(Card.objects.values_list("kommo_lead_id", flat=True))


@pytest.mark.parametrize("oddity", [{"odd_rows": True}, {"ignored_filters": "created_at"}, {"endless_next": True}])
def test_whatever_is_odd_about_a_list_every_lead_of_it_is_read(fresh, kommo, monkeypatch, oddity):
    monkeypatch.setattr(reconciliation, "PAGE", 4)
    ids = [created.get("id") or created["lead"]["id"] for created in seed(kommo, 11)]
    for place, kommo_id in enumerate(ids):
        kommo.post(f"leads/{kommo_id}/edit", {"created_at": 1_700_000_000 + place})
    # One that another program has dated before all times.
    kommo.post(f"leads/{ids[9]}/edit", {"created_at": 1})
    kommo.post("options", oddity)
    compare(fresh, monkeypatch)
    assert set(ids) == set(Card.objects.values_list("kommo_lead_id", flat=True))


@pytest.mark.parametrize("seconds", [[0] * 9, [0, 0, 0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 2]])
def test_more_leads_of_one_second_than_a_page_holds_are_all_read_and_it_ends(fresh, kommo, monkeypatch, seconds):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    made = [created.get("id") or created["lead"]["id"] for created in seed(kommo, len(seconds))]
    for kommo_id, second in zip(made, seconds, strict=True):
        kommo.post(f"leads/{kommo_id}/edit", {"created_at": 1_700_000_000 + second})
    asked = []
    listed = reconciliation.KommoClient.list_leads

    def counting(self, **arguments):
        asked.append(arguments)
        assert len(asked) < 50
        return listed(self, **arguments)

    monkeypatch.setattr(reconciliation.KommoClient, "list_leads", counting)
    assert tasks.compare_first(fresh.pk)
    assert set(made) == set(Card.objects.values_list("kommo_lead_id", flat=True))
    fresh.refresh_from_db()
    assert fresh.first_comparison["read"] == len(made)


def test_where_kommo_ignores_the_filter_it_reads_page_after_page(fresh, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    made = [created.get("id") or created["lead"]["id"] for created in seed(kommo, 7)]
    for place, kommo_id in enumerate(made):
        kommo.post(f"leads/{kommo_id}/edit", {"created_at": 1_700_000_000 + 10 * place})
    asked = []
    listed = reconciliation.KommoClient.list_leads

    def ignoring(self, *, created_until=None, **arguments):
        asked.append(arguments)
        assert len(asked) < 50
        return listed(self, **arguments)

    monkeypatch.setattr(reconciliation.KommoClient, "list_leads", ignoring)
    assert tasks.compare_first(fresh.pk)
    assert set(made) == set(Card.objects.values_list("kommo_lead_id", flat=True))


def test_the_clock_asks_for_it_and_asks_again_until_it_is_through(fresh, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(tasks, "LONGEST_COMPARING", timedelta(0))
    seed(kommo, 3)
    Account.objects.update(polled_at=timezone.now())
    runs = 0
    while ("bridge.tasks.poll", (fresh.pk, True)) in due_calls():
        tasks.poll(fresh.pk, True)
        runs += 1
        monkeypatch.setattr(tasks, "LONGEST_COMPARING", timedelta(seconds=20 if runs > 2 else 0))
    assert Card.objects.count() == 3


def test_half_the_ceiling_is_left_to_others():
    moments, now = [], [0.0]

    class Whole(LocalPace):
        def acquire(self, lane: Lane, *, ahead: float = 0.0) -> Permit:
            moments.append(now[0])
            return Permit()

    def sleep(seconds):
        now[0] += seconds

    pace = Share(Whole(7), 3.5, clock=lambda: now[0], sleep=sleep)
    for _ in range(8):
        pace.release(pace.acquire(Lane.BULK))
    assert moments[-1] - moments[0] == pytest.approx(7 / 3.5)


def test_the_first_comparison_is_opened_with_half_of_what_the_account_may_use(fresh, kommo, monkeypatch):
    shares = []
    opened = connection.open_account
    monkeypatch.setattr(
        connection, "open_account", lambda pk, *, share=1.0: (shares.append(share), opened(pk, share=share))[1]
    )
    tasks.poll(fresh.pk, True)
    tasks.poll(fresh.pk, True)
    assert shares == [0.5, 1.0]


# --- What is told of it


def test_waiting_for_it_ends_with_what_was_found_and_that_nothing_would_be_written(fresh, kommo, capsys):
    seed(kommo, 3)
    kommo.post("leads", {"name": "No contact"})
    kommo.post("leads", {"name": "Lead 1 again", "phone": "+5581977000001"})

    call_command("kommo_connect", "--wait")

    output = capsys.readouterr().out
    assert "comparing: 5 leads read" in output
    assert "4 cards taken over, of 5 leads read" in output
    assert "without a contact: 1" in output
    assert "probable duplicates: 1" in output
    assert "stages bound to nothing: none" in output
    assert "what the bridge would write now: nothing" in output
    assert kommo.writes() == []

    call_command("kommo_connect", "--wait")
    assert "4 cards taken over" in capsys.readouterr().out


def test_waiting_ends_when_kommo_refuses(fresh, kommo):
    kommo.fault("402", path="/api/v4/leads", method="GET")
    with pytest.raises(CommandError, match=r"paused|402"):
        call_command("kommo_connect", "--wait")


def test_what_waits_is_told_as_what_would_be_written(fresh, pipeline, kommo):
    record(pipeline, name="Maria")
    found = first_comparison_report.take_stock(fresh)
    assert (found.would_create, found.would_change) == (1, 0)
    assert "what the bridge would write now: 1 new cards" in "\n".join(first_comparison_report.lines(found))


def test_stages_are_told_by_kommos_names_with_who_is_in_human_care(fresh, pipeline, kommo, capsys):
    care = pipeline.stages.get(key="human_handoff").kommo_status_id
    seed(kommo, 2, status_id=care)
    tasks.compare_first(fresh.pk)
    call_command("account")
    output = capsys.readouterr().out
    assert "first comparison: through" in output

    assert "2  Funil de Vendas / Atendimento Humano" in output
    # That the agent is silent for them is shown where taking in is tested.
    assert "in human care (the agent stays silent):" in output


def test_how_far_it_is_can_be_asked(fresh, pipeline, kommo, monkeypatch, capsys):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    seed(kommo, 5)
    record(pipeline)
    for _ in range(2):
        tasks.compare_first(fresh.pk, longest=timedelta(0))
    page = reconciliation.Comparison._compare_page_of_leads
    monkeypatch.setattr(
        reconciliation.Comparison, "_compare_page_of_leads", lambda self, at: {**page(self, at), "ended": False}
    )
    call_command("account")
    output = capsys.readouterr().out
    assert "first comparison: under way since" in output
    assert "1 new cards wait for it" in output


def test_a_shadow_holds_back_as_well_so_that_what_it_shows_is_true(fresh, pipeline, kommo):
    account_state.enter_shadow(fresh, now=timezone.now())
    kommo.post("leads", {"name": "Maria", "phone": MARIA})
    record(pipeline)
    drain(fresh)
    assert lead_of().card.state == Card.State.DUE
    tasks.poll(fresh.pk, True)
    drain(fresh)
    assert lead_of().card.kommo_lead_id is not None
    assert kommo.writes() == []
