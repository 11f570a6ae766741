"""Through the whole road, for every type of field: what the agent says stays said, what staff type stays theirs.

Whatever form the account keeps values in, nobody's edit is found in it; fact and card agree, and nothing is sent again.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.accounts.connection import client_for
from bridge.configuration.connecting import Connection
from bridge.kommo.custom_field_values import TEXTS, normal_text, without_emoji
from bridge.models import Card, Drift
from leads.models import Event, FieldMapping
from tests.bridge.mapped import OPTIONS, read_back, shown, type_in
from tests.conftest import drain, lead_of, record

# A fact -> the type of its mapping here, and of its field in Kommo: every type there, and those that stand in for ours.
FACTS = {
    "text": ("text", "text"),
    "street": ("text", "streetaddress"),
    "campaign": ("text", "tracking_data"),
    "long_in_short": ("textarea", "text"),
    "textarea": ("textarea", "textarea"),
    "url": ("url", "url"),
    "numeric": ("numeric", "numeric"),
    "monetary": ("monetary", "monetary"),
    "checkbox": ("checkbox", "checkbox"),
    "date": ("date", "date"),
    "birthday": ("date", "birthday"),
    "date_as_moment": ("date", "date_time"),
    "date_time": ("date_time", "date_time"),
    "moment_as_date": ("date_time", "date"),
    "select": ("select", "select"),
    "radiobutton": ("select", "radiobutton"),
    "multiselect": ("multiselect", "multiselect"),
}
# What no fact of ours is shown in: staff alone fill it in, and it stays as it is.
THEIRS = {
    "smart_address": [{"value": "Rua A, 5", "enum_code": "address_line_1"}, {"value": "Recife", "enum_code": "city"}],
    "legal_entity": [{"value": {"name": "Padaria", "entity_type": 1}}],
}
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
PHONES = (f"+55819{number:08}" for number in itertools.count(80_000_000))
words = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("👍🌞\n  "), min_size=1, max_size=300)
moments = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0).isoformat()
)
numbers = st.integers(-(10**9), 10**9) | st.decimals(-(10**6), 10**6, places=2).map(float)
choices = st.sampled_from(sorted(OPTIONS))
OURS = {
    "text": words,
    "textarea": words,
    "url": st.sampled_from(["https://a.example/x", "www.example.com", "http://b.example/á b/", "a.example/👍"]),
    "numeric": numbers,
    "monetary": numbers,
    "checkbox": st.booleans(),
    "date": st.dates(date(1980, 1, 1), date(2090, 1, 1)).map(str),
    "date_time": moments,
    "select": choices,
    "multiselect": st.lists(choices, min_size=1, unique=True),
}
TYPED = {
    "url": st.sampled_from(["https://a.example/x", "www.example.org"]).map(lambda link: {"value": link}),
    "checkbox": st.booleans().map(lambda tick: {"value": tick}),
    **dict.fromkeys(("text", "streetaddress", "tracking_data", "textarea"), words.map(lambda word: {"value": word})),
    **dict.fromkeys(("numeric", "monetary", "price"), numbers.map(lambda number: {"value": str(number)})),
    **dict.fromkeys(("date", "birthday", "date_time"), moments.map(lambda moment: {"value": moment})),
    **dict.fromkeys(("select", "radiobutton", "multiselect"), choices.map(lambda option: {"value": OPTIONS[option]})),
}
# What accounts differ in, each by itself: a mixture is no account anybody has, and finds what one alone hides.
kommos = st.fixed_dictionaries(
    {
        "account_time_zone": st.just("America/Sao_Paulo"),
        "dates_at_midnight": st.booleans(),
        "cut_text_at_emoji": st.booleans(),
        "tidy_spaces": st.booleans(),
        "strict_links": st.booleans(),
        "unticked_as_empty": st.booleans(),
        "other_number_forms": st.booleans(),
        "writes_are_by": st.sampled_from(["user", "robot"]),
    }
)
said_by_the_agent = st.fixed_dictionaries({name: OURS[ours] for name, (ours, _) in FACTS.items()})
typed_by_staff = st.fixed_dictionaries({name: TYPED[theirs] for name, (_, theirs) in FACTS.items()})
through_the_road = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def fields(account, pipeline):
    """One field of each type in the account, and a fact shown in each: fact -> field id."""
    bodies = [{"name": f"Um {name}", "type": theirs, "request_id": name} for name, (_, theirs) in FACTS.items()]
    bodies += [{"name": f"Um {theirs}", "type": theirs, "request_id": theirs} for theirs in THEIRS]
    for body in bodies:
        if body["type"] in ("select", "radiobutton", "multiselect"):
            body["enums"] = [{"value": option, "sort": sort} for sort, option in enumerate(OPTIONS.values(), 1)]
    made = client_for(account).create_custom_fields("leads", bodies)
    for name, (ours, _) in FACTS.items():
        FieldMapping.objects.create(
            pipeline=pipeline,
            attribute=f"custom.{name}",
            kommo_field=f"Um {name}",
            type=ours,
            options=OPTIONS if "select" in ours else {},
        )
    pipeline.rules_changed()
    report = Connection(account, client_for(account), create_missing=False, now=timezone.now()).connect(None)
    assert report.missing == []
    pipeline.refresh_from_db()
    return {field.name.removeprefix("Um "): field.id for field in made}


def come_to_rest(account):
    for _ in range(2):
        read_back(account)
        drain(account)


def assert_at_rest(account, kommo):
    before = len(kommo.writes())
    come_to_rest(account)
    assert len(kommo.writes()) == before


@through_the_road
@given(people=st.lists(said_by_the_agent, min_size=1, max_size=3), options=kommos)
def test_what_the_agent_said_is_kept_and_nobody_has_edited_it(account, pipeline, kommo, fields, people, options):
    kommo.post("options", options)
    facts_of = dict(zip(PHONES, people, strict=False))
    for phone, facts in facts_of.items():
        record(pipeline, phone, custom=facts)
    drain(account)
    come_to_rest(account)

    assert_at_rest(account, kommo)
    for phone, facts in facts_of.items():
        lead = lead_of(phone)
        assert {name: lead.custom.get(name) for name in facts} == facts
        assert lead.card.state == Card.State.IN_SYNC, lead.card.waiting_reason
    assert not Event.objects.filter(kind=Event.Kind.STAFF_EDIT).exists()
    assert not Drift.objects.exists()


@through_the_road
@given(reported=said_by_the_agent, typed=typed_by_staff, options=kommos)
def test_what_staff_typed_is_a_fact_and_stays_on_the_card(account, pipeline, kommo, fields, reported, typed, options):
    kommo.post("options", options)
    phone = next(PHONES)
    record(pipeline, phone, custom=reported)
    drain(account)
    come_to_rest(account)
    kommo_id = lead_of(phone).card.kommo_lead_id
    for name, value in typed.items():
        type_in(kommo, kommo_id, fields[name], value)
    for theirs, values in THEIRS.items():
        type_in(kommo, kommo_id, fields[theirs], *values)
    in_kommo = kommo.lead(kommo_id)["custom_fields_values"]

    come_to_rest(account)
    # The agent says again what it said before, and something that is new.
    record(pipeline, phone, name="Maria Souza", custom=reported)
    drain(account)

    assert_at_rest(account, kommo)
    assert kommo.lead(kommo_id)["custom_fields_values"] == in_kommo
    lead = lead_of(phone)
    assert lead.card.state == Card.State.IN_SYNC, lead.card.waiting_reason
    for name, (ours, theirs) in FACTS.items():
        assert_says(ours, theirs, lead.custom.get(name), shown(kommo, kommo_id, fields[name]))


def assert_says(ours, theirs, fact, values):
    """A fact says what people see in the card's field."""
    value = values[0]["value"] if values else None
    if isinstance(fact, str) and theirs in TEXTS and theirs != "url":
        # A card shows no emoji, and of a fact without anything else nothing.
        assert plain(fact) == plain(value or "")
    elif value is None:
        assert fact in (None, False, [])
    elif "select" in ours:
        names = sorted(OPTIONS[option] for option in (fact if isinstance(fact, list) else [fact]))
        assert names == sorted(each_value["value"] for each_value in values)
    elif ours in ("numeric", "monetary"):
        assert Decimal(str(fact)) == Decimal(str(value))
    elif ours == "checkbox":
        assert fact is value
    elif theirs in ("date", "birthday"):
        assert moment_of(fact).date() == datetime.fromtimestamp(value, SAO_PAULO).date()
    elif theirs == "date_time":
        assert moment_of(fact).timestamp() == value
    else:
        assert fact == value


def plain(text):
    return " ".join(without_emoji(normal_text(text)).split())


def moment_of(fact):
    moment = datetime.fromisoformat(fact)
    return moment.astimezone(SAO_PAULO) if moment.tzinfo else moment.replace(tzinfo=SAO_PAULO)
