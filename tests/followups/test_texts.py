from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups import texts
from followups.texts import BrokenTextError
from tests.followups.conftest import TUESDAY


def test_what_is_not_known_is_left_empty():
    assert texts.render("Oi, {{ first_name }}{{ meeting.link }}!", {}) == "Oi, !"


@pytest.mark.parametrize(
    "text", ["Oi {{ name", "{% if name %}Oi", "{% nonsense %}", "{{ name | no_such_filter }}", "  "]
)
def test_a_broken_text_is_refused_with_a_sentence(text):
    with pytest.raises(BrokenTextError, match=r"\w+"):
        texts.check(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        # Each of these says nothing wrong to a lead of whom nothing is known.
        ("Oi\n{% if custom.kwh > 500 %}{{ name | no_such_filter }}{% endif %}", r"no_such_filter.*line 2"),
        ("{% if meeting %}{% break %}{% endif %}Oi", "break"),
        ("{% if name %}{{ name | base64_decode }}{% endif %}Oi", "base64"),
    ],
)
def test_a_text_that_would_break_only_on_the_lead_it_is_meant_for_is_refused_when_saved(text, why):
    with pytest.raises(BrokenTextError, match=why):
        texts.check(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ '1e9999' | ceil }}",
        "{{ 'é' | base64_decode }}",
        "{{ a" + "[a" * 900 + "]" * 900 + " }}",
        "{% assign n = 99999999 %}{% for i in (1..10) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
    ],
)
def test_what_python_stumbles_over_inside_liquid_is_a_broken_text_too(text):
    with pytest.raises(BrokenTextError):
        texts.render(text, {})


@pytest.mark.parametrize("text", ["{% include 'x' %}", "{% render 'x' %}"])
def test_there_are_no_other_templates_to_take_in(text):
    with pytest.raises(BrokenTextError, match="unexpected tag"):
        texts.check(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ (1..100000000) | join }}",
        "{{ (1..100000000) | reverse | join }}",
        "{% assign s = '" + "x" * 1000 + "' %}{{ s | replace: 'x', s | replace: 'x', s | replace: 'x', s }}",
    ],
)
def test_a_filter_makes_no_more_than_fits_into_a_text(text):
    assert 0 < len(texts.render(text, {})) <= texts.LONGEST_TEXT


@pytest.mark.parametrize(
    "text", ["{% for i in (1..100000000) %}x{% endfor %}", "{% for i in (1..190) %}" + "x" * 4000 + "{% endfor %}"]
)
def test_a_text_cannot_hold_up_the_worker(text):
    with pytest.raises(BrokenTextError):
        texts.check(text)


@given(st.text(max_size=60))
def test_any_text_renders_or_is_called_broken(text):
    try:
        assert isinstance(texts.render(text, {"name": "Maria"}), str)
    except BrokenTextError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("bill", "said"), [(Decimal("4500.00"), "4500, 900.0"), (Decimal("4500.50"), "4500.5, 900.1"), (None, ", 0.0")]
)
def test_a_text_can_count_with_the_bill(conversation, bill, said):
    lead = conversation.lead_writes()
    lead.bill_value = bill
    assert texts.render("{{ bill_value }}, {{ bill_value | times: 0.2 }}", texts.facts_of(lead, at=TUESDAY)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", "123"),
        ("{% for i in (1..9) reversed limit:3 offset:2 %}{{ i }}{% endfor %}", "543"),
        ("{% for i in (1..9) limit:2 %}{{ i }}{% endfor %}"
         "{% for i in (1..9) limit:2 offset:continue %}{{ i }}{% endfor %}", "1234"),
        ("{% for i in (5..1) %}{{ i }}{% else %}none{% endfor %}", "none"),
        ("{% for i in (1..99999999999) offset: 99999999997 %}{{ i }} {% endfor %}", "99999999998 99999999999"),
        ("{% for i in (1..99999999999) limit: 2 %}{{ i }}{% endfor %}", "12"),
        ("{% for i in (1..9) offset: 20 %}{{ i }}{% endfor %}.", "."),
        ("{% for i in (1..9) limit: 0 %}{{ i }}{% endfor %}.", "."),
    ],
)  # fmt: skip
def test_a_range_is_cut_by_arithmetic_to_the_rounds_that_are_asked_for(text, said):
    assert texts.render(text, {}) == said


@pytest.mark.parametrize("tag", ["for", "tablerow"])
@pytest.mark.parametrize("more", ["", " reversed", " offset: 3"])
@pytest.mark.parametrize("end", ["300", "100000000", "99999999999999999999999", "custom.n"])
def test_more_rounds_than_a_message_needs_are_refused_before_the_first(tag, more, end):
    text = f"{{% {tag} i in (1..{end}){more} %}}{{{{ i }}}}{{% end{tag} %}}"

    with pytest.raises(texts.BrokenTextError, match="at most 200 rounds"):
        texts.render(text, {"custom": {"n": 10**12}})


@pytest.mark.parametrize("opening", ["{{", "{%", "{{ a }}", "{{-", "{% if a %}", "{%raw%}", "{{ ", "{{ a a a "])
def test_a_text_of_nothing_but_openings_is_refused_before_it_is_read(opening):
    with pytest.raises(texts.BrokenTextError, match="openings"):
        texts.render((opening * 2000)[: texts.LONGEST_TEXT], {})


def test_a_text_longer_than_a_message_is_refused_before_it_is_read():
    with pytest.raises(texts.BrokenTextError, match="4001 characters"):
        texts.render("x" * 4001, {})
