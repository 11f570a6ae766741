"""Follow-up sequences and their steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules import choices
from bridge.admin.rules.form_fields import (
    DurationField,
    Labelled,
    RecordForm,
    StageField,
    columns,
)
from bridge.admin.rules.key_from_name import free_key
from bridge.configuration import document
from followups import text_chips, texts
from followups.models import Sequence as SequenceRow


class SequenceForm(Labelled):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    starts_on = forms.ChoiceField(label=gettext_lazy("Starts when"), choices=SequenceRow.StartsOn.choices)
    is_active = forms.BooleanField(label=gettext_lazy("Active"), required=False)
    give_up_after = DurationField(label=gettext_lazy("Ends after so long without an answer"), required=False)
    give_up_stage = StageField(label=gettext_lazy("and moves the lead to"))
    stop_stages = forms.MultipleChoiceField(
        label=gettext_lazy("Also stops in"), required=False, widget=forms.CheckboxSelectMultiple
    )

    COLUMNS = ("name", "starts_on", "is_active", "give_up_after", "give_up_stage", "stop_stages")

    def __init__(self, *args: Any, old: document.Sequence | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.old = old
        if old:
            # Its steps count from our message or to the meeting; the other kind is another sequence.
            self.fields["starts_on"].disabled = True

    @classmethod
    def initial_of(cls, old: document.Sequence | None) -> dict[str, Any]:
        if old is None:
            return {"is_active": True}
        return columns(old, cls.COLUMNS) | {"name": old.name or old.slug}

    def offer(self, stages: Sequence[document.Stage]) -> None:
        self.fields["give_up_stage"].offer(stages)  # type: ignore[attr-defined]
        self.fields["stop_stages"].choices = [(stage.key, stage.name) for stage in stages]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        waits = cleaned.get("starts_on") == SequenceRow.StartsOn.AGENT_UNANSWERED
        if cleaned.get("give_up_after") and not waits:
            self.add_error("give_up_after", _("Only a sequence that waits for an answer can end without one."))
        if cleaned.get("give_up_stage") and not cleaned.get("give_up_after"):
            self.add_error("give_up_after", _("Say how long, or it never ends without an answer."))
        return cleaned

    def to_sequence(self, step_forms: Iterable[Any], taken: set[str]) -> document.Sequence:
        values = {name: self.cleaned_data[name] for name in self.COLUMNS}
        values["stop_stages"] = tuple(values["stop_stages"])
        waits = values["starts_on"] == SequenceRow.StartsOn.AGENT_UNANSWERED
        values["steps"] = tuple(form.to_step(waits=waits) for form in step_forms)
        if self.old is None:
            slug = free_key(values["name"], taken)[:60]
            return document.Sequence(slug=slug, **values)
        if values["name"] == self.old.slug:
            values["name"] = self.old.name
        return replace(self.old, **values)


class StepForm(RecordForm):
    record = document.Step
    named_by = "text"

    when = DurationField(label=gettext_lazy("When"))
    text = forms.CharField(
        label=gettext_lazy("Text"), max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    instruction = forms.CharField(
        label=gettext_lazy("or what the agent is to speak of, in its own words"),
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    template_id = forms.CharField(label=gettext_lazy("Approved template"), max_length=200, required=False)
    max_lateness = DurationField(label=gettext_lazy("Do not send if later than"), required=False)
    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Only on"), choices=choices.WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple
    )

    only_on_time = forms.BooleanField(
        label=gettext_lazy("Left out where the hours do not allow it on time"), required=False
    )

    @classmethod
    def initial_of(cls, step: document.Step) -> dict[str, Any]:
        names = ("text", "instruction", "template_id", "max_lateness", "weekdays", "only_on_time")
        return columns(step, names) | {"when": step.before if step.before is not None else step.delay}

    @property
    def title(self) -> str:
        place = self["place"].value()
        return _("Message %(number)d") % {"number": int(place) + 1} if str(place).isdigit() else _("a new one")

    results: dict[str, Any] | None = None

    def show_results(self, of_steps: Sequence[dict[str, Any] | None]) -> None:
        """Take the numbers of the step that the form began as."""
        place = self["place"].value()
        self.results = of_steps[int(place)] if str(place).isdigit() and int(place) < len(of_steps) else None

    @property
    def text_parts(self) -> list[text_chips.Part]:
        return text_chips.parts(str(self["text"].value() or ""))

    @property
    def instruction_parts(self) -> list[text_chips.Part]:
        return text_chips.parts(str(self["instruction"].value() or ""))

    @property
    def names(self) -> dict[str, list[tuple[str, str]]]:
        """Return what of a lead can be put into a text, and what it is called."""
        offered = [(name, str(label)) for name, label in text_chips.NAMES.items()]
        return {"at_once": offered[: text_chips.OFFERED_AT_ONCE], "others": offered[text_chips.OFFERED_AT_ONCE :]}

    def clean_text(self) -> str:
        return self._checked("text")

    def clean_instruction(self) -> str:
        return self._checked("instruction")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        both = {"text", "instruction"} <= set(cleaned)
        if both and bool(cleaned["text"].strip()) == bool(cleaned["instruction"].strip()):
            self.add_error("text", _("Write either what is said or what the agent is to speak of."))
        return cleaned

    def _checked(self, name: str) -> str:
        text: str = self.cleaned_data[name].replace("\r\n", "\n")
        if not text.strip():
            return ""
        try:
            texts.check(text)
            texts.check_names(text)
        except texts.BrokenTextError as error:
            raise ValidationError(_("There is a mistake in the text: %(error)s") % {"error": error}) from error
        return text

    def to_step(self, *, waits: bool) -> document.Step:
        values = self.values()
        when = values.pop("when")
        values["weekdays"] = tuple(values["weekdays"])
        values |= {"delay": when, "before": None} if waits else {"delay": None, "before": when}
        place = self.cleaned_data["place"]
        old: Any = self.olds[place] if place is not None else None
        return replace(old, **values) if old else document.Step(**values)
