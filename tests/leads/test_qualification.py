"""Three answers: qualified, disqualified, undecided; and not knowing is never failing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.qualification import Outcome, Verdict, assess, check
from leads.rules import Criterion, QualificationRule

BILL = Criterion(1, "bill_value", "gte", 400, disqualifies=True)
# What the pipeline is shipped with.
SHIPPED = QualificationRule(min_score=Decimal(70), criteria=(BILL,))


def verdict(operator, value, wanted=None):
    return check(Criterion(1, "x", operator, wanted), {"x": value}).verdict


def test_a_score_of_at_least_the_minimum_qualifies():
    assessment = assess({"qualification_score": Decimal("82.00")}, SHIPPED, None)

    assert assessment.outcome is Outcome.QUALIFIED
    assert assessment.reason == "qualification_score 82 >= 70"
    assert assessment.rule == "qualification:qualification_score"


def test_the_minimum_itself_is_enough():
    assert assess({"qualification_score": 70}, SHIPPED, None).outcome is Outcome.QUALIFIED


def test_a_score_below_the_minimum_disqualifies():
    assessment = assess({"qualification_score": 40}, SHIPPED, None)

    assert (assessment.outcome, assessment.reason) == (Outcome.DISQUALIFIED, "qualification_score 40 < 70")


def test_a_bill_too_low_disqualifies_whatever_the_score():
    assessment = assess({"qualification_score": 95, "bill_value": Decimal("250.50")}, SHIPPED, None)

    assert (assessment.outcome, assessment.reason) == (Outcome.DISQUALIFIED, "bill_value 250.50 < 400")


def test_the_reason_names_every_criterion_that_failed():
    assessment = assess({"qualification_score": 40, "bill_value": 250}, SHIPPED, None)

    assert assessment.reason == "bill_value 250 < 400; qualification_score 40 < 70"


@pytest.mark.parametrize("score", [None, "", "unknown", "8/10", float("nan"), True, [], {}])
def test_an_unknown_score_is_not_a_low_score(score):
    assessment = assess({"qualification_score": score}, SHIPPED, None)

    assert assessment.outcome is Outcome.UNDECIDED
    assert assessment.criteria[-1].verdict is Verdict.UNKNOWN


def test_nothing_known_is_undecided_and_says_what_is_missing():
    assessment = assess({}, SHIPPED, None)

    assert (assessment.outcome, assessment.reason) == (Outcome.UNDECIDED, "qualification_score is not known yet")


def test_a_score_of_zero_is_known_and_low():
    assert assess({"qualification_score": 0}, SHIPPED, None).outcome is Outcome.DISQUALIFIED


def test_the_minimum_score_is_the_one_that_staff_set():
    rule = QualificationRule(min_score=Decimal("82.5"))

    assert assess({"qualification_score": 82}, rule, None).reason == "qualification_score 82 < 82.5"


def test_every_required_criterion_has_to_be_met():
    rule = QualificationRule(
        criteria=(
            Criterion(1, "is_decision_maker", "is_true", required=True),
            Criterion(2, "name", "is_set", required=True),
        )
    )

    assert assess({"name": "Maria"}, rule, None).outcome is Outcome.UNDECIDED
    assert assess({"name": "Maria", "is_decision_maker": False}, rule, None).outcome is Outcome.UNDECIDED
    assert assess({"name": "Maria", "is_decision_maker": True}, rule, None).outcome is Outcome.QUALIFIED


def test_a_criterion_that_neither_is_required_nor_disqualifies_decides_nothing():
    rule = QualificationRule(min_score=Decimal(70), criteria=(Criterion(1, "bill_value", "gte", 4000),))

    assessment = assess({"qualification_score": 80, "bill_value": 500}, rule, None)

    assert assessment.outcome is Outcome.QUALIFIED
    assert assessment.criteria[0].verdict is Verdict.FAILED


def test_without_a_required_criterion_nobody_is_qualified():
    assessment = assess({"bill_value": 9000}, QualificationRule(criteria=(BILL,)), None)

    assert (assessment.outcome, assessment.rule) == (Outcome.UNDECIDED, "qualification")
    assert assessment.reason == "no criterion is required, so nothing says who is qualified"


def test_a_criterion_holds_for_its_flows_alone():
    rule = QualificationRule(
        min_score=Decimal(70),
        criteria=(Criterion(1, "bill_value", "gte", 4000, ("Aluguel de Lote",), disqualifies=True),),
    )
    facts = {"qualification_score": 80, "bill_value": 500}

    assert assess(facts, rule, "Aluguel de Lote").outcome is Outcome.DISQUALIFIED
    assert assess(facts, rule, "aluguel  de lote").outcome is Outcome.DISQUALIFIED
    assert assess(facts, rule, "Aluguel").outcome is Outcome.QUALIFIED
    assert assess(facts, rule, None).outcome is Outcome.QUALIFIED


@pytest.mark.parametrize(
    ("operator", "value", "wanted"),
    [
        ("gte", 400, 400),
        ("gt", 401, 400),
        ("lte", Decimal("400.00"), 400),
        ("lt", 399.99, "400"),
        ("gte", "400.50", 400),
        ("eq", Decimal("7.0"), 7),
        ("eq", "Usina Própria", "usina_propria"),
        ("eq", True, True),
        ("ne", "B", "A"),
        ("in", "preço", ["Preço", "timing"]),
        ("in", 3, [1, 2, 3]),
        ("not_in", "preço", ["timing"]),
        ("is_true", True, None),
        ("is_false", False, None),
        ("is_set", 0, None),
        ("is_set", False, None),
        ("is_not_set", None, None),
        ("is_not_set", "", None),
    ],
)
def test_a_criterion_is_met(operator, value, wanted):
    assert verdict(operator, value, wanted) is Verdict.MET


@pytest.mark.parametrize(
    ("operator", "value", "wanted"),
    [
        ("gte", 399, 400),
        ("gt", 400, 400),
        ("lte", 401, 400),
        ("lt", 400, 400),
        ("eq", "Usina", "Usina Própria"),
        ("ne", "usina própria", "Usina Própria"),
        ("in", "preço", ["timing"]),
        ("not_in", "preço", ["Preço"]),
        ("is_true", False, None),
        ("is_false", True, None),
        ("is_set", None, None),
        ("is_not_set", "x", None),
    ],
)
def test_a_criterion_has_failed(operator, value, wanted):
    assert verdict(operator, value, wanted) is Verdict.FAILED


@pytest.mark.parametrize(
    ("operator", "value", "wanted"),
    [
        ("gte", None, 400),
        ("gte", "", 400),
        ("gte", "alto", 400),
        ("gte", True, 1),
        ("gte", 500, "muito"),
        ("gte", 500, None),
        ("eq", "sim", True),
        ("eq", 1, True),
        ("eq", "cinco", 5),
        ("eq", "x", None),
        ("ne", "cinco", 5),
        ("in", "x", []),
        ("in", "x", "xyz"),
        ("not_in", None, ["x"]),
        ("is_true", "sim", None),
        ("is_true", None, None),
        ("is_false", 0, None),
        ("no such operator", 1, 1),
    ],
)
def test_what_cannot_be_compared_is_unknown(operator, value, wanted):
    assert verdict(operator, value, wanted) is Verdict.UNKNOWN


def test_a_text_that_may_be_thousands_is_not_compared():
    result = check(BILL, {"bill_value": "4.500"})

    assert (result.verdict, result.text) == (Verdict.UNKNOWN, "bill_value 4.500 cannot be compared with 400")


@pytest.mark.parametrize(
    ("operator", "value", "wanted", "text"),
    [
        ("is_set", "a", None, "x is known"),
        ("is_set", None, None, "x is not known"),
        ("is_not_set", "a", None, "x is known"),
        ("is_true", True, None, "x is yes"),
        ("is_true", False, None, "x is no"),
        ("is_false", False, None, "x is no"),
        ("is_true", "maybe", None, "x maybe is neither yes nor no"),
        ("gte", 3, 5, "x 3 < 5"),
        ("in", "b", ["a", "b"], "x b in a, b"),
        ("not_in", "b", ["a", "b"], "x b in a, b"),
        ("eq", True, False, "x yes != no"),
        ("eq", None, 5, "x is not known yet"),
    ],
)
def test_a_criterion_says_what_it_found(operator, value, wanted, text):
    assert check(Criterion(1, "x", operator, wanted), {"x": value}).text == text


def test_a_number_of_the_machines_is_the_one_it_shows():
    assert verdict("eq", 0.1, "0.1") is Verdict.MET


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("y" * 80, "y" * 80),
        ("y" * 81, "y" * 79 + "…"),
        (10**20, "100000000000000000000"),
        (10**21, "1.00000e+21"),
    ],
)
def test_a_reason_shows_a_value_as_far_as_it_can_be_read(value, shown):
    assert check(Criterion(1, "x", "eq", "z"), {"x": value}).text.startswith(f"x {shown} ")


def test_a_reason_cuts_what_is_long():
    assert len(check(Criterion(1, "x", "eq", "y" * 4000), {"x": "z" * 4000}).text) < 200
    assert len(check(Criterion(1, "x", "gt", 1), {"x": 10**5000}).text) < 200


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.lists(st.integers() | st.text(), max_size=3)
    | st.just(datetime(2026, 11, 22, tzinfo=UTC))
)
FIELDS = st.sampled_from(["qualification_score", "bill_value", "custom.kwh", "is_decision_maker"])
OPERATORS = st.sampled_from(
    ["gte", "gt", "lte", "lt", "eq", "ne", "in", "not_in", "is_true", "is_false", "is_set", "is_not_set", "odd"]
)
FLOWS = st.sampled_from(["Aluguel de Lote", "Compra com Desconto"])
CRITERIA = st.builds(
    Criterion,
    id=st.integers(1, 9),
    field=FIELDS,
    operator=OPERATORS,
    value=VALUES,
    flows=st.lists(FLOWS, max_size=2).map(tuple),
    required=st.booleans(),
    disqualifies=st.booleans(),
)
RULES = st.builds(
    QualificationRule,
    min_score=st.none() | st.decimals(0, 100, places=2),
    criteria=st.lists(CRITERIA, max_size=4).map(tuple),
)
ATTRIBUTES = st.dictionaries(FIELDS, VALUES)


@given(attributes=ATTRIBUTES, rule=RULES, flow=st.none() | FLOWS | st.text())
def test_any_facts_get_an_answer_with_a_reason(attributes, rule, flow):
    assessment = assess(attributes, rule, flow)

    assert assessment.reason
    assert all(result.text for result in assessment.criteria)
    assert assess(attributes, rule, flow) == assessment


@given(rule=RULES, flow=st.none() | FLOWS, empty=st.sampled_from([None, ""]))
def test_unknown_facts_never_disqualify(rule, flow, empty):
    asking = tuple(criterion for criterion in rule.criteria if criterion.operator not in ("is_set", "is_not_set"))
    rule = QualificationRule(rule.min_score, asking)
    everything_empty = dict.fromkeys(["qualification_score", "bill_value", "custom.kwh", "is_decision_maker"], empty)

    assert assess(everything_empty, rule, flow).outcome is Outcome.UNDECIDED
    assert assess({}, rule, flow).outcome is Outcome.UNDECIDED


@given(attributes=ATTRIBUTES, rule=RULES, flow=st.none() | FLOWS, forgotten=FIELDS)
def test_knowing_less_never_disqualifies_anybody(attributes, rule, flow, forgotten):
    rule = QualificationRule(
        rule.min_score, tuple(criterion for criterion in rule.criteria if criterion.operator != "is_set")
    )
    less = {field: value for field, value in attributes.items() if field != forgotten}

    if assess(attributes, rule, flow).outcome is not Outcome.DISQUALIFIED:
        fatal = [result for result in assess(less, rule, flow).criteria if result.verdict is Verdict.FAILED]
        assert all(result.criterion.operator == "is_not_set" or not result.criterion.disqualifies for result in fatal)
