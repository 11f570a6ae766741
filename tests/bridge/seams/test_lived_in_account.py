"""Connecting to an account that is alive changes nothing in it; then each person has the card they had."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from bridge import tasks
from bridge.api import representation
from bridge.cards import outbox
from bridge.models import Account, Briefing, Card
from followups.models import Attempt
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead
from leads.phone import parse
from tests.conftest import amount, drain, record, rested
from tests.heard import hear, hook
from tests.lived_in import BILL, HANDOFF, LivedIn, live_in, value

# People who are reached by a card that may be talked to, and keep it.
REACHED = (
    "made by staff", "made by a form", "qualified", "our tags alone", "foreign tags", "an option nobody mapped",
    "an absurd number", "a link of staff", "three numbers", "an odd name", "not interested", "two contacts",
    "a phone in a field", "in human care", "in human care without a name", "the newer of two",
)  # fmt: skip
# How often Kommo tells of each card, and in the rounds from which on it arrives: it tells of much that changed nothing.
HEARD = {"lost": (0, 0), "late": (1, 4), "doubled": (2, 0)}


def may_reply(phone: str) -> bool:
    return bool(representation.may_reply(parse(phone, region="BR").key, None, timezone.now())["may_reply"])


def work(account: Account, *, full: bool = False) -> None:
    """What the worker does in a few minutes: compare, listen, deliver."""
    tasks.poll(account.pk)
    tasks.notice_takeovers(account.pk)
    if full:
        tasks.poll(account.pk, full=True)
    tasks.read_inbox(account.pk)
    if outbox.has_due(account.pk, now=timezone.now()):
        drain(rested(account))


def told_of(home: LivedIn) -> list[str]:
    """Return what Kommo posts of each card: as it was added, changed and moved, with its place of then."""
    bodies = []
    for inhabitant in home.inhabitants:
        place = {"status_id": inhabitant.before["status_id"], "pipeline_id": inhabitant.before["pipeline_id"]}
        bodies += [hook(inhabitant.kommo_id, action, **place) for action in ("add", "update", "status")]
    return bodies


@pytest.fixture
def home(kommo, pipeline, connect, request, sandbox_server) -> LivedIn:
    home = live_in(kommo, sandbox_server.sandbox.store, rounds=getattr(request, "param", 2))
    type(pipeline).objects.update(phone_field="WhatsApp")
    pipeline.refresh_from_db()
    pipeline.rules_changed()
    home.account, home.pipeline = connect(), pipeline
    tasks.poll(home.account.pk, full=True)
    return home


@pytest.mark.parametrize("webhooks", HEARD)
@pytest.mark.parametrize("home", [14], indirect=True)
def test_an_hour_in_an_account_that_is_alive_changes_nothing_in_it(home, kommo, webhooks):
    account, writes = home.account, len(kommo.writes())
    bodies, (times, begins) = told_of(home), HEARD[webhooks]
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for round_ in range(6):
            clock.shift(timedelta(minutes=10))
            if round_ >= begins:
                # A part each time, the newest first: they come in any order.
                hear(account, *[body for body in reversed(bodies[round_::6]) for _ in range(times)])
            work(account, full=round_ == 3)
        care = {
            inhabitant.kommo_id: [may_reply(phone) for phone in inhabitant.phones] for inhabitant in home.of(*REACHED)
        }

    assert len(home.inhabitants) >= 300
    assert home.changed() == {}
    assert len(kommo.writes()) == writes
    assert not Card.objects.filter(state__in=Card.PENDING).exists()
    assert not Attempt.objects.exists()
    assert not Briefing.objects.exists()
    for inhabitant in home.of(*REACHED):
        assert set(care[inhabitant.kommo_id]) <= {not inhabitant.in_care}, inhabitant


def test_each_person_who_writes_has_the_card_they_had_and_nothing_on_it_is_lost(home, kommo):
    before = {lead["id"] for lead in kommo.leads()}
    people = [(inhabitant, phone) for inhabitant in home.of(*REACHED) for phone in inhabitant.phones[-1:]]
    for inhabitant, phone in people:
        record(home.pipeline, phone, message=Message(Direction.INBOUND, id=f"m{inhabitant.kommo_id}", text="oi"))
    work(home.account)

    assert {lead["id"] for lead in kommo.leads()} == before
    for inhabitant, _ in people:
        now = kommo.lead(inhabitant.kommo_id)
        assert (now["name"], now["price"]) == (inhabitant.before["name"], inhabitant.before["price"]), inhabitant
        assert set(inhabitant.before["tags"]) <= set(now["tags"]), inhabitant
        values = {field["field_id"]: field["values"] for field in inhabitant.before["custom_fields_values"] or ()}
        kept = {field["field_id"]: field["values"] for field in now["custom_fields_values"] or ()}
        assert values.items() <= kept.items(), inhabitant
        if inhabitant.in_care:
            assert now["status_id"] == HANDOFF


def test_who_is_known_by_no_card_gets_one_and_who_waits_in_incoming_leads_none(home, kommo):
    before = len(kommo.leads())
    [waiting, *_] = home.of("in incoming leads")
    for phone in (waiting.phones[0], "+5581977776666"):
        record(home.pipeline, phone, name="Nova")
    work(home.account)
    assert len(kommo.leads()) == before + 1
    lead = Lead.objects.get(phone=waiting.phones[0])
    assert f"Incoming leads (lead {waiting.kommo_id})" in lead.card.waiting_reason
    assert lead.events.filter(kind=Event.Kind.STAFF_TOLD).count() == 1

    kommo.post(f"leads/{waiting.kommo_id}/move", {"stage": "Novo Lead"})
    hear(home.account, hook(waiting.kommo_id, "update"))
    assert lead.__class__.objects.get(pk=lead.pk).card.kommo_lead_id == waiting.kommo_id


def test_what_a_person_set_and_nobody_spoke_of_is_what_kommo_shows(home, kommo):
    [inhabitant, *_] = home.of("made by staff")
    kommo.post(f"leads/{inhabitant.kommo_id}/edit", {"name": "Dona Ana", "custom_fields_values": [value(BILL, "950")]})
    record(home.pipeline, inhabitant.phones[0], name=f"{inhabitant.before['name']}", custom={"pets": 2})
    work(home.account)
    record(home.pipeline, inhabitant.phones[0], chosen_flow="Aluguel de Lote", bill_value=None)
    work(home.account)
    now = kommo.lead(inhabitant.kommo_id)
    assert amount(next(f["values"][0]["value"] for f in now["custom_fields_values"] if f["field_id"] == BILL)) == "950"
