from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import yaml_file
from followups import texts
from followups.texts import BrokenTextError
from leads.models import Lead
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
        # Deeper than any version of Python goes.
        "{{ a" + "[a" * 3000 + "]" * 3000 + " }}",
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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Oi {{ first_nam }}, tudo bem?", "“first_nam” does not exist; did you mean “first_name”? (line 1)"),
        (
            "Oi\n{{ meeting.strats_at }}",
            "“meeting.strats_at” does not exist; did you mean “meeting.starts_at”? (line 2)",
        ),
        ("{% if lead.name %}Oi{% endif %}", "“lead.name” does not exist; did you mean “name”?"),
        ("{{ name.first_name }}", "“name.first_name” does not exist; did you mean"),
        ("{% for one in objection %}{{ one }}{% endfor %}", "“objection” does not exist; did you mean “objections”"),
        ("{{ 'x' | append: billvalue }}", "“billvalue” does not exist; did you mean “bill_value”"),
        ("{{ zzz }}", "“zzz” does not exist; there are: name, first_name,"),
    ],
)
def test_a_name_that_nothing_is_behind_is_refused_with_the_nearest(text, hint):
    texts.check(text)
    with pytest.raises(BrokenTextError) as refused:
        texts.check_names(text)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ custom.anything }}{{ custom['two words'] }}{{ custom[name] }}",
        "{% for one in objections %}{{ one }}{{ forloop.last }}{% endfor %}{{ objections.size }}{{ objections[0] }}",
        "{% assign who = first_name | default: 'você' %}{{ who }}{% capture a %}x{% endcapture %}{{ a }}",
        "{{ meeting.when }} {{ meeting.zone }} {{ meeting['link'] }} {{ name.size }}",
    ],
)
def test_what_a_lead_may_have_and_what_the_text_makes_itself_is_known(text):
    texts.check(text)
    texts.check_names(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{% if name %}Oi", "falta {% endif %} (linha 1)"),
        ("Oi {{ name", "falta fechar com “}}” (linha 1)"),
        ("Oi\n{% nonsense %}", "marca inesperada {% nonsense %} (linha 2)"),
        ("{{ name | nope }}", "filtro desconhecido “nope” (linha 1)"),
        ("{{ first name }}", "há uma palavra ou um sinal a mais entre as chaves (linha 1)"),
        ("Oi {{ first_nam }}", "“first_nam” não existe; você quis dizer “first_name”? (linha 1)"),
    ],
)
def test_the_usual_mistakes_are_told_in_the_readers_language(text, hint):
    with translation.override("pt-br"), pytest.raises(BrokenTextError) as refused:
        texts.check(text)
        texts.check_names(text)
    assert str(refused.value) == hint


@pytest.mark.parametrize(
    ("text", "hole"),
    [
        ("Oi {{ first_name }}, tudo bem?", "Oi , tudo bem?"),
        ("Olá {{ first_name }}!", "Olá !"),
        ("{{ first_name }}, tudo bem?", ", tudo bem?"),
        ("Entre aqui: {{ meeting.link }}", "Entre aqui:"),
    ],
)
def test_a_text_that_leaves_a_hole_where_something_is_not_known_is_shown_with_it(text, hole):
    assert texts.holes(text) == [hole]


@pytest.mark.parametrize(
    "text",
    ["Oi{% if first_name %}, {{ first_name }}{% endif %}! Tudo bem?", "Oi :) e ... tudo?", "Oi ! Tudo ?", "R$ 4,50"],
)
def test_a_text_without_holes_is_let_pass(text):
    assert texts.holes(text) == []


def test_every_text_that_is_shipped_is_whole():
    for step in playbook_texts():
        texts.check(step)
        texts.check_names(step)
        assert texts.holes(step) == []


def test_who_is_not_reminded_of_a_meeting_may_have_none():
    assert texts.holes("Reunião: {{ meeting.when }}.") == []
    assert texts.holes("Reunião: {{ meeting.when }}.", has_meeting=False) == ["Reunião: ."]


def playbook_texts() -> list[str]:
    playbooks = [yaml_file.parse(path.read_bytes()) for path in Path("playbooks").glob("*.yaml")]
    written = [
        step.text or step.instruction
        for book in playbooks
        for each in book.pipelines
        for row in each.sequences
        for step in row.steps
    ]
    assert len(written) > 6
    return written


