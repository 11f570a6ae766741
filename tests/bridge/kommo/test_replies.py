"""What Kommo answers, in whichever of its shapes."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kommo.errors import from_answer
from bridge.kommo.replies import ContactReply, Created, EnumReply, FieldReply, LeadReply, PipelineReply
from bridge.kommo.reply_values import ReplyShapeError

FIELD = {"id": 7, "name": "Solução", "type": "select", "code": None}
options = st.fixed_dictionaries(
    {"id": st.integers(1, 2**40), "value": st.text(max_size=20)}, optional={"sort": st.none() | st.integers(0, 999)}
)


@given(st.lists(options, max_size=5))
def test_the_options_of_a_field_are_the_same_as_a_list_and_as_an_object(enums):
    as_object = {str(place): enum for place, enum in enumerate(enums)}
    read = FieldReply.read({**FIELD, "enums": enums})
    assert read == FieldReply.read({**FIELD, "enums": as_object})
    assert read.enums == tuple(EnumReply(enum["id"], enum["value"], enum.get("sort") or 0) for enum in enums)


@pytest.mark.parametrize("none", [{}, {"enums": None}, {"enums": []}, {"enums": {}}])
def test_a_field_without_options_has_none(none):
    assert FieldReply.read({**FIELD, **none}).enums == ()


@pytest.mark.parametrize("odd", [[{"value": "without an id"}], {"0": {"id": "x", "value": "a"}}])
def test_an_option_without_an_id_is_refused_and_not_guessed(odd):
    with pytest.raises(ReplyShapeError):
        FieldReply.read({**FIELD, "enums": odd})


# --- Lists of whatever shape

FIELD_VALUES = [
    {"field_id": 7, "field_code": "PHONE", "values": [{"value": "+5581999990000"}, {"value": "+5581988880000"}]},
    {"field_id": 8, "values": [{"value": "Sim", "enum_id": 9}]},
]
LEAD = {
    "id": 5,
    "name": "Maria",
    "price": 900,
    "pipeline_id": 1,
    "status_id": 2,
    "is_deleted": False,
    "custom_fields_values": FIELD_VALUES,
    "_embedded": {"tags": [{"id": 1, "name": "vip"}, {"id": 2, "name": "solar"}], "contacts": [{"id": 6}, {"id": 4}]},
}


def by_place(value, gap):
    """Every list as PHP writes one from which a row was taken out."""
    if isinstance(value, dict):
        return {key: by_place(inner, gap) for key, inner in value.items()}
    if isinstance(value, list):
        return {str(place + gap): by_place(inner, gap) for place, inner in enumerate(value)}
    return value


@pytest.mark.parametrize("gap", [0, 1, 7])
def test_a_lead_a_contact_and_a_pipeline_are_the_same_with_lists_by_place(gap):
    pipeline = {"id": 1, "name": "Funil", "_embedded": {"statuses": [{"id": 2, "name": "a"}, {"id": 3, "name": "b"}]}}
    for kind, data in ((LeadReply, LEAD), (ContactReply, LEAD), (PipelineReply, pipeline)):
        assert kind.read(by_place(data, gap)) == kind.read(data)
    assert LeadReply.read(by_place(LEAD, gap)).tags == ("vip", "solar")


@pytest.mark.parametrize(
    "change",
    [
        {"custom_fields_values": "?"},
        {"custom_fields_values": 7},
        {"custom_fields_values": [{"field_id": 7, "values": "Sim"}]},
        {"_embedded": {"tags": "vip"}},
        {"_embedded": {"tags": [{"id": 1}]}},
        {"_embedded": {"tags": [7]}},
    ],
)
def test_fields_and_tags_that_cannot_be_read_are_not_taken_for_emptied_ones(change):
    assert LeadReply.read({**LEAD, **change}).unreadable


@pytest.mark.parametrize("none", [None, [], {}])
def test_a_lead_without_fields_and_tags_is_well(none):
    lead = LeadReply.read({**LEAD, "custom_fields_values": none, "_embedded": {"tags": none}})
    assert (lead.unreadable, lead.tags, lead.custom_fields) == ("", (), ())


def test_numbers_told_as_texts_are_numbers():
    as_texts = {
        key: str(value) if isinstance(value, int) else value for key, value in LEAD.items() if key != "is_deleted"
    }
    assert LeadReply.read(as_texts) == LeadReply.read(LEAD)


@pytest.mark.parametrize(
    ("deleted", "is_deleted"), [(True, True), ("1", True), (0, False), ("0", False), ("false", False)]
)
def test_a_lead_is_deleted_only_where_that_is_said(deleted, is_deleted):
    assert LeadReply.read({**LEAD, "is_deleted": deleted}).is_deleted is is_deleted


@pytest.mark.parametrize(
    ("named_leads", "ids"),
    [("a", ("a",)), (7, ("7",)), (["a"], ("a",)), (["a", "b"], ("a", "b")), ({"0": "b", "1": "a"}, ("b", "a")),
     (None, ()), ([], ()), ("", ())],
)  # fmt: skip
def test_what_became_one_lead_is_named_in_whatever_form(named_leads, ids):
    created = Created.read({"id": 5, "contact_id": 6, "request_id": named_leads, "merged": False})
    assert (created.request_ids, created.merged) == (ids, len(ids) > 1)


@pytest.mark.parametrize("culprit", ["a", ["a"], ["b", "a"], {"1": "a"}])
def test_a_refusal_names_its_culprits_in_whatever_form(culprit):
    fault = {"code": "InvalidType", "path": "name", "detail": "…"}
    for errors in ([fault], {"0": fault}, fault):
        for entries in ([refusal_of_one := {"request_id": culprit, "errors": errors}], {"3": refusal_of_one}):
            body = orjson.dumps({"validation-errors": entries})
            own = from_answer("create leads", 400, {}, body, "").about("a", None)
            assert own and own.items[0].path == "name"
