"""A lead that cannot be taken in is told to staff, costs no other, and is read again until it can be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import troubles
from bridge.doctor import examine
from bridge.inbound import leads_begun_in_kommo, people_on_cards
from bridge.kommo.replies import LeadReply
from bridge.kommo.reply_values import ReplyShapeError
from bridge.models import Account, CallSlot, Card, Trouble, UnreadLead, WebhookEvent
from leads.models import Lead
from tests.conftest import MARIA, lead_of
from tests.heard import HANDOFF, carded, hear, hook

PLACE, AFTER_SALES, INSTALLING = 11672895, 11690011, 89820109
ANA, BIA = "+5581977770000", "+5581966660000"


def messages() -> list[str]:
    return [finding.message for finding in examine(timezone.now(), ask_kommo=False) if finding.code == "not-taken-in"]


@pytest.fixture(autouse=True)
def _no_odd_row_but_those_made_here(account, kommo):
    kommo.post("options", {"odd_rows": False})


@pytest.fixture
def later(account, time_machine):
    """Return a poll after the longest wait: nothing has changed in Kommo since, so no list of changes has the lead."""

    def poll() -> None:
        time_machine.move_to(timezone.now() + timedelta(minutes=61))
        Account.objects.update(polled_until=timezone.now())
        tasks.poll(account.pk)

    return poll


@pytest.fixture
def unreadable(monkeypatch):
    """Let leads of these ids be of a shape nobody can read."""
    ids: set[int] = set()
    read = LeadReply._read.__func__

    def maybe(cls, data, zone):
        if data["id"] in ids:
            raise ReplyShapeError("no number in “price”")
        return read(cls, data, zone)

    monkeypatch.setattr(LeadReply, "_read", classmethod(maybe))
    return ids


@pytest.fixture
def cannot_be_stored(monkeypatch):
    """Let leads of these ids fail while they are taken in."""
    ids: set[int] = set()
    numbers_of = people_on_cards.numbers_of

    def maybe(reply, *more):
        if reply.id in ids:
            raise KeyError("odd")
        return numbers_of(reply, *more)

    monkeypatch.setattr(leads_begun_in_kommo.people_on_cards, "numbers_of", maybe)
    return ids


ROADS = {
    "first comparison": lambda account, lead_id: tasks.compare_first(account.pk),
    "poll": lambda account, lead_id: tasks.poll(account.pk),
    "webhook": lambda account, lead_id: hear(account, hook(lead_id, "add", pipeline_id=PLACE)),
}


@pytest.mark.parametrize("why", ["unreadable", "cannot_be_stored"])
@pytest.mark.parametrize("road", ROADS)
def test_it_is_told_by_every_road_and_taken_in_once_it_can_be(request, account, kommo, later, road, why):
    ids = request.getfixturevalue(why)
    odd, other = (kommo.post("leads", {"name": "Ana", "phone": phone})["id"] for phone in (ANA, BIA))
    ids.add(odd)
    if road == "first comparison":
        Account.objects.update(compared_at=None)
    ROADS[road](account, odd)
    hear(account, hook(other, "add", pipeline_id=PLACE))
    assert list(Card.objects.values_list("kommo_lead_id", flat=True)) == [other]
    [message] = messages()
    assert str(odd) in message
    assert ("price" in message) if why == "unreadable" else ("KeyError" in message)

    later()
    row = UnreadLead.objects.get()
    assert (row.kommo_lead_id, row.tries) == (odd, 2)
    assert row.next_at > timezone.now() + timedelta(minutes=9)

    ids.clear()
    later()
    assert set(Card.objects.values_list("kommo_lead_id", flat=True)) == {odd, other}
    assert messages() == []
    assert not kommo.writes()


def test_one_that_is_deleted_is_told_no_more(account, kommo, later, unreadable):
    odd = kommo.post("leads", {"name": "Ana", "phone": ANA})["id"]
    unreadable.add(odd)
    tasks.poll(account.pk)
    assert messages()
    kommo.post(f"leads/{odd}/delete")
    later()
    assert messages() == []


def test_one_of_a_pipeline_that_is_none_of_ours_is_nobodys_trouble(account, kommo, unreadable):
    place = {"pipeline_id": AFTER_SALES, "status_id": INSTALLING}
    unreadable.add(kommo.post("leads", {"name": "Ana", "phone": ANA, **place})["id"])
    tasks.poll(account.pk)
    assert messages() == []


def test_many_are_read_again_by_one_call_and_a_few_are_named(account, kommo, later, unreadable):
    made = [kommo.post("leads", {"name": f"Ana {number}"})["id"] for number in range(30)]
    unreadable.update(made)
    tasks.poll(account.pk)
    [message] = messages()
    assert message.startswith("30 leads")
    assert sum(str(lead_id) in message for lead_id in made) == 5

    before = len(kommo.answered())
    later()
    [again] = [call for call in kommo.answered()[before:] if call["lead_ids"]]
    assert set(again["lead_ids"]) == set(made)


REFUSALS = ("302", "401", "402", "403", "404", "405")


def refuse_contacts(kommo, answer):
    kommo.fault(answer, path="/api/v4/contacts", method="GET", location="https://www.kommo.com/")


def let_contacts_be_read(kommo, later):
    kommo.delete("faults")
    Trouble.objects.update(next_at=timezone.now())
    later()


@pytest.mark.parametrize("answer", REFUSALS)
def test_refused_contacts_hold_up_only_the_leads_that_need_them(account, pipeline, kommo, later, answer):
    known = carded(account, pipeline)
    kommo.post(f"leads/{known}/move", {"status_id": HANDOFF})
    stranger = kommo.post("leads", {"name": "Ana", "phone": ANA})["id"]
    refuse_contacts(kommo, answer)

    hear(account, hook(stranger, "add", pipeline_id=PLACE), hook(known, status_id=HANDOFF, pipeline_id=PLACE))

    assert lead_of().stage.key == "human_handoff"
    assert not WebhookEvent.objects.exclude(state=WebhookEvent.State.PROCESSED).exists()
    assert not Lead.objects.filter(phone=ANA).exists()
    assert list(Trouble.objects.values_list("subject", "refused")) == [("contacts", True)]
    [message] = messages()
    assert str(stranger) in message
    # It rests: the next one who needs it costs no call that is refused again.
    calls = len(kommo.journal())
    hear(account, hook(stranger, "update", pipeline_id=PLACE, name="Ana Maria"))
    assert not [call for call in kommo.journal()[calls:] if call["fault"]]

    let_contacts_be_read(kommo, later)

    assert Lead.objects.get(phone=ANA).card.kommo_lead_id == stranger
    assert (messages(), Trouble.objects.exists()) == ([], False)


@pytest.mark.parametrize("answer", REFUSALS)
def test_numbers_that_changed_while_contacts_were_refused_are_learnt_afterwards(
    account, pipeline, kommo, later, answer
):
    carded(account, pipeline)
    contact = lead_of().card.kommo_contact_id
    both = [{"field_code": "PHONE", "values": [{"value": MARIA}, {"value": ANA}]}]
    kommo.post(f"contacts/{contact}/edit", {"custom_fields_values": both})
    refuse_contacts(kommo, answer)

    hear(account, f"contacts[update][0][id]={contact}")

    assert not WebhookEvent.objects.exclude(state=WebhookEvent.State.PROCESSED).exists()
    later()
    assert not lead_of().further_addresses.exists()

    let_contacts_be_read(kommo, later)
    assert lead_of().further_addresses.count() == 1
    assert not UnreadLead.objects.exists()


FAILURES = ("429", "500", "html_500", "504", "drop_before", "drop_after", "400", "422", "invalid_json")


def hear_until_quiet(account, time_machine, *bodies):
    """Let webhooks arrive, and the worker's clock ask for the inbox as often as a long failure lets it."""
    hear(account, *bodies)
    for _ in range(troubles.PATIENCE):
        time_machine.move_to(timezone.now() + timedelta(minutes=1))
        # What Kommo asked us to wait is over by the database's clock too, which nobody moves.
        CallSlot.objects.all().delete()
        tasks.read_inbox(account.pk)


