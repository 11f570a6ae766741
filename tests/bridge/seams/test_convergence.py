"""Outbox and drain against a modelled Kommo that applies, refuses, loses answers and is edited by staff.

Staff delete leads, put them back and make new ones for the same person, rows cannot be read, rights hide all leads for
a while, and calls beside the cards are refused; some of it happens between an answer and its settlement. Whatever the
order: no lead is made twice, staff's own tags stay, a card stands where a person put it until the conversation
concludes something new, and has the name they gave it, nobody is silenced whom nobody took, and once all trouble is
over every card is as its lead says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from bridge.cards import account_lease, outbox, write_ahead
from bridge.delivery.draining import LONGEST_DRAIN, Drain
from bridge.errors import (
    Call,
    KommoAccessError,
    KommoError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoRejectedError,
    KommoServerError,
    KommoUnreachableError,
    Rejection,
)
from bridge.inbound import adoption
from bridge.inbound.reconciliation import Comparison
from bridge.kommo.parallel_calls import Answer
from bridge.kommo.replies import ContactReply, Created, LeadReply, NoteReply, Updated
from bridge.kommo.throttle import Permit
from bridge.models import Account, AccountPipeline, Briefing, Card, Trouble, WebhookEvent
from bridge.webhooks import reading_webhooks, waiting_for_writes
from bridge.webhooks.reading_webhooks import process_inbox
from leads.models import Lead, Pipeline, Stage
from tests.conftest import record

PIPELINE, BRIDGE_ID = 1, 999
# A contact's id is its lead's, and so much.
CONTACTS = 1_000_000
STATUSES = {key: 100 + number for number, key in enumerate(
    ("new", "qualifying", "qualified", "disqualified", "meeting_scheduled", "human_handoff", "not_interested")
)}  # fmt: skip
PHONES = [f"+558198800000{number}" for number in range(4)]
# One of them talks more than the others: what goes wrong takes several turns with the same person.
PEOPLE = st.sampled_from([*PHONES, *[PHONES[0]] * 4])
NAMES = st.sampled_from(["Ana", "Bia", "Caio", "Duda"])
PLACES = st.sampled_from(sorted(STATUSES.values()))
# What becomes of the next write. Of the last six we never hear; those called late are applied after that.
MOODS = ("applied", "partly", "refused", "refused unnamed", "504", "429", "500", "lost before", "lost after", "late",
         "died before", "died after", "died, late")  # fmt: skip
# What happens while answers were heard and are not settled.
MEANWHILE = ("nothing", "renamed", "moved", "told of", "told of", "says a name", "looked at")
# What makes a row unreadable.
ODD = ({"price": {"absurd": []}}, {"custom_fields_values": "absurd"}, {"status_id": ["absurd"]})


class ProcessDied(BaseException):
    """SIGKILL, as far as one process can show it."""


class ModelledKommo:
    """What the drain asks of a client, over leads in memory."""

    def __init__(self):
        self.leads: dict[int, dict] = {}
        self.trash: dict[int, dict] = {}
        self.hidden = False
        self.refuses_notes = False
        # Rows that hold something nobody can read.
        self.odd: dict[int, dict] = {}
        # Leads that no list or search shows yet, because it lags.
        self.unlisted: set[int] = set()
        # The ids of ours that leads were made with.
        self.made: list[str] = []
        # Leads whose name was refused when they were made.
        self.named_by_kommo: set[int] = set()
        self.written: list[str] = []
        self.moods: list[str] = []
        self.late: list[tuple[Callable, list[dict]]] = []
        self.last_call = Call("PATCH", "model", 200, 0.0, "")
        self._ids = itertools.count(1)
        self._clock = itertools.count(1)
        self._looks = itertools.count(1)

    # --- The client's side

    @property
    def pace(self):
        return self

    def wait(self, lane, *, ahead=0.0):
        pass

    def has_slot(self, *, ahead=0.0):
        # As chance has it, but the same each time an example is played.
        return next(self._looks) % 3 > 0

    def acquire(self, lane, *, ahead=0.0):
        return Permit()

    def release(self, permit):
        pass

    def create_leads_complex(self, bodies):
        return self._write("create leads", bodies, self._create)

    def update_leads(self, bodies):
        return self._write("update leads", bodies, self._update)

    def iterate_leads(self, *, ids=(), custom_field=None, **_):
        wanted = custom_field[1] if custom_field else ()
        if self.hidden:
            return []
        listed = {lead_id for lead_id, lead in self.leads.items() if lead["bridge_id"] in wanted} - self.unlisted
        return [self.reply(lead) for lead in self.leads if lead in ids or lead in listed]

    def lead(self, lead_id, **_):
        if lead_id not in self.leads or self.hidden:
            raise KommoNotFoundError("not there", operation="read lead", status_code=204)
        return self.reply(lead_id)

    def contacts(self, *, ids=(), **_):
        return [] if self.hidden else [self._contact(lead) for lead in self.leads if lead + CONTACTS in ids]

    def update_contacts(self, bodies, **_):
        """Names of contacts travel apart, and have tests of their own."""

    def account(self):
        return None

    def notes(self, lead_id):
        return []

    def create_notes(self, notes):
        if self.refuses_notes:
            raise KommoAccessError("create notes: Kommo answered 403", operation="create notes", status_code=403)
        self.written += [note["params"]["text"] for note in notes]
        return [NoteReply(len(self.written), note["entity_id"], note["params"]["text"]) for note in notes]

    def find_contacts(self, query, **_):
        found = [
            lead_id for lead_id, lead in self.leads.items() if query in lead["phone"] and lead_id not in self.unlisted
        ]
        return [] if self.hidden else [self._contact(contact_id) for contact_id in found]

    def list_leads(self, **_):
        listed = [self.reply(lead) for lead in self.leads if lead not in self.unlisted]
        return ([] if self.hidden else listed), False

    # --- The model

    def make(self, phone, **values) -> int:
        lead_id = next(self._ids)
        self.leads[lead_id] = {"tags": set(), "bridge_id": "", "phone": phone, "pipeline_id": PIPELINE, **values}
        self.leads[lead_id]["updated_at"] = next(self._clock)
        return lead_id

    def _contact(self, lead_id) -> ContactReply:
        phone = self.leads[lead_id]["phone"]
        return ContactReply(lead_id + CONTACTS, self.leads[lead_id]["name"], (phone,), (lead_id,))

    def reply(self, lead_id) -> LeadReply:
        lead, now = self.leads[lead_id], int(timezone.now().timestamp())
        bridge_id = {"field_id": BRIDGE_ID, "field_type": "text", "values": [{"value": lead["bridge_id"]}]}
        row = {
            "id": lead_id, "name": lead["name"], "price": 0, "pipeline_id": lead["pipeline_id"],
            "status_id": lead["status_id"], "created_at": now, "updated_at": lead["updated_at"],
            "custom_fields_values": [bridge_id] if lead["bridge_id"] else None,
            "_embedded": {
                "tags": [{"name": tag} for tag in sorted(lead["tags"])],
                "contacts": [{"id": lead_id + CONTACTS, "is_main": True}],
            },
        }  # fmt: skip
        return LeadReply.read(row | self.odd.get(lead_id, {}))

    def _write(self, operation, bodies, apply):
        mood = self.moods.pop(0) if self.moods else "applied"
        if mood == "died before":
            raise ProcessDied
        if mood == "429":
            raise KommoRateLimitError("slow down", operation=operation, retry_after=timedelta(seconds=5))
        if mood in ("500", "504"):
            raise KommoServerError("trouble", operation=operation, status_code=int(mood))
        if mood == "lost before":
            raise KommoUnreachableError("no answer", operation=operation, sent=True)
        if mood in ("refused", "refused unnamed"):
            named = Rejection("InvalidType", "name", "wrong", request_id=str(bodies[0].get("request_id", 0)))
            items = (named,) if mood == "refused" else ()
            raise KommoRejectedError("refused", items=items, operation=operation, status_code=400)
        if mood in ("late", "died, late"):
            self.late.append((apply, bodies))
            if mood == "died, late":
                raise ProcessDied
            raise KommoUnreachableError("no answer", operation=operation, sent=True, lingers=True)
        answers = [apply(body) for body in (bodies[: len(bodies) // 2] if mood == "partly" else bodies)]
        if mood == "died after":
            raise ProcessDied
        if mood == "lost after":
            raise KommoUnreachableError("no answer", operation=operation, sent=True)
        return [answer for answer in answers if answer]

    def _create(self, body):
        tags = {tag["name"] for tag in body["_embedded"].get("tags", ())}
        values = {value["field_id"]: value["values"][0]["value"] for value in body["custom_fields_values"]}
        [contact] = body["_embedded"]["contacts"]
        [phone] = [value["values"][0]["value"] for value in contact["custom_fields_values"]]
        place = {key: body[key] for key in ("pipeline_id", "status_id")}
        # A name that was refused is left out, and Kommo gives one of its own.
        lead_id = self.make(phone, tags=tags, bridge_id=values[BRIDGE_ID], name=body.get("name", ""), **place)
        if not self.leads[lead_id]["name"]:
            self.leads[lead_id]["name"] = f"Lead #{lead_id}"
            self.named_by_kommo.add(lead_id)
        self.made.append(values[BRIDGE_ID])
        self.unlisted.add(lead_id)
        return Created((body["request_id"],), lead_id, lead_id + CONTACTS, False)

    def _update(self, body):
        lead = self.leads.get(body["id"])
        if lead is None or self.hidden:
            return None
        lead |= {key: body[key] for key in ("name", "pipeline_id", "status_id") if key in body}
        lead["tags"] |= {tag["name"] for tag in body.get("tags_to_add", ())}
        lead["tags"] -= {tag["name"] for tag in body.get("tags_to_delete", ())}
        for value in body.get("custom_fields_values") or ():
            lead["bridge_id"] = value["values"][0]["value"]
        lead["updated_at"] = next(self._clock)
        return Updated(body["id"], lead["updated_at"])

    def land(self) -> list[int]:
        """Apply the oldest write that was still on its way when we stopped listening; return the leads it touched."""
        apply, bodies = self.late.pop(0)
        return [answer.lead_id for body in bodies if (answer := apply(body))]


class Scattered:
    """Calls under way at once that arrive, and are answered, in any order."""

    def __init__(self, kommo, order, meanwhile, *, at_once):
        self.kommo, self.order, self.at_once = kommo, order, at_once
        # What happens when an answer was heard and nothing was made of it yet.
        self.meanwhile = meanwhile
        self.waiting: list[Answer] = []
        self.unsettled: list[Answer] = []

    def start(self, ticket, ask, permit):
        if len(self.waiting) == self.at_once:
            self.hear(0)
        self.waiting.append(Answer(ticket, ask, permit))

    def hear(self, seconds):
        if not self.waiting:
            return
        answer = self.waiting.pop((self.order.pop(0) if self.order else 0) % len(self.waiting))
        try:
            answer.brought = answer.ask(self.kommo)
        except KommoError as error:
            answer.error = error
        self.unsettled.append(answer)
        self.meanwhile(self)

    def touched(self):
        """The leads that calls under way will still write to."""
        return {entry.card.kommo_lead_id for answer in self.waiting for entry in answer.ticket.entries}

    def answered(self, ticket=None):
        answer = next((answer for answer in self.unsettled if ticket in (None, answer.ticket)), None)
        if answer:
            self.unsettled.remove(answer)
        return answer

    def heard(self):
        return len(self.unsettled)

    def has_failed(self):
        return any(answer.error for answer in self.unsettled)

    def tickets(self):
        return [answer.ticket for answer in (*self.unsettled, *self.waiting)]

    def close(self):
        """Whatever is under way by now arrives with nobody there to hear of it, or does not."""
        for answer in self.waiting:
            with suppress(KommoError, ProcessDied):
                answer.ask(self.kommo)


class Delivering(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self._all = transaction.atomic()
        self._all.__enter__()
        self.kommo = ModelledKommo()
        self.pipeline = Pipeline.objects.get(slug="solar")
        self.account = Account.objects.get()
        # Leads that staff, or a write of ours that came late, touched, and whose webhook has not come yet.
        self.unheard: list[int] = []
        self.order: list[int] = []
        self.vips: set[int] = set()
        # People whom a person of the staff put where the agent is to be silent, ever.
        self.taken: set[str] = set()
        # Where a person put a card last, for as long as the conversation has concluded nothing since.
        self.placed: dict[int, int] = {}
        self.facts: dict[tuple[str, str], object] = {}
        # The name each person gave last, for as long as nobody of the staff gave them another.
        self.said: dict[str, str] = {}
        # The name the staff gave a lead whose card was right, for as long as its person gives none.
        self.named: dict[int, str] = {}
        self.meanwhile: list[tuple[str, int]] = []
        self.renamed: set[int] = set()
        self._open_account, reading_webhooks.open_account = reading_webhooks.open_account, self._modelled

    def teardown(self):
        try:
            self.trouble_ends()
        finally:
            reading_webhooks.open_account = self._open_account
            transaction.set_rollback(True)
            self._all.__exit__(None, None, None)

    # --- The conversation

    @rule(phone=PEOPLE, name=NAMES)
    def lead_says_a_name(self, phone, name):
        record(self.pipeline, phone, name=name)
        self.said[phone] = name
        there = self._there()
        self.named = {lead_id: given for lead_id, given in self.named.items() if there[lead_id]["phone"] != phone}

    @rule(phone=PEOPLE, score=st.sampled_from([10, 90]))
    def lead_is_scored(self, phone, score):
        record(self.pipeline, phone, qualification_score=score, context={"conversation_stage": "qualificação"})
        self._is_told(phone, "score", score)

    @rule(phone=PEOPLE, flow=st.sampled_from(["Aluguel de Lote", "Compra com Desconto", None]))
    def lead_chooses_a_flow(self, phone, flow):
        record(self.pipeline, phone, chosen_flow=flow)
        self._is_told(phone, "flow", flow)

    # --- Staff

    @precondition(lambda self: self.kommo.leads)
    @rule(data=st.data(), status=PLACES)
    def staff_move_a_card(self, data, status):
        self._is_placed(self._edit(data, status_id=status))

    @rule(phone=PEOPLE, status=PLACES, name=NAMES)
    def staff_make_a_card(self, phone, status, name):
        lead_id = self.kommo.make(phone, name=name, status_id=status)
        self.renamed.add(lead_id)
        self.unheard.append(lead_id)
        self._is_placed(lead_id)

    @precondition(lambda self: self.kommo.leads)
    @rule(data=st.data(), what=st.sampled_from(ODD))
    def a_row_gets_odd(self, data, what):
        self.kommo.odd[data.draw(st.sampled_from(sorted(self.kommo.leads)))] = what

    @precondition(lambda self: self.kommo.odd)
    @rule(data=st.data())
    def a_row_can_be_read_again(self, data):
        del self.kommo.odd[data.draw(st.sampled_from(sorted(self.kommo.odd)))]

    @precondition(lambda self: self.kommo.leads)
    @rule(data=st.data(), name=NAMES)
    def staff_rename_a_card(self, data, name):
        self._is_renamed(self._edit(data, name=name))

    @precondition(lambda self: self.kommo.leads)
    @rule(data=st.data())
    def staff_tag_a_card(self, data):
        lead_id = self._edit(data)
        self.kommo.leads[lead_id]["tags"].add("vip")
        self.vips.add(lead_id)

    @precondition(lambda self: self._known())
    @rule(data=st.data())
    def staff_delete_a_card(self, data):
        lead_id = data.draw(st.sampled_from(self._known()))
        self.kommo.trash[lead_id] = self.kommo.leads.pop(lead_id)
        self.unheard.append(lead_id)

    @precondition(lambda self: self.kommo.trash)
    @rule(data=st.data())
    def staff_put_a_card_back(self, data):
        lead_id = data.draw(st.sampled_from(sorted(self.kommo.trash)))
        self.kommo.leads[lead_id] = self.kommo.trash.pop(lead_id)
        self.unheard.append(lead_id)

    @rule()
    def lists_catch_up(self):
        self.kommo.unlisted.clear()

    # Before the first lead that Kommo has ever shown us, nobody can say what it hides.
    @precondition(lambda self: Card.objects.filter(kommo_lead_id__isnull=False).exists())
    @rule(hidden=st.booleans())
    def rights_change(self, hidden):
        self.kommo.hidden = hidden

    @rule(refused=st.booleans())
    def notes_are_refused_or_not(self, refused):
        self.kommo.refuses_notes = refused

    @rule()
    def everything_is_looked_at(self):
        """The comparison of a night: what a list lacks is looked for once more, after a while."""
        Comparison(Account.objects.get(), self.kommo, None, "night").everything()

    @rule()
    def a_second_look_is_taken(self):
        long_ago = timezone.now() - timedelta(minutes=1)
        Card.objects.filter(missing_since__isnull=False).update(missing_since=long_ago)
        account = Account.objects.get()
        Comparison(account, self.kommo, None, "second look").look_again()

    @precondition(lambda self: self.kommo.late)
    @rule()
    def a_late_write_lands(self):
        landed = self.kommo.land()
        self.unheard += landed
        for lead_id in landed:
            # It was on its way before the person placed it, and Kommo applies it nevertheless.
            self.placed.pop(lead_id, None)
            self.named.pop(lead_id, None)

    @precondition(lambda self: self.unheard)
    @rule()
    def kommo_tells_of_it(self):
        lead_id = self.unheard.pop(0)
        # Said of a lead that is restored as well as of one that changed: read.
        action = "restore" if lead_id in self.kommo.leads else "delete"
        body = f"leads[{action}][0][id]={lead_id}".encode()
        WebhookEvent.objects.create(account=self.account, received_at=timezone.now(), body=body)
        process_inbox(self.account.pk)
        if lead_id in self.kommo.leads and not Card.objects.filter(kommo_lead_id=lead_id).exists():
            # It is told again until it can be read, or the card knows its lead.
            self.unheard.append(lead_id)

    # --- Deliveries

    @rule(
        moods=st.lists(st.sampled_from(MOODS), max_size=5),
        order=st.lists(st.integers(0, 6), max_size=6),
        together=st.sampled_from([1, 2, 50]),
        meanwhile=st.lists(st.tuples(st.sampled_from(MEANWHILE), st.integers(0, 3)), max_size=4),
        at_once=st.sampled_from([1, 4, 7]),
    )
    def worker_drains(self, moods, order=(), together=50, meanwhile=(), at_once=4):
        self.kommo.moods, self.order, self.meanwhile = list(moods), list(order), list(meanwhile)
        self.at_once = at_once
        Account.objects.update(batch_size=together)
        now = timezone.now()
        lease = account_lease.lease(self.account.pk, now=now)
        if lease is None:
            return
        try:
            self._drain(lease, now)
        except ProcessDied:
            # Whoever finds it dead frees its lease; nothing else of it remains, except what it had sent.
            write_ahead.cut_off(self.account.pk, now=timezone.now())
            Account.objects.update(lease_holder="", lease_until=None)
        else:
            lease.release()
        self.kommo.moods = []

    @rule()
    def time_passes(self):
        while self.kommo.late:
            self.a_late_write_lands()
        self.lists_catch_up()
        long_ago = timezone.now() - timedelta(minutes=1)
        Account.objects.update(retry_at=None)
        Card.objects.filter(state__in=Card.PENDING).update(due_at=long_ago)
        Card.objects.filter(write_settles_at__isnull=False).update(write_settles_at=long_ago)
        Trouble.objects.update(next_at=long_ago)
        Briefing.objects.exclude(due_at=None).update(due_at=long_ago)

    @invariant()
    def no_lead_exists_twice(self):
        assert len(self.kommo.made) == len(set(self.kommo.made))

    @invariant()
    def a_card_stands_where_a_person_put_it_last(self):
        there = self._there()
        assert {lead_id: there[lead_id]["status_id"] for lead_id in self.placed} == self.placed

    @invariant()
    def a_card_has_the_name_a_person_gave_it_last(self):
        there = self._there()
        assert {lead_id: there[lead_id]["name"] for lead_id in self.named} == self.named

    @invariant()
    def what_staff_tagged_stays_tagged(self):
        assert all("vip" in (self.kommo.leads | self.kommo.trash)[lead_id]["tags"] for lead_id in self.vips)

    @invariant()
    def nobody_is_silenced_whom_nobody_took(self):
        silenced = Lead.objects.filter(handoff_since__isnull=False).values_list("phone", flat=True)
        assert set(silenced) <= self.taken
        assert Account.objects.get().state == Account.State.ACTIVE

    # --- The end

    def trouble_ends(self):
        self.kommo.hidden = self.kommo.refuses_notes = False
        self.kommo.odd.clear()
        while self.kommo.trash:
            lead_id, lead = self.kommo.trash.popitem()
            self.kommo.leads[lead_id] = lead
            self.unheard.append(lead_id)
        for _ in range(30):
            self.time_passes()
            self.everything_is_looked_at()
            self.a_second_look_is_taken()
            for _ in range(len(self.unheard)):
                self.kommo_tells_of_it()
            outbox.requeue(Card.objects.filter(state__in=[Card.State.DEAD, Card.State.BLOCKED]), now=timezone.now())
            self.worker_drains([])
            if not self.unheard and not Card.objects.exclude(state=Card.State.IN_SYNC).exists():
                break
        self.everything_is_compared()
        self.no_lead_exists_twice()
        self.what_staff_tagged_stays_tagged()
        for card in Card.objects.select_related("lead__stage"):
            self._is_right(card)

    def everything_is_compared(self):
        """As every night; what it finds is nothing, because all of it has been heard of."""
        for card in Card.objects.all():
            now = timezone.now()
            reply = self.kommo.reply(card.kommo_lead_id)
            found = adoption.adopt(card.pk, reply, None, read_at=now, now=now, found_by="comparison")
            assert found.changed == {}

    def _is_right(self, card):
        lead, in_kommo = card.lead, self.kommo.leads[card.kommo_lead_id]
        assert (card.state, card.in_doubt, card.waiting_reason) == ("in_sync", {}, "")
        assert in_kommo["bridge_id"] in (str(lead.pk), "")
        # A phone names a card only when it is made: where it was refused, Kommo's own name stays until there is one.
        nameless = f"Lead #{card.kommo_lead_id}" if card.kommo_lead_id in self.kommo.named_by_kommo else lead.phone
        assert in_kommo["name"] == (lead.name or nameless)
        if card.kommo_lead_id not in self.renamed:
            # Our own older write, however late it arrives, is nobody's edit.
            assert lead.name == self.said.get(lead.phone, "")
        assert in_kommo["status_id"] == lead.stage.kommo_status_id
        flows = {tag for tag in in_kommo["tags"] if tag.startswith("fluxo_")}
        wanted = {f"fluxo_{lead.chosen_flow.lower().replace(' ', '_')}"} if lead.chosen_flow else set()
        assert flows == wanted

    def _modelled(self, account_id):
        return Account.objects.get(pk=account_id), self.kommo

    def _drain(self, lease, now):
        account = Account.objects.get()
        assert Lead.objects.count() >= Card.objects.count()
        calls = Scattered(self.kommo, self.order, self._meanwhile, at_once=self.at_once)
        Drain(account, lease, self.kommo, calls).run(until=now + LONGEST_DRAIN)

    def _meanwhile(self, calls):
        """Let something happen between an answer and its settlement, to leads that nothing is on its way to."""
        what, which = self.meanwhile.pop(0) if self.meanwhile else ("nothing", 0)
        free = sorted(self.kommo.leads.keys() - calls.touched())
        if what == "renamed" and free:
            lead_id = free[which % len(free)]
            self._change(lead_id, name=f"Staff {which}")
            self._is_renamed(lead_id)
        elif what == "moved" and free:
            lead_id = free[which % len(free)]
            self._change(lead_id, status_id=sorted(STATUSES.values())[which])
            self._is_placed(lead_id)
        elif what == "told of" and self.unheard:
            self.kommo_tells_of_it()
        elif what == "says a name":
            self.lead_says_a_name(PHONES[which], f"Said {which}")
        elif what == "looked at" and not self.kommo.hidden:
            self.everything_is_looked_at()

    def _known(self):
        """Leads that a card knows: one that is deleted before we hear that it was made is made anew, and rightly."""
        return sorted(set(Card.objects.values_list("kommo_lead_id", flat=True)) & self.kommo.leads.keys())

    def _is_placed(self, lead_id):
        lead = self.kommo.leads[lead_id]
        self.placed[lead_id] = lead["status_id"]
        if lead["status_id"] == STATUSES["human_handoff"]:
            self.taken.add(lead["phone"])

    def _is_told(self, phone, what, value):
        """News may move a card on; what was said before is none."""
        if self.facts.get((phone, what)) != value:
            self.facts[phone, what] = value
            there = self.kommo.leads | self.kommo.trash
            self.placed = {lead_id: place for lead_id, place in self.placed.items() if there[lead_id]["phone"] != phone}

    def _edit(self, data, **changes):
        lead_id = data.draw(st.sampled_from(sorted(self.kommo.leads)))
        self._change(lead_id, **changes)
        return lead_id

    def _change(self, lead_id, **changes):
        self.kommo.leads[lead_id] |= {**changes, "updated_at": int(timezone.now().timestamp())}
        self.unheard.append(lead_id)

    def _is_renamed(self, lead_id):
        self.renamed.add(lead_id)
        card = Card.objects.filter(kommo_lead_id=lead_id).first()
        # A name of ours that is to leave, or may be on its way, goes over it.
        if card and card.state == Card.State.IN_SYNC and not card.in_doubt:
            self.named[lead_id] = self.kommo.leads[lead_id]["name"]
        else:
            self.named.pop(lead_id, None)

    def _there(self):
        return self.kommo.leads | self.kommo.trash


@pytest.fixture
def modelled(db, monkeypatch):
    """The shipped pipeline bound to the model's ids."""
    # What is told of a card whose answer is not settled yet would wait for that.
    monkeypatch.setattr(waiting_for_writes, "LONGEST_WAIT", timedelta(0))
    # Of what sellers are told at a handoff the note is enough; it has tests of its own.
    Pipeline.objects.filter(slug="solar").update(kommo_pipeline_id=PIPELINE, handoff_note=True, handoff_task="")
    for key, status_id in STATUSES.items():
        Stage.objects.filter(key=key).update(kommo_status_id=status_id)
    account = Account.objects.create(
        name="model",
        base_url="https://model.kommo.com",
        bridge_id_field_id=BRIDGE_ID,
        connected_at=timezone.now(),
        compared_at=timezone.now(),
    )
    AccountPipeline.objects.create(account=account, pipeline=Pipeline.objects.get(slug="solar"))
    pipeline = Pipeline.objects.get(slug="solar")
    # Fields have tests of their own; here a value that cannot be written would only block the card.
    pipeline.field_mappings.all().delete()
    pipeline.rules_changed()


@pytest.mark.once
def test_it_always_converges_and_never_creates_twice(modelled):
    run_state_machine_as_test(
        Delivering,
        settings=settings(
            max_examples=30,
            phases=[Phase.explicit, Phase.generate],
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
