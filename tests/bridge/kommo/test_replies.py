"""What Kommo answers, in whichever of its shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kommo.replies import EnumReply, FieldReply, ReplyShapeError

FIELD = {"id": 7, "name": "Solução", "type": "select", "code": None}
options = st.fixed_dictionaries(
    {"id": st.integers(1, 2**40), "value": st.text(max_size=20)}, optional={"sort": st.none() | st.integers(0, 999)}
)


@given(st.lists(options, max_size=5))
def test_the_options_of_a_field_are_the_same_as_a_list_and_as_an_object(enums):
    as_object = {str(place): enum for place, enum in enumerate(enums)}
    read = FieldReply.read({**FIELD, "enums": enums})
    assert read == FieldReply.read({**FIELD, "enums": as_object})
    assert read.enums == tuple(EnumReply(one["id"], one["value"], one.get("sort") or 0) for one in enums)


@pytest.mark.parametrize("none", [{}, {"enums": None}, {"enums": []}, {"enums": {}}])
def test_a_field_without_options_has_none(none):
    assert FieldReply.read({**FIELD, **none}).enums == ()


@pytest.mark.parametrize("odd", [[{"value": "without an id"}], {"0": {"id": "x", "value": "a"}}])
def test_an_option_without_an_id_is_refused_and_not_guessed(odd):
    with pytest.raises(ReplyShapeError):
        FieldReply.read({**FIELD, "enums": odd})
