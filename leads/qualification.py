"""Is this lead qualified? Three answers, because not knowing is never failing. Pure.

A value that is missing, or that cannot be compared with what the criterion asks for, is unknown: it neither meets nor
fails the criterion. Only `is_set` and `is_not_set` have an answer for everything, since they ask exactly that.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from common.name_spellings import name_key
from common.reasons import Reason, several
from leads.rules import Criterion, QualificationRule


class Outcome(StrEnum):
    QUALIFIED = "qualified"
    DISQUALIFIED = "disqualified"
    UNDECIDED = "undecided"


class Verdict(StrEnum):
    MET = "met"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CriterionResult:
    criterion: Criterion
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Assessment:
    """The outcome, the sentence that explains it, the rule that decided, and how every criterion came out."""

    outcome: Outcome
    reason: str
    rule: str
    criteria: tuple[CriterionResult, ...]

    @property
    def fatal(self) -> tuple[CriterionResult, ...]:
        """Return the failed criteria that disqualify, each a ground of its own."""
        return tuple(
            result for result in self.criteria if result.verdict is Verdict.FAILED and result.criterion.disqualifies
        )


SCORE_FIELD = "qualification_score"
SIGNS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "eq": "=", "ne": "!=", "in": "in", "not_in": "not in"}
OPPOSITES = {"gte": "<", "gt": "<=", "lte": ">", "lt": ">=", "eq": "!=", "ne": "=", "in": "not in", "not_in": "in"}
ORDERINGS = {">=": "fact_at_least", ">": "fact_above", "<=": "fact_at_most", "<": "fact_below"}
ORDERED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
# A text is read as a number only where every country reads the same: "4.500" may be thousands.
PLAIN_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,2})?", re.ASCII)
# What a reason shows of a value: characters of a text, digits of a number before it is rounded.
LONGEST_SHOWN = 80
LONGEST_NUMBER = 20


def assess(attributes: Mapping[str, object], rule: QualificationRule, flow: str | None) -> Assessment:
    """Return whether the lead is qualified.

    Disqualified when a criterion that disqualifies has failed; qualified when every required one is met; otherwise
    undecided. The minimum score is both: required, and disqualifying. A criterion for other flows is left out, and so
    is one for certain flows while the lead has chosen none. Never raises.
    """
    results = tuple(check(criterion, attributes) for criterion in _applying(rule, flow))
    fatal = [result for result in results if result.verdict is Verdict.FAILED and result.criterion.disqualifies]
    if fatal:
        return _assessment(Outcome.DISQUALIFIED, fatal, results)
    required = [result for result in results if result.criterion.required]
    not_met = [result for result in required if result.verdict is not Verdict.MET]
    if not_met:
        return _assessment(Outcome.UNDECIDED, not_met, results)
    if required:
        return _assessment(Outcome.QUALIFIED, required, results)
    reason = Reason("no_criterion_required")
    return Assessment(Outcome.UNDECIDED, reason, "qualification", results)


def check(criterion: Criterion, attributes: Mapping[str, object]) -> CriterionResult:
    """Hold one criterion against what is known."""
    value, asked = attributes.get(criterion.field), criterion.operator
    known = value is not None and value != ""
    if asked in ("is_set", "is_not_set"):
        text = Reason("fact_known" if known else "fact_not_known", attribute=criterion.field)
        return _result(criterion, known is (asked == "is_set"), text)
    if not known:
        return CriterionResult(criterion, Verdict.UNKNOWN, Reason("fact_not_known_yet", attribute=criterion.field))
    if asked in ("is_true", "is_false"):
        if not isinstance(value, bool):
            return CriterionResult(
                criterion,
                Verdict.UNKNOWN,
                Reason("fact_neither_yes_nor_no", attribute=criterion.field, value=_show(value)),
            )
        text = Reason("fact_is_yes" if value else "fact_is_no", attribute=criterion.field)
        return _result(criterion, value is (asked == "is_true"), text)
    holds = _holds(asked, value, criterion.value)
    if holds is None:
        text = Reason(
            "fact_cannot_be_compared", attribute=criterion.field, value=_show(value), other=_show(criterion.value)
        )
        return CriterionResult(criterion, Verdict.UNKNOWN, text)
    sign = (SIGNS if holds else OPPOSITES)[asked]
    return _result(criterion, holds, _compared(criterion.field, _show(value), sign, _show(criterion.value)))


def _compared(fact: str, value: str, sign: str, wanted: str) -> Reason:
    if sign in ("in", "not in"):
        return Reason("fact_in" if sign == "in" else "fact_not_in", attribute=fact, value=value, values=wanted)
    if sign in ("=", "!="):
        return Reason("fact_equals" if sign == "=" else "fact_differs", fact=fact, value=value, other=wanted)
    if fact == SCORE_FIELD and sign in ("<", ">="):
        return Reason("score_below" if sign == "<" else "score_at_least", value=value, other=wanted)
    return Reason(ORDERINGS[sign], attribute=fact, value=value, other=wanted)


def _applying(rule: QualificationRule, flow: str | None) -> list[Criterion]:
    chosen = name_key(flow) if flow else None
    applying = [
        criterion
        for criterion in rule.criteria
        if not criterion.flows or chosen in {name_key(name) for name in criterion.flows}
    ]
    if rule.min_score is not None:
        applying.append(Criterion(0, SCORE_FIELD, "gte", rule.min_score, required=True, disqualifies=True))
    return applying


def _holds(asked: str, value: object, wanted: object) -> bool | None:
    """Return whether the comparison holds; None where it makes no sense."""
    if asked in ORDERED:
        left, right = _number(value), _number(wanted)
        return None if left is None or right is None else ORDERED[asked](left, right)
    if asked in ("eq", "ne"):
        same = _same(value, wanted)
    elif asked in ("in", "not_in") and isinstance(wanted, (list, tuple)):
        same = _any_same(value, wanted)
    else:
        return None
    return None if same is None else same is (asked in ("eq", "in"))


def _any_same(value: object, wanted: list[object] | tuple[object, ...]) -> bool | None:
    """Say whether one of the wanted is the value; None when it can be compared with none of them."""
    comparable = [same for accepted in wanted if (same := _same(value, accepted)) is not None]
    return any(comparable) if comparable else None


def _same(value: object, wanted: object) -> bool | None:
    """Compare numbers as numbers, texts as names, yes with no; None for a text against a number and the like."""
    if isinstance(value, bool) and isinstance(wanted, bool):
        return value is wanted
    left, right = _number(value), _number(wanted)
    if left is not None and right is not None:
        return left == right
    if isinstance(value, str) and isinstance(wanted, str):
        return name_key(value) == name_key(wanted)
    return None


def _number(value: object) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if PLAIN_NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _show(value: object) -> str:
    """Return the value as a person writes it: 82.00 is 82; what is long is cut."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        text = ", ".join(map(_show, value))
    elif isinstance(value, str) or (number := _number(value)) is None:
        text = str(value)
    elif abs(number.adjusted()) > LONGEST_NUMBER:
        text = f"{number:.6g}"
    else:
        text = f"{number.to_integral_value() if number == number.to_integral_value() else number:f}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _result(criterion: Criterion, met: bool, text: str) -> CriterionResult:
    return CriterionResult(criterion, Verdict.MET if met else Verdict.FAILED, text)


def _assessment(outcome: Outcome, decisive: list[CriterionResult], every: tuple[CriterionResult, ...]) -> Assessment:
    reason = several(result.text for result in decisive)
    return Assessment(outcome, reason, f"qualification:{decisive[0].criterion.field}", every)
