"""Every reason in the code has a sentence and what it speaks of; every sentence is given by some code.

The sources are read, not run: a code is a literal where a reason is made, or stands in a table of its module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from common.reasons.as_stored import PARTS
from common.reasons.sentences import SENTENCES
from tests.repository import ROOT

ROOMS = ("common", "leads", "followups", "bridge")
PLACEHOLDER = re.compile(r"%\(\w+\)s")
TRANSLATED = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext")
# What stands for a value in an f-string while it is held against the sentences.
VALUE = "\x1a"


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts and path.name != "sentences.py":
                yield path.relative_to(ROOT), _tree(path)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _tables(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what a module's names stand for."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _codes(expression: ast.expr, tables: dict[str, ast.expr]) -> set[str]:
    """Return the codes an expression may stand for: its texts, and those of the tables it names; no keys."""
    match expression:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return _codes(expression.body, tables) | _codes(expression.orelse, tables)
        case ast.Subscript():
            return _codes(expression.value, tables)
        case ast.Dict():
            return {code for value in expression.values for code in _codes(value, tables)}
        case ast.Name() if expression.id in tables:
            return _codes(tables[expression.id], {})
    return set()


def _made(tree: ast.Module) -> Iterator[tuple[ast.Call, set[str]]]:
    tables = _tables(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
            yield node, _codes(node.args[0], tables)


def wrong(tree: ast.Module) -> Iterator[str]:
    """Yield what is wrong with the reasons a module makes."""
    for call, codes in _made(tree):
        parts = {keyword.arg for keyword in call.keywords}
        if not codes:
            yield f"line {call.lineno}: no code to be read"
        for code in sorted(codes):
            if code not in PARTS:
                yield f"line {call.lineno}: “{code}” has no sentence"
            elif parts != PARTS[code]:
                yield f"line {call.lineno}: “{code}” speaks of {sorted(PARTS[code])}"


# These make a reason of what was stored.
READERS = ("common/reasons/__init__.py", "common/reasons/as_stored.py", "bridge/reasons/__init__.py")


def test_every_reason_has_a_sentence_and_what_it_speaks_of():
    assert [f"{path}, {text}" for path, tree in trees() if str(path) not in READERS for text in wrong(tree)] == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('Reason("no_such_code")', "line 1: “no_such_code” has no sentence"),
        ('Reason("kommo_answered")', "line 1: “kommo_answered” speaks of ['number']"),
        ('Reason("no_answer", number=1)', "line 1: “no_answer” speaks of []"),
        ('Reason("no_answer" if x else "kommo_answered")', "line 1: “kommo_answered” speaks of ['number']"),
        ('Reason(CODES[x])\nCODES = {"a": "no_answer", "b": "gone"}', "line 1: “gone” has no sentence"),
        ("Reason(code)", "line 1: no code to be read"),
    ],
)
def test_what_is_wrong_is_found(source, fault):
    assert list(wrong(ast.parse(source))) == [fault]


def used() -> set[str]:
    return {code for _, tree in trees() for _, codes in _made(tree) for code in codes}


def test_every_sentence_is_given_by_some_code():
    assert SENTENCES.keys() - used() == AS_SENTENCES


# --- A reason that has a code is made by it, wherever it is made


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield every text in a module, docstrings and what staff read left out; for the values of f-strings, marks."""
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    described = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body[:1]
        and isinstance(node.body[0], ast.Expr)
    }
    described |= {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TRANSLATED
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(v.value if isinstance(v, ast.Constant) else VALUE for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within | described:
            yield node, node.value


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(f'[“"]?{VALUE}[”"]?'.join(map(re.escape, PLACEHOLDER.split(sentence))))


# One that is hardly more than a value may be anything.
PATTERNS = {code: _pattern(text) for code, text in SENTENCES.items() if len(PLACEHOLDER.sub("", text).strip()) > 10}


def by_hand(tree: ast.Module) -> Iterator[str]:
    """Yield the codes of the sentences that a module makes as texts although they have codes."""
    made = {id(node) for call, _ in _made(tree) for node in ast.walk(call)}
    for node, text in _texts(tree):
        if id(node) not in made:
            yield from (code for code, pattern in PATTERNS.items() if pattern.fullmatch(text))


def test_a_reason_that_has_a_code_is_made_by_it():
    found = {(str(path), code) for path, tree in trees() for code in by_hand(tree) if code not in AS_SENTENCES}
    assert found == OTHERWISE_MEANT


def test_a_sentence_made_by_hand_is_found():
    source = 'why = f"automatic moves do not leave “{stage}”" if stage else "nothing else is known"'
    assert sorted(by_hand(ast.parse(source))) == ["automatic_moves_do_not_leave", "nothing_else_known"]


# Labels and examples that say the same in another place.
OTHERWISE_MEANT: set[tuple[str, str]] = set()
# Still stored as sentences by whoever gives them, or kept for old rows alone.
AS_SENTENCES = set(
    """
    another_lead_of_contact contact_has_chats contact_has_filled_fields contact_has_more_numbers
    contact_has_notes contact_has_number_as_well contact_has_tags contact_of_another_lead create_leads
    create_notes create_tasks email_of_contact_stays erase_by_hand erased_email_on_contact
    erased_in_kommo_by_hand erased_name_and_email_of_contact erased_name_and_phone_of_contact
    erased_name_of_contact erased_name_of_lead erased_number_on_contact erased_of_contact erased_of_the_contact
    exchange_token lead_has_filled_fields lead_has_notes lead_has_price lead_has_tags lead_has_tasks
    lead_not_found lead_was_theirs_before_joining left_in_kommo linked_to_lead_of_staff made_by_staff
    message_missed_nobody_gives_up more_contacts_with_number more_leads_of_contact more_on_timeline
    name_of_contact_stays no_connection no_contact_with_number nobody_reached not_erased_kommo_answers
    not_erased_more_leads not_erased_probably_same not_erased_same_email not_everything_erased
    not_everything_looked_through note_names_person nothing_to_erase_in_kommo number_of_contact_stays
    read_account read_contacts read_events read_lead read_leads read_loss_reasons read_notes read_pipelines
    read_tasks read_users read_webhooks run_salesbot subscribe_webhook taken_in_from_staff update_contacts
    update_leads
    """.split()  # noqa: SIM905
)
