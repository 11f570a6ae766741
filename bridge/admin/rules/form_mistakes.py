"""What is wrong on a page of rules, as a list on top of it: where, what, and the box it leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.forms import BaseForm, BaseFormSet
from django.forms.utils import ErrorList

from bridge import reasons
from bridge.admin.rules.form_fields import RecordForm
from bridge.configuration.file_problems import Problem

# What a problem calls a key that has another box in the form.
BOXES = {"delay": "when", "before": "when", "move_to": "does", "decide": "does", "give_up_stage": "give_up_after"}


@dataclass(frozen=True)
class Mistake:
    """One thing to mend. `box`: the id of what it leads to; empty where no box of the page is to blame."""

    text: str
    where: str = ""
    box: str = ""


def of_forms(parts: Iterable[Any]) -> list[Mistake]:
    """Return what the forms and formsets of a page complain of, in their order."""
    return [mistake for form in _forms(parts) for mistake in _of_form(form)]


def of_problems(problems: Iterable[Problem], parts: Iterable[Any]) -> list[Mistake]:
    """Return what parts of the rules have against each other, in the active language."""
    forms = list(_forms(parts))
    return [_of_problem(problem, forms) for problem in problems]


def _forms(parts: Iterable[Any]) -> Iterator[BaseForm]:
    for part in parts:
        if isinstance(part, BaseFormSet):
            yield from (form for form in part.forms if form not in part.deleted_forms)
        else:
            yield part


def _of_form(form: BaseForm) -> Iterator[Mistake]:
    for name, errors in form.errors.items():
        for text in errors if isinstance(errors, ErrorList) else [errors]:
            is_shown = name in form.fields
            yield Mistake(str(text), _where(form, name if is_shown else ""), _box(form, name) if is_shown else "")


def _of_problem(problem: Problem, forms: list[BaseForm]) -> Mistake:
    text = reasons.problem(problem.text)
    form = next((candidate for candidate in forms if _is_about(candidate, problem.about)), None)
    if form is None:
        return Mistake(text)
    key = BOXES.get(problem.key, problem.key)
    name = key if key in form.fields else getattr(form, "named_by", next(iter(form.fields)))
    return Mistake(text, _where(form, name), _box(form, name))


def _is_about(form: BaseForm, about: Any) -> bool:
    if not isinstance(form, RecordForm):
        return False
    # A new stage has got its key since.
    named = type(about) is form.record and getattr(about, form.named_by, None)
    return bool(named) and form.is_valid() and form.to_record() in (about, _without_key(about))


def _without_key(about: Any) -> Any:
    return replace(about, key="") if hasattr(about, "key") else about


def _where(form: BaseForm, name: str) -> str:
    row = form.title if isinstance(form, RecordForm) else ""
    label = str(form.fields[name].label or "") if name else ""
    return ", ".join(filter(None, (row, label)))


def _box(form: BaseForm, name: str) -> str:
    field = form[name]
    # A box of several parts is known by its first.
    return field.id_for_label or f"{field.auto_id}_0"