@given(st.text(max_size=60))
def test_any_text_renders_or_is_called_broken(text):
    try:
        assert isinstance(texts.render(text, {"name": "Maria"}), str)
    except BrokenTextError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("bill", "rendered"), [(Decimal("4500.00"), "4500, 900.0"), (Decimal("4500.50"), "4500.5, 900.1"), (None, ", 0.0")]
)
def test_a_text_can_count_with_the_bill(conversation, bill, rendered):
    lead = conversation.lead_writes()
    lead.bill_value = bill
    assert texts.render("{{ bill_value }}, {{ bill_value | times: 0.2 }}", texts.facts_of(lead, at=TUESDAY)) == rendered


@pytest.mark.parametrize(
    ("text", "rendered"),
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
def test_a_range_is_cut_by_arithmetic_to_the_rounds_that_are_asked_for(text, rendered):
    assert texts.render(text, {}) == rendered


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


@pytest.mark.parametrize("sought", ["'x'", "7.5", "name", "custom.n"])
def test_a_range_is_not_walked_for_what_it_cannot_hold(sought):
    text = f"{{% if (1..99999999999) contains {sought} %}}yes{{% else %}}no{{% endif %}}"

    assert texts.render(text, {"name": "Ana", "custom": {"n": 1.5}}) == "no"


def test_a_range_knows_its_numbers():
    assert texts.render("{% if (1..99999999999) contains 99999999998 %}yes{% endif %}", {}) == "yes"


@pytest.mark.parametrize("beginning", ["{{", "{{-", "{%a", "{%a{%a{%a", "{%raw", "{{ a }}{{"])
@pytest.mark.parametrize("filling", [" ", "\n", "a ", "- "])
def test_an_opening_that_nothing_closes_is_refused_before_liquid_looks_for_the_end(beginning, filling, monkeypatch):
    monkeypatch.setattr(texts._environment, "from_string", None)

    with pytest.raises(texts.BrokenTextError, match=r"[}%]}"):
        texts.render("Oi\n" + beginning + filling * 1500, {})


def test_filters_within_loops_are_counted():
    """Each is bounded, and some ten thousand of them took minutes."""
    filters = "{% assign y = x | split: '' | sort | uniq | join: 'a' %}" * 50

    with pytest.raises(texts.BrokenTextError, match="at most 1000 filters"):
        texts.render(f"{{% for i in (1..200) %}}{filters}{{% endfor %}}Oi", {"x": "ab" * 2000})


def test_what_one_text_used_up_is_there_again_for_the_next():
    text = "{% for i in (1..200) %}{{ 'a' | upcase | downcase | upcase }}{% endfor %}"

    assert [len(texts.render(text, {})) for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("chained", [3, 60, 320])
def test_numbers_do_not_grow_until_multiplying_them_takes_minutes(chained):
    grown = "{% assign n = 99999999999999999 %}" + "{% assign n = n | times: n %}" * 11

    with pytest.raises(texts.BrokenTextError, match="too many digits"):
        texts.render(grown + "{{ n" + " | times: n" * chained + " | minus: n }}", {})


def test_filters_that_make_millions_of_signs_count_for_more():
    text = "{% for i in (1..190) %}{{ x | replace: 'a', x | size }}{% endfor %}"

    assert texts.render(text, {"x": "a" * 100})
    with pytest.raises(texts.BrokenTextError, match="at most 1000 filters"):
        texts.render(text, {"x": "a" * 4000})


@pytest.mark.parametrize("made", ["sort", "reverse", 'join: "," | split: ","', "concat: objections"])
def test_what_compares_each_with_all_looks_at_few(made):
    rendered = texts.render(
        f"{{% assign all = (1..4000) | {made} | uniq %}}{{{{ all | size }}}}", {"objections": ["a"]}
    )

    assert 1 <= int(rendered) <= 100


def test_a_text_knows_where_the_lead_wrote_from(pipeline):
    lead = Lead.objects.create(
        pipeline=pipeline, phone_key="instagram:maria.souza", stage_set_at=TUESDAY, created_at=TUESDAY,
        updated_at=TUESDAY,
    )  # fmt: skip
    facts = texts.facts_of(lead, at=TUESDAY)
    text = "{% if channel == 'instagram' %}Vi você no Instagram, @{{ address }}!{% endif %}{{ phone }}"
    assert texts.render(text, facts) == "Vi você no Instagram, @maria.souza!"
    assert texts.unknown_names(text) == []
