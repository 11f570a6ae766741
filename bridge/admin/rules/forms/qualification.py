"""Who is qualified: the score, and the criteria as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules import choices
from bridge.admin.rules.form_fields import (
    Labelled,
    RecordForm,
    StageField,
    columns,
)
from bridge.configuration import document
from bridge.configuration.contradictions import ASKS_NOTHING, LISTS, ORDERED
from leads import models as leads
from leads import money
from leads.qualification import PLAIN_NUMBER


class ThresholdForm(Labelled):
    min_score = forms.DecimalField(
        label=gettext_lazy("Minimum score"), min_value=0, max_value=100, decimal_places=2, required=False
    )
    qualified_stage = StageField(label=gettext_lazy("Qualified leads go to"))
    disqualified_stage = StageField(label=gettext_lazy("Disqualified leads go to"))
    undecided_stage = StageField(label=gettext_lazy("Leads with missing facts go to"))

    @classmethod
    def initial_of(cls, qualification: document.Qualification) -> dict[str, Any]:
        """Return what the boxes hold: a whole score as a person writes it, 70 and not 70.0."""
        least = qualification.min_score
        score = int(least) if least is not None and least == int(least) else least
        return columns(qualification, cls.base_fields) | {"min_score": score}


class CriterionForm(RecordForm):
    record = document.Criterion
    named_by = "field"

    field = forms.CharField(label=gettext_lazy("What"), max_length=100)
    operator = forms.ChoiceField(label=gettext_lazy("How"), choices=leads.Criterion.Operator.choices)
    value = forms.CharField(label=gettext_lazy("Value"), max_length=1000, required=False)
    flows = forms.MultipleChoiceField(
        label=gettext_lazy("Only for"), required=False, widget=forms.CheckboxSelectMultiple
    )
    required = forms.BooleanField(label=gettext_lazy("required"), required=False)
    disqualifies = forms.BooleanField(label=gettext_lazy("disqualifies if not met"), required=False)

    def __init__(self, *args: Any, flows: Sequence[str], locale: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locale = locale
        self.fields["flows"].choices = [(flow, flow) for flow in flows]  # type: ignore[attr-defined]

    @classmethod
    def initial_of(cls, criterion: document.Criterion) -> dict[str, Any]:
        shown = (
            ", ".join(map(_plain, criterion.value)) if isinstance(criterion.value, list) else _plain(criterion.value)
        )
        named = {"field": choices.called(criterion.field), "value": shown}
        return columns(criterion, ("operator", "flows", "required", "disqualifies")) | named

    def clean_field(self) -> str:
        return choices.meant(self.cleaned_data["field"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        operator, text = cleaned.get("operator"), (cleaned.get("value") or "").strip()
        if operator in ASKS_NOTHING:
            cleaned["value"] = None
        elif not text:
            self.add_error("value", _("Say what it is compared with."))
        elif operator in LISTS:
            cleaned["value"] = [self._read(part.strip()) for part in text.split(",") if part.strip()]
        else:
            cleaned["value"] = self._read(text)
            if operator in ORDERED and not isinstance(cleaned["value"], int | float):
                self.add_error("value", _("Write a number here."))
        return cleaned

    def values(self) -> dict[str, Any]:
        return super().values() | {"flows": tuple(self.cleaned_data["flows"])}

    def _read(self, text: str) -> Any:
        """Return a number as the pipeline's country writes it, yes or no, or the text."""
        if text in ("true", "false"):
            return text == "true"
        if PLAIN_NUMBER.fullmatch(text) and "." not in text:
            return int(text)
        if not any(character.isalpha() for character in text.removeprefix("R$")):
            try:
                amount = money.parse(text, locale=self.locale)
            except money.MoneyError:
                return text
            return int(amount) if amount == int(amount) else float(amount)
        return text


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