@pytest.mark.parametrize("failure", FAILURES)
def test_contacts_that_keep_failing_cost_only_the_leads_that_need_them(
    account, pipeline, kommo, later, time_machine, failure
):
    known = carded(account, pipeline)
    kommo.post(f"leads/{known}/move", {"status_id": HANDOFF})
    stranger = kommo.post("leads", {"name": "Ana", "phone": ANA})["id"]
    kommo.fault(failure, path="/api/v4/contacts", method="GET", retry_after=1)

    hear_until_quiet(
        account,
        time_machine,
        hook(stranger, "add", pipeline_id=PLACE),
        hook(known, status_id=HANDOFF, pipeline_id=PLACE),
    )

    assert lead_of().stage.key == "human_handoff"
    assert not WebhookEvent.objects.exclude(state=WebhookEvent.State.PROCESSED).exists()
    assert list(Trouble.objects.values_list("subject", "refused")) == [("contacts", False)]
    assert str(stranger) in messages()[0]

    CallSlot.objects.all().delete()
    let_contacts_be_read(kommo, later)
    assert Lead.objects.get(phone=ANA).card.kommo_lead_id == stranger
    assert (messages(), Trouble.objects.exists()) == ([], False)


def test_contacts_that_fail_once_cost_nobody_anything_but_the_next_try(account, kommo, time_machine):
    stranger = kommo.post("leads", {"name": "Ana", "phone": ANA})["id"]
    kommo.fault("500", path="/api/v4/contacts", method="GET", count=1)
    hear_until_quiet(account, time_machine, hook(stranger, "add", pipeline_id=PLACE))
    assert Lead.objects.get(phone=ANA).card.kommo_lead_id == stranger
    assert not UnreadLead.objects.exists()


@pytest.mark.parametrize("answer", (*REFUSALS, *FAILURES))
def test_a_deleted_lead_is_believed_though_nobody_may_ask_where_it_went(account, pipeline, kommo, answer):
    gone = carded(account, pipeline)
    kommo.post(f"leads/{gone}/delete")
    kommo.fault(answer, path="/api/v4/contacts", method="GET", retry_after=1, location="https://www.kommo.com/")
    hear(account, hook(gone, "delete"))
    assert lead_of().card.state == Card.State.GONE
    assert not WebhookEvent.objects.exclude(state=WebhookEvent.State.PROCESSED).exists()
