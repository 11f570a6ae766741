"""Whatever an account makes of ours, nobody edited it; whatever people type, fact and card agree and stay so."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from bridge.account_traits import form_of
from bridge.cards import kept_forms
from bridge.cards.desired import Gaps, wanted_fields
from bridge.cards.observed import observed
from bridge.cards.value_mapping import our_value
from bridge.kommo import custom_field_values
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Catalogue
from kommo_sandbox import forms
from kommo_sandbox.options import Options
from leads.models import FieldMapping, Pipeline

FIELD, OPTIONS = 7, {1: "Tem piscina", 2: "Bateria", 3: "Carro"}
ZONES = ["America/Sao_Paulo", "Europe/Moscow", "Pacific/Auckland", "UTC"]
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("👍🌞\n "), max_size=300)
OURS = {
    "text": texts,
    "textarea": texts,
    "url": st.sampled_from(["https://a.example/x", "www.example.com", "http://b.example/á b/", "a.example/👍"]),
    "numeric": st.integers(-(10**9), 10**9) | st.decimals(-(10**6), 10**6, places=2).map(float),
    "monetary": st.integers(0, 10**9),
    "checkbox": st.booleans(),
    "date": st.dates(datetime(1980, 1, 1).date(), datetime(2090, 1, 1).date()).map(str),
    "date_time": st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0).isoformat()
    ),
    "select": st.sampled_from(["Piscina", "Bateria", "Carro"]),
    "multiselect": st.lists(st.sampled_from(["Piscina", "Bateria", "Carro"]), min_size=1, unique=True),
}
typed_and_ours = st.sampled_from(sorted(OURS)).flatmap(lambda type_: st.tuples(st.just(type_), OURS[type_]))
kommos = st.builds(
    Options,
    account_time_zone=st.sampled_from(ZONES),
    dates_at_midnight=st.booleans(),
    cut_text_at_emoji=st.booleans(),
    tidy_spaces=st.booleans(),
    unticked_as_empty=st.booleans(),
    other_number_forms=st.booleans(),
)


def side(type_, options):
    """A mapping of that type, and the account it is shown in."""
    mapping = FieldMapping(
        attribute="custom.x", kommo_field="X", type=type_, kommo_field_id=FIELD, options={"Piscina": "Tem piscina"}
    )
    mapping.pipeline = Pipeline(time_zone="America/Sao_Paulo")
    enums = [{"id": id_, "value": name} for id_, name in OPTIONS.items()] if "select" in type_ else []
    catalogue = Catalogue(lead_fields=[{"id": FIELD, "enums": enums}], contact_fields=[], fetched_at=datetime.now(UTC))
    catalogue.account = Account(time_zone=options.account_time_zone, kommo_user_id=5)
    return mapping, catalogue


def wanted(mapping, value, catalogue):
    gaps = Gaps()
    [field] = wanted_fields(
        [mapping], {"custom.x": value}, catalogue, gaps, form_of(catalogue.account), taken_back={"custom.x"}
    )
    assert gaps.sentences == []
    return field


def kept(type_, values, options):
    """What the account holds of the values of a write, as the local Kommo does."""
    call, kept_texts = SimpleNamespace(options=options, by_hand=True), []
    for field in values or ():
        value = field.get("value")
        if "select" in type_:
            kept_texts.append({"enum_id": field["enum_id"], "value": OPTIONS[field["enum_id"]]})
            continue
        if type_ in ("text", "textarea", "url"):
            assert not forms.too_long(call, type_, value)
            value = forms.text(options, value, one_line=type_ != "textarea") or None
        elif type_ in ("date", "date_time"):
            value = forms.moment(options, type_, int(datetime.fromisoformat(value).timestamp()))
        elif type_ == "checkbox":
            value = None if options.unticked_as_empty and not value else value
        else:
            value = forms.number(options, type_, value)
        if value is not None:
            kept_texts.append({"value": value})
    return kept_texts


def read(type_, values, catalogue, **sides):
    shown = [{"field_id": FIELD, "field_type": type_, "values": values}] if values else None
    data = {"id": 1, "name": "Maria", "updated_by": 9, "updated_at": 50, "custom_fields_values": shown}
    reply = LeadReply.read(data, form_of(catalogue.account).zone)
    state = {"known": {}, "doubts": {}, "forms": {}, "unread": {}, "is_own": False, **sides}
    return kept_forms.read(observed(reply), reply, **state).values["fields"].get(str(FIELD))


@given(typed_and_ours, kommos)
def test_what_the_account_keeps_of_ours_is_ours_whoever_touched_the_card_last(drawn, options):
    type_, value = drawn
    mapping, catalogue = side(type_, options)
    ours = wanted(mapping, value, catalogue)
    known = {"name": "Maria", "tags": [], "fields": {str(FIELD): ours.comparable}}

    reading = read(type_, kept(type_, ours.values, options), catalogue, known=known)

    assert reading == ours.comparable


@given(typed_and_ours, kommos)
def test_what_people_type_becomes_a_fact_that_the_card_shows(drawn, options):
    type_, typed = drawn
    mapping, catalogue = side(type_, options)
    # People type on the screen what our words stand for there, whole and with its emoji.
    values = wanted(mapping, typed, catalogue).values
    if type_ in ("text", "textarea", "url") and typed:
        values = [{"value": typed}]
    reading = read(type_, kept(type_, values, options), catalogue)

    fact = our_value(mapping, reading, catalogue)

    assert wanted(mapping, fact, catalogue).agrees(reading) or (type_ == "checkbox" and reading is None)


@given(typed_and_ours, kommos)
def test_a_form_that_nobody_knows_is_learnt_and_known_again(drawn, options):
    type_, value = drawn
    mapping, catalogue = side(type_, options)
    ours = wanted(mapping, value, catalogue)
    sides = {
        "known": {"name": "Maria", "tags": [], "fields": {str(FIELD): ours.comparable}},
        "unread": {"updated_at": 50, "fields": {str(FIELD): ours.comparable}},
    }
    shown = [{"field_id": FIELD, "field_type": "text", "values": [{"value": "another form altogether"}]}]
    data = {"id": 1, "name": "Maria", "updated_by": 5, "updated_at": 50, "custom_fields_values": shown}
    reply = LeadReply.read(data)
    first = kept_forms.read(observed(reply), reply, doubts={}, forms={}, is_own=True, **sides)
    again = kept_forms.read(
        observed(reply), reply, known=first.values, doubts={}, forms=first.forms, unread={}, is_own=False
    )
    assert first.values["fields"] == again.values["fields"] == {str(FIELD): ours.comparable}


def test_fields_knows_the_types_that_are_mapped():
    assert set(OURS) == set(FieldMapping.Type.values)
    assert custom_field_values.CAREFUL.text_limit < 256
