"""Over generated accounts, staff and conversations: what a person set, and nobody spoke of since, is what Kommo shows.

An account has cards of any shape before it is connected. Then people edit them and make new ones, Kommo tells of it at
once, late, twice or never, the worker polls and compares, and conversations speak of some things, and not of others.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bridge import tasks
from bridge.cards import outbox
from bridge.models import Account, Card
from kommo_sandbox.entities import Pipeline as KommoPipeline
from kommo_sandbox.entities import Status
from kommo_sandbox.sandbox import Sandbox
from kommo_sandbox.staff import Kommo
from kommo_sandbox.store import Store
from leads.interaction_values import Direction, Message
from leads.models import Pipeline
from tests.bridge.mapped import OPTIONS, map_every_type
from tests.conftest import NO_CEILING, drain, record, rested
from tests.heard import hear, hook
from tests.lived_in import (
    AFTER_SALES,
    BILL,
    HANDOFF,
    INSTALLING,
    LINK,
    LOST,
    MEETING,
    NEW,
    NOT_INTERESTED,
    OLD_PIPELINE,
    OLD_STAGE,
    PLACE,
    QUALIFIED,
    QUALIFYING,
    SOLUTION,
    WHATSAPP,
    WON,
)

BEGUN = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
PEOPLE = [f"+558198877000{number}" for number in range(3)]
# One of them talks more than the others, and has more cards.
PERSON = st.sampled_from([*PEOPLE, *[PEOPLE[0]] * 3])
STAFF, ROBOT = 11087201, 0
NAMES = ("Ana", "Bia Lima", "  Caio ", "Dé 🌞", "+55 81 3333-4444", "x" * 260, "Lead")
TAGS = ("vip", "Indicação", "fluxo_aluguel_de_lote", "fluxo_de_caixa", "objecao_preço", "objecao_", "Fluxo_Solar")
FLOWS = ("Aluguel de Lote", "Compra com Desconto", None)
PLACES = [
    (PLACE, status) for status in (NEW, QUALIFYING, QUALIFIED, MEETING, HANDOFF, NOT_INTERESTED, WON, LOST)
] + [(AFTER_SALES, INSTALLING)]  # fmt: skip
# What speaks of where a card should stand.
JUDGED = ("bill_value", "qualification_score", "conversation_stage", "message")

AMOUNTS = st.sampled_from(["0", "399", "400.5", "777", "1234567.891", "5581999990000"])
TEXTS = st.sampled_from(["a", "Rua das Flores, 7", "  two  spaces ", "null", "7", "ção 🌞", "x" * 250])
MOMENTS = st.integers(0, 40_000).map(lambda days: days * 86_400 + 3 * 3_600)
# What staff type into a field of each type, as Kommo takes it; the options of lists are known only in an account.
TYPED = {
    "text": TEXTS, "textarea": TEXTS, "url": st.sampled_from(["https://a.example/1", "https://b.example/ç?x=1"]),
    "numeric": AMOUNTS, "monetary": AMOUNTS, "checkbox": st.booleans(), "date": MOMENTS,
    "date_time": MOMENTS.map(lambda at: at + 61),
}  # fmt: skip
# What a conversation tells of a fact of each type.
TOLD = {
    "text": st.sampled_from(["b", "Rua B", ""]), "textarea": st.sampled_from(["linha 1\nlinha 2", "b"]),
    "url": st.sampled_from(["https://a.example/1", "https://c.example"]), "numeric": st.sampled_from([0, 7, 777, 2.5]),
    "monetary": st.sampled_from([0, 7.25, 777]), "checkbox": st.booleans(),
    "date": st.sampled_from(["2026-11-24", "1999-01-01"]),
    "date_time": st.sampled_from(["2026-11-24T10:00:00-03:00", "2027-01-01T00:00:00Z"]),
    "select": st.sampled_from([*OPTIONS, "Outra coisa"]),
    "multiselect": st.lists(st.sampled_from(list(OPTIONS)), unique=True, max_size=2),
}  # fmt: skip


@dataclass
class Town:
    """What every example begins with: the account, its fields, and how to get back there."""

    kommo: Kommo
    sandbox: Sandbox
    store: Store
    account: Account
    fields: dict[str, int]

    def anew(self) -> None:
        self.sandbox.reset(copy.deepcopy(self.store))
        self.sandbox.options.update(NO_CEILING)


class Living(RuleBasedStateMachine):
    town: Town

    def __init__(self) -> None:
        super().__init__()
        self._all = transaction.atomic()
        self._all.__enter__()
        self._clock = time_machine.travel(BEGUN, tick=True)
        self.clock = self._clock.start()
        self.town.anew()
        self.kommo = self.town.kommo
        self.pipeline = Pipeline.objects.get(slug="solar")
        self.types = {id_: type_ for type_, id_ in self.town.fields.items()}
        self.types |= {BILL: "numeric", LINK: "url", WHATSAPP: "text", SOLUTION: "select"}
        # (lead, subject) -> what a person made of it, while nobody has spoken of that since.
        self.theirs: dict[tuple[int, str], Any] = {}
        # Those of them that the bridge cannot know of yet, and what was said and is not delivered yet.
        self.unheard: set[tuple[int, str]] = set()
        self.undelivered: set[tuple[int, str]] = set()
        self.said: dict[tuple[str, str], Any] = {}
        # Phone -> attribute -> how it was reported last.
        self.reports: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        # Webhooks that Kommo has still to send.
        self.told_of: list[int] = []
        self.numbers: defaultdict[int, set[str]] = defaultdict(set)
        self.written = 0

    def teardown(self) -> None:
        try:
            if self.numbers:
                self.all_is_heard()
        finally:
            self._clock.stop()
            transaction.set_rollback(True)
            self._all.__exit__(None, None, None)

    # --- Staff

    @initialize(data=st.data(), shapes=st.integers(1, 4))
    def people_have_lived_here(self, data: Any, shapes: int) -> None:
        for _ in range(shapes):
            self._make(data)
        Account.objects.update(compared_at=None, polled_at=None, polled_until=None, comparing_at={})
        self._pass(minutes=1)
        tasks.poll(self.town.account.pk, full=True)
        self.unheard.clear()
        self.told_of.clear()
        self.written = len(self.town.sandbox.journal.entries)

    @rule(data=st.data())
    def staff_make_a_card(self, data: Any) -> None:
        self._make(data)

    @rule(data=st.data(), at_once=st.booleans())
    def staff_edit_a_card(self, data: Any, at_once: bool) -> None:
        lead_id = data.draw(st.sampled_from(sorted(self.numbers)))
        body = data.draw(self._edits(lead_id))
        by = data.draw(st.sampled_from([STAFF, ROBOT]))
        self._set(lead_id, lambda: self.kommo.post(f"leads/{lead_id}/edit", {"user_id": by, **body}), *_named(body))
        if at_once:
            self.kommo_tells(1)

    @rule(data=st.data(), place=st.sampled_from(PLACES), at_once=st.booleans())
    def staff_move_a_card(self, data: Any, place: tuple[int, int], at_once: bool) -> None:
        lead_id = data.draw(st.sampled_from(sorted(self.numbers)))
        body = {"pipeline_id": place[0], "status_id": place[1]}
        self._set(lead_id, lambda: self.kommo.post(f"leads/{lead_id}/move", body), "stage")
        if at_once:
            self.kommo_tells(1)

    # --- What the bridge hears of

    @rule(times=st.integers(1, 2))
    def kommo_tells(self, times: int) -> None:
        """The newest first; so may each be told twice."""
        self._pass(seconds=2)
        bodies = [hook(lead_id, "update") for lead_id in reversed(self.told_of) for _ in range(times)]
        hear(self.town.account, *bodies)
        self.unheard = {entry for entry in self.unheard if entry[0] not in self.told_of}
        self.told_of.clear()

    @rule()
    def webhooks_are_lost(self) -> None:
        self.told_of.clear()

    @rule(full=st.booleans())
    def worker_polls(self, full: bool) -> None:
        self._pass(minutes=6)
        tasks.poll(self.town.account.pk, full=full)
        self.unheard.clear()

    @rule()
    def worker_delivers(self) -> None:
        # Said before a person changed it, and sent before anybody told of that: nobody can know.
        for entry in self.unheard & self.undelivered:
            self.theirs.pop(entry, None)
        while outbox.has_due(self.town.account.pk, now=timezone.now()):
            drain(rested(self.town.account))
            self._pass(seconds=3)
        self.undelivered.clear()
        self._nothing_of_theirs_was_written()

    # --- Conversations

    @rule(phone=PERSON, type_=st.sampled_from(sorted(TOLD)), data=st.data(), taken_back=st.booleans())
    def lead_tells_a_fact(self, phone: str, type_: str, data: Any, taken_back: bool) -> None:
        reported = None if taken_back else data.draw(TOLD[type_])
        self._speaks(phone, f"custom.{type_}", reported, custom={type_: reported})

    @rule(phone=PERSON, amount=st.sampled_from([300, 777, 4500, None]))
    def lead_tells_the_bill(self, phone: str, amount: int | None) -> None:
        self._speaks(phone, "bill_value", amount, bill_value=amount)

    @rule(phone=PERSON, flow=st.sampled_from(FLOWS))
    def lead_chooses(self, phone: str, flow: str | None) -> None:
        self._speaks(phone, "chosen_flow", flow, chosen_flow=flow)

    @rule(phone=PERSON, name=st.sampled_from(["Ana", "Bruno Reis", "Zé"]))
    def lead_says_a_name(self, phone: str, name: str) -> None:
        self._speaks(phone, "name", name, name=name)

    @rule(phone=PERSON, names=st.sampled_from([["preço"], ["prazo", "preço"], None]))
    def lead_objects(self, phone: str, names: list[str] | None) -> None:
        # They add up: each time is news of the family.
        self._speaks(phone, "objections", object(), context={"objections": names})

    @rule(phone=PERSON, score=st.sampled_from([10, 90]))
    def lead_is_judged(self, phone: str, score: int) -> None:
        stage = {"conversation_stage": "qualificação"}
        self._speaks(phone, "qualification_score", score, qualification_score=score, context=stage)

    @rule(phone=PERSON)
    def agent_repeats_all_it_knows(self, phone: str) -> None:
        """With each turn, as many do; it is news to nobody."""
        self._pass(seconds=2)
        parts = [report for attribute, report in self.reports[phone].items() if (phone, attribute) in self.said]
        custom = {key: value for part in parts for key, value in part.get("custom", {}).items()}
        context = {key: value for part in parts for key, value in part.get("context", {}).items()}
        facts = {key: value for part in parts for key, value in part.items() if key not in ("custom", "context")}
        record(self.pipeline, phone, **facts, custom=custom, context=context)
        if any(attribute in JUDGED for attribute in self.reports[phone]):
            self._is_judged_anew(phone)

    @rule(phone=PERSON)
    def lead_writes(self, phone: str) -> None:
        number = len(self.said)
        message = Message(Direction.INBOUND, id=f"m{number}{phone}", text="oi")
        self._speaks(phone, "message", object(), message=message)

    # --- What holds

    @invariant()
    def what_a_person_set_is_what_kommo_shows(self) -> None:
        there = self.kommo.get("leads") if self.numbers else {"leads": [], "contacts": []}
        leads = {lead["id"]: lead for lead in there["leads"]}
        for (lead_id, subject), value in self.theirs.items():
            assert _shown(leads[lead_id], subject) == value, (lead_id, subject)
        numbers: defaultdict[int, set[str]] = defaultdict(set)
        for contact in there["contacts"]:
            for lead_id in contact["lead_ids"]:
                numbers[lead_id] |= set(contact["phones"])
        for lead_id, theirs in self.numbers.items():
            assert theirs <= numbers[lead_id], lead_id

    @invariant()
    def the_bridge_keeps_its_hands_off(self) -> None:
        self._nothing_of_theirs_was_written()

    def all_is_heard(self) -> None:
        for _ in range(3):
            self.worker_polls(full=True)
            self.worker_delivers()
        self.what_a_person_set_is_what_kommo_shows()
        assert not Card.objects.filter(state=Card.State.DUE).exists()

    # --- How

    def _make(self, data: Any) -> None:
        phones = data.draw(st.lists(PERSON, unique=True, max_size=2), label="phones")
        body = {"name": data.draw(st.sampled_from(NAMES)), "phones": phones, **data.draw(self._edits(None))}
        place = data.draw(st.sampled_from([*PLACES, (OLD_PIPELINE, OLD_STAGE), None]), label="place")
        if place is None:
            body["incoming"] = True
        else:
            body |= {"pipeline_id": place[0], "status_id": place[1]}
        body["user_id"] = data.draw(st.sampled_from([STAFF, ROBOT]))
        made = self._in_living_pipelines(lambda: self.kommo.post("leads", body))
        self.numbers[made["id"]] |= set(phones)
        self.told_of.append(made["id"])
        # Where it is found is nobody's, and what was left empty nobody has emptied; all else is whoever's made it.
        for subject in {*_named(body), "name"} - {"stage"}:
            if _shown(made, subject) is not None:
                self._is_theirs(made, subject)

    def _in_living_pipelines(self, make: Any) -> Any:
        """Nothing is made in an archived pipeline: it is put away afterwards."""
        old = self.town.sandbox.store.pipelines[OLD_PIPELINE]
        old.is_archive = False
        try:
            return make()
        finally:
            old.is_archive = True

    def _edits(self, lead_id: int | None) -> st.SearchStrategy[dict[str, Any]]:
        values = st.lists(st.sampled_from(sorted(self.types)), unique=True, max_size=3).flatmap(
            lambda ids: st.tuples(*map(self._typed, ids))
        )
        # A tag is added or taken away: what is there is seen.
        tags = st.lists(st.sampled_from(TAGS), unique=True, max_size=2)
        parts = {
            "custom_fields_values": values.filter(bool).map(list),
            "price": st.sampled_from([0, 1, 9000]),
            "responsible_user_id": st.sampled_from([11087201, 11087205]),
        }
        if lead_id is None:
            return st.fixed_dictionaries({}, optional={**parts, "tags": tags})
        parts["name"] = st.sampled_from(NAMES)
        there = [tag["name"] for tag in self.kommo.get(f"leads/{lead_id}")["_embedded"]["tags"]]
        parts["tags_to_add"] = tags.map(_as_tags)
        if there:
            parts["tags_to_delete"] = st.lists(st.sampled_from(there), unique=True, max_size=2).map(_as_tags)
        return st.fixed_dictionaries({}, optional=parts).filter(_is_an_edit)

    def _typed(self, field_id: int) -> st.SearchStrategy[dict[str, Any]]:
        """Return what staff may put into a field; nothing, too."""
        type_ = self.types[field_id]
        if type_ in TYPED:
            filled = TYPED[type_].map(lambda value: [{"value": value}])
        else:
            options = st.sampled_from(sorted(self.town.sandbox.store.fields["leads"][field_id].enums))
            most = 1 if type_ == "select" else 3
            filled = st.lists(options, unique=True, min_size=1, max_size=most).map(
                lambda ids: [{"enum_id": enum_id} for enum_id in ids]
            )
        return st.one_of(filled, st.none()).map(lambda values: {"field_id": field_id, "values": values})

    def _set(self, lead_id: int, change: Any, *subjects: str) -> None:
        """Let staff change something; who empties what is empty has changed nothing that could be seen."""
        self._pass(seconds=2)
        before = self.kommo.get(f"leads/{lead_id}")
        lead = self._in_living_pipelines(change)
        for subject in subjects:
            if _shown(lead, subject) != _shown(before, subject):
                self._is_theirs(lead, subject)
        self.told_of.append(lead_id)

    def _is_theirs(self, lead: dict[str, Any], subject: str) -> None:
        self.theirs[lead["id"], subject] = _shown(lead, subject)
        self.unheard.add((lead["id"], subject))

    def _speaks(self, phone: str, attribute: str, reported: Any, **facts: Any) -> None:
        """Report something; it is spoken of if it was not just said before."""
        self._pass(seconds=2)
        record(self.pipeline, phone, **facts)
        if attribute not in ("message", "objections"):
            self.reports[phone][attribute] = facts
        if attribute in JUDGED:
            self._is_judged_anew(phone)
        if (phone, attribute) in self.said and self.said[phone, attribute] == reported:
            return
        self.said[phone, attribute] = reported
        for entry in [
            entry for entry in self.theirs if self._is_of(entry[0], phone) and self._tells(attribute, entry[1])
        ]:
            self.undelivered.add(entry)
            del self.theirs[entry]

    def _is_judged_anew(self, phone: str) -> None:
        """What was concluded where nothing may move the card counts when a person has moved it on, repeated or not."""
        for entry in [entry for entry in self.theirs if entry[1] == "stage" and self._is_of(entry[0], phone)]:
            self.undelivered.add(entry)
            del self.theirs[entry]

    def _is_of(self, lead_id: int, phone: str) -> bool:
        return phone in self.numbers[lead_id]

    def _tells(self, attribute: str, subject: str) -> bool:
        """Say whether a fact is about that very thing."""
        if subject == "stage":
            return attribute in JUDGED
        if subject.startswith("tag:"):
            family = {"chosen_flow": "fluxo_", "objections": "objecao_"}.get(attribute)
            return family is not None and subject.startswith(f"tag:{family}")
        if subject.startswith("field:"):
            shown_by = {"bill_value": BILL, "chosen_flow": SOLUTION}
            shown_by |= {f"custom.{type_}": id_ for type_, id_ in self.town.fields.items()}
            return subject == f"field:{shown_by.get(attribute)}"
        return subject == attribute

    def _nothing_of_theirs_was_written(self) -> None:
        entries = list(self.town.sandbox.journal.entries)
        for entry in entries[self.written :]:
            if entry.write and entry.path == "/api/v4/leads" and entry.method == "PATCH":
                for item in entry.body:
                    for subject in _named(item):
                        assert (item["id"], subject) not in self.theirs, item
        self.written = len(entries)

    def _pass(self, **span: float) -> None:
        self.clock.shift(timedelta(**span))


def _as_tags(names: list[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def _is_an_edit(body: dict[str, Any]) -> bool:
    both = {tag["name"] for tag in body.get("tags_to_add", ())} & {
        tag["name"] for tag in body.get("tags_to_delete", ())
    }
    return bool(_named(body)) and not both


def _named(body: dict[str, Any]) -> list[str]:
    """Return what a write, of ours or by staff, is about."""
    found = [key for key in ("name", "price", "responsible_user_id") if key in body]
    found += ["stage"] if "status_id" in body or "pipeline_id" in body else []
    found += [f"field:{field['field_id']}" for field in body.get("custom_fields_values") or ()]
    found += [f"tag:{tag['name']}" for key in ("tags_to_add", "tags_to_delete") for tag in body.get(key, ())]
    return found + [f"tag:{name}" for name in body.get("tags", ())]


def _shown(lead: dict[str, Any], subject: str) -> Any:
    """Return what Kommo shows of a thing."""
    kind, _, rest = subject.partition(":")
    if kind == "field":
        values = (field["values"] for field in lead["custom_fields_values"] or () if field["field_id"] == int(rest))
        return next(values, None)
    if kind == "tag":
        return rest in [tag["name"] for tag in lead["_embedded"]["tags"]]
    if kind == "stage":
        return (lead["pipeline_id"], lead["status_id"])
    return lead[subject]


@pytest.fixture
def town(account, kommo, pipeline, sandbox_server) -> Town:
    fields = map_every_type(pipeline, kommo, account)
    store = sandbox_server.sandbox.store
    old = KommoPipeline(OLD_PIPELINE, "Funil de 2019", 90, is_main=False, is_archive=True)
    old.statuses[OLD_STAGE] = Status(OLD_STAGE, "Proposta", OLD_PIPELINE, 10, "#fffeb2")
    store.pipelines[OLD_PIPELINE] = old
    return Town(kommo, sandbox_server.sandbox, copy.deepcopy(store), account, fields)


@pytest.mark.once
def test_what_a_person_set_and_nobody_spoke_of_since_is_what_kommo_shows(town, monkeypatch):
    monkeypatch.setattr(Living, "town", town, raising=False)
    run_state_machine_as_test(
        Living,
        settings=settings(
            max_examples=15,
            # The same examples each time. To look for new ones, raise the number and take this line away.
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
