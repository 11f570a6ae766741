"""The forms of the rules pages: each reads as the sentence it edits, and refuses in words what cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import available_timezones

import holidays
import phonenumbers
from babel import Locale, UnknownLocaleError
from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules import choices
from bridge.admin.rules.choices import Kommo
from bridge.admin.rules.fields import (
    DurationField,
    Labelled,
    LinesField,
    PairsField,
    RecordForm,
    StageField,
    columns,
)
from bridge.configuration import document, sentences
from bridge.configuration.contradictions import ASKS_NOTHING, LISTS, ORDERED
from followups import texts
from followups.models import Sequence as SequenceRow
from leads import models as leads
from leads import money
from leads.names import name_key
from leads.qualification import PLAIN_NUMBER

WEEKDAYS = tuple(sentences.WEEKDAYS.items())
TYPES = leads.FieldMapping.Type


def free_key(name: str, taken: Iterable[str]) -> str:
    """Return a key for machines made of a name, different from all taken ones."""
    base = slugify(name).replace("-", "_")[:50] or "stage"
    # The API's word for a stage of Kommo's that is none of ours.
    taken = {*taken, "other"}
    return next(key for key in (base, *(f"{base}_{number}" for number in range(2, 999))) if key not in taken)


class MeetingForm(Labelled):
    meeting_stage = StageField(label=gettext_lazy("A booked meeting takes the lead to"))


class StageForm(RecordForm):
    record = document.Stage

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    kommo_status_id = forms.TypedChoiceField(
        label=gettext_lazy("Stage in Kommo"), required=False, coerce=int, empty_value=None
    )
    on_reply = StageField(label=gettext_lazy("A lead who answers goes to"))
    reachable_from_anywhere = forms.BooleanField(label=gettext_lazy("Reachable from anywhere"), required=False)
    protected = forms.BooleanField(label=gettext_lazy("No automatic move takes a lead out"), required=False)
    pauses_agent = forms.BooleanField(label=gettext_lazy("The agent falls silent here"), required=False)
    always_visit = forms.BooleanField(label=gettext_lazy("Always delivered as a step of its own"), required=False)
    same_rank_as_previous = forms.BooleanField(label=gettext_lazy("Same rank as the stage before it"), required=False)
    loss_reason = forms.CharField(label=gettext_lazy("Loss reason given to Kommo"), max_length=200, required=False)

    COLUMNS = (
        "name",
        "kommo_status_id",
        "on_reply",
        "reachable_from_anywhere",
        "protected",
        "pauses_agent",
        "always_visit",
        "same_rank_as_previous",
        "loss_reason",
    )

    def __init__(self, *args: Any, kommo: Kommo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        old = self.old
        self.colour = kommo.status_colours.get(old.kommo_status_id, "") if old else ""
        self.fields["on_reply"].offer(self.olds)  # type: ignore[attr-defined]
        offered = [(one["id"], one["name"]) for one in kommo.open_statuses]
        bound = old.kommo_status_id if old else None
        if bound and bound not in dict(offered):
            # Won and lost, and a stage that is gone from Kommo: shown as it is.
            offered.insert(0, (bound, kommo.status_names.get(bound, f"{bound} ({_('not found in Kommo')})")))
        empty = [] if bound else [("", _("found by name, or not bound yet"))]
        self.fields["kommo_status_id"].choices = [*empty, *offered]  # type: ignore[attr-defined]

    @classmethod
    def initial_of(cls, stage: document.Stage) -> dict[str, Any]:
        return columns(stage, cls.COLUMNS)

    @property
    def kind(self) -> str:
        return self.old.kind if self.old else "open"

    @property
    def traits(self) -> list[str]:
        return sentences.stage_traits(self.old, {one.key: one.name for one in self.olds}) if self.old else []  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        # A new stage gets its key when all names are known.
        return super().values() if self.cleaned_data["place"] is not None else {**super().values(), "key": ""}


class MappingForm(RecordForm):
    record = document.StageMapping

    conversation_stage = forms.CharField(label=gettext_lazy("When the agent says"), max_length=200)
    does = forms.ChoiceField(label=gettext_lazy("the bridge"))
    only_if = forms.BooleanField(label=gettext_lazy("only with a booked meeting"), required=False)

    def __init__(self, *args: Any, stages: Sequence[document.Stage], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        moves = [(f"move:{one.key}", _("moves to %(stage)s") % {"stage": one.name}) for one in stages]
        self.fields["does"].choices = [  # type: ignore[attr-defined]
            ("qualification", _("decides by qualification")),
            ("nothing", _("leaves the card where it is")),
            *moves,
        ]

    @classmethod
    def initial_of(cls, one: document.StageMapping) -> dict[str, Any]:
        does = one.decide or f"move:{one.move_to}"
        return {"conversation_stage": one.conversation_stage, "does": does, "only_if": one.only_if == "meeting"}

    def values(self) -> dict[str, Any]:
        said = self.cleaned_data
        what, _colon, stage = said["does"].partition(":")
        return {
            "conversation_stage": said["conversation_stage"],
            "move_to": stage or None,
            "decide": None if stage else what,
            "only_if": "meeting" if said["only_if"] else "always",
        }


class ThresholdForm(Labelled):
    min_score = forms.DecimalField(
        label=gettext_lazy("Minimum score"), min_value=0, max_value=100, decimal_places=2, required=False
    )
    qualified_stage = StageField(label=gettext_lazy("Qualified leads go to"))
    disqualified_stage = StageField(label=gettext_lazy("Disqualified leads go to"))
    undecided_stage = StageField(label=gettext_lazy("Undecided leads go to"))


class CriterionForm(RecordForm):
    record = document.Criterion

    field = forms.CharField(label=gettext_lazy("What"), max_length=100)
    operator = forms.ChoiceField(label=gettext_lazy("How"), choices=leads.Criterion.Operator.choices)
    value = forms.CharField(label=gettext_lazy("Value"), max_length=1000, required=False)
    flows = forms.MultipleChoiceField(
        label=gettext_lazy("Only for"), required=False, widget=forms.CheckboxSelectMultiple
    )
    required = forms.BooleanField(label=gettext_lazy("must be met"), required=False)
    disqualifies = forms.BooleanField(label=gettext_lazy("disqualifies when it fails"), required=False)

    def __init__(self, *args: Any, flows: Sequence[str], locale: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locale = locale
        self.fields["flows"].choices = [(flow, flow) for flow in flows]  # type: ignore[attr-defined]

    @classmethod
    def initial_of(cls, one: document.Criterion) -> dict[str, Any]:
        shown = ", ".join(map(_plain, one.value)) if isinstance(one.value, list) else _plain(one.value)
        named = {"field": choices.called(one.field), "value": shown}
        return columns(one, ("operator", "flows", "required", "disqualifies")) | named

    def clean_field(self) -> str:
        return choices.meant(self.cleaned_data["field"])

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        operator, text = said.get("operator"), (said.get("value") or "").strip()
        if operator in ASKS_NOTHING:
            said["value"] = None
        elif not text:
            self.add_error("value", _("Say what it is compared with."))
        elif operator in LISTS:
            said["value"] = [self._read(part.strip()) for part in text.split(",") if part.strip()]
        else:
            said["value"] = self._read(text)
            if operator in ORDERED and not isinstance(said["value"], int | float):
                self.add_error("value", _("Write a number here."))
        return said

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


class FlowsForm(Labelled):
    flows = LinesField(label=gettext_lazy("Flows, one a line"), longest=200)


class FieldForm(RecordForm):
    record = document.Field

    attribute = forms.CharField(label=gettext_lazy("Of the lead"), max_length=100)
    kommo_field = forms.CharField(label=gettext_lazy("Field in Kommo"), max_length=200)
    type = forms.ChoiceField(label=gettext_lazy("Type"), choices=TYPES.choices)
    options = PairsField(label=gettext_lazy("Options"))

    def __init__(self, *args: Any, kommo: Kommo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kommo = kommo
        name = self["kommo_field"].value() or ""
        self.found = kommo.field_called(name)
        enums = (self.found or {}).get("enums") or ()
        self.fields["options"].widget.theirs = [one["value"] for one in enums]

    @classmethod
    def initial_of(cls, one: document.Field, flows: Sequence[str]) -> dict[str, Any]:
        known = dict.fromkeys(flows, "") if one.attribute == "chosen_flow" else {}
        named = {"attribute": choices.called(one.attribute), "options": {**known, **one.options}}
        return columns(one, ("kommo_field", "type")) | named

    @property
    def has_options(self) -> bool:
        return self["type"].value() in (TYPES.SELECT, TYPES.MULTISELECT)

    @property
    def binding(self) -> int | None:
        return self.old.kommo_field_id if self.old else None

    def clean_attribute(self) -> str:
        return choices.meant(self.cleaned_data["attribute"])

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        found = self.kommo.field_called(said.get("kommo_field") or "")
        if found and said.get("type") and found["type"] != said["type"]:
            there = dict(TYPES.choices).get(found["type"], found["type"])
            self.add_error("type", _("In Kommo this field is: %(type)s.") % {"type": there})
        return said

    def values(self) -> dict[str, Any]:
        said = super().values()
        if said["type"] not in (TYPES.SELECT, TYPES.MULTISELECT):
            said["options"] = {}
        found = self.kommo.field_called(said["kommo_field"])
        old = self.old
        same = old is not None and name_key(old.kommo_field) == name_key(said["kommo_field"])
        said["kommo_field_id"] = found["id"] if found else old.kommo_field_id if same else None
        return said


class TagForm(RecordForm):
    record = document.Tag

    attribute = forms.CharField(label=gettext_lazy("Of the lead"), max_length=100)
    template = forms.CharField(label=gettext_lazy("Tag"), max_length=100)

    @classmethod
    def initial_of(cls, one: document.Tag) -> dict[str, Any]:
        return {"attribute": choices.called(one.attribute), "template": one.template}

    def clean_attribute(self) -> str:
        return choices.meant(self.cleaned_data["attribute"])

    def clean_template(self) -> str:
        said: str = self.cleaned_data["template"]
        before, value, after = said.partition("{value}")
        if not before or not value or set("{}") & set(before + after):
            raise ValidationError(_("Write some text before {value}, for example fluxo_{value}."))
        return said


class HoursForm(Labelled):
    name = forms.CharField(label=gettext_lazy("Name of the pipeline"), max_length=200)
    time_zone = forms.CharField(label=gettext_lazy("Time zone"), max_length=64)
    locale = forms.CharField(label=gettext_lazy("Amounts are read as in"), max_length=20)
    phone_region = forms.CharField(label=gettext_lazy("Phones without a country are of"), max_length=2)
    quiet_from = forms.TimeField(
        label=gettext_lazy("Quiet from"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_to = forms.TimeField(
        label=gettext_lazy("to"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    sending_weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Messages go out on"), choices=WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple
    )
    holidays_country = forms.CharField(label=gettext_lazy("Holidays: country"), max_length=2, required=False)
    holidays_subdivision = forms.CharField(label=gettext_lazy("Holidays: state"), max_length=10, required=False)
    opt_out_words = LinesField(label=gettext_lazy("Words that end all follow-ups, one a line"), longest=100)
    handoff_max = DurationField(label=gettext_lazy("A handoff ends by itself after"), required=False)
    chat_reply_pauses = forms.BooleanField(
        label=gettext_lazy("A person who replies in Kommo's chat takes over"), required=False
    )
    handoff_note = forms.BooleanField(label=gettext_lazy("Write a note on the card at a handoff"), required=False)
    handoff_task = forms.CharField(
        label=gettext_lazy("Task for the seller at a handoff"), max_length=200, required=False
    )
    handoff_task_within = DurationField(label=gettext_lazy("due in"))

    OWN = (
        "name",
        "time_zone",
        "locale",
        "phone_region",
        "opt_out_words",
        "handoff_max",
        "chat_reply_pauses",
        "handoff_note",
        "handoff_task",
        "handoff_task_within",
    )
    QUIET = ("quiet_from", "quiet_to", "sending_weekdays")

    @classmethod
    def initial_of(cls, said: document.Pipeline) -> dict[str, Any]:
        kept = said.holidays
        return (
            columns(said, cls.OWN)
            | columns(said.quiet_hours, cls.QUIET)
            | {"holidays_country": kept.holidays_country if kept else ""}
            | {"holidays_subdivision": kept.holidays_subdivision if kept else ""}
        )

    def clean_time_zone(self) -> str:
        said: str = self.cleaned_data["time_zone"]
        if said not in available_timezones():
            raise ValidationError(_("This is no time zone such as America/Sao_Paulo."))
        return said

    def clean_locale(self) -> str:
        said: str = self.cleaned_data["locale"]
        try:
            Locale.parse(said)
        except (UnknownLocaleError, ValueError) as error:
            raise ValidationError(_("This is no locale such as pt_BR.")) from error
        return said

    def clean_phone_region(self) -> str:
        said: str = self.cleaned_data["phone_region"].upper()
        if said not in phonenumbers.SUPPORTED_REGIONS:
            raise ValidationError(_("This is no country such as BR."))
        return said

    def clean_holidays_country(self) -> str:
        said: str = self.cleaned_data["holidays_country"].upper()
        if said and said not in holidays.list_supported_countries():
            raise ValidationError(_("This is no country such as BR."))
        return said

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if (said.get("quiet_from") is None) != (said.get("quiet_to") is None):
            self.add_error("quiet_to", _("Quiet hours need a beginning and an end."))
        country, state = said.get("holidays_country"), (said.get("holidays_subdivision") or "").upper()
        if state and state not in holidays.list_supported_countries().get(country or "", []):
            self.add_error("holidays_subdivision", _("This country has no such state."))
        said["holidays_subdivision"] = state
        return said

    def applied_to(self, pipeline: document.Pipeline) -> document.Pipeline:
        said = self.cleaned_data
        hours = {name: said[name] for name in self.QUIET} | {"sending_weekdays": tuple(said["sending_weekdays"])}
        kept = {name: said[name] for name in ("holidays_country", "holidays_subdivision")}
        return replace(
            pipeline,
            **{name: said[name] for name in self.OWN},
            quiet_hours=replace(pipeline.quiet_hours, **hours),
            holidays=document.Holidays(**kept) if said["holidays_country"] else None,
        )


class SequenceForm(Labelled):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    starts_on = forms.ChoiceField(label=gettext_lazy("Starts when"), choices=SequenceRow.StartsOn.choices)
    is_active = forms.BooleanField(label=gettext_lazy("Active"), required=False)
    give_up_after = DurationField(label=gettext_lazy("Gives up after so much silence"), required=False)
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
        said: dict[str, Any] = super().clean() or self.cleaned_data
        waits = said.get("starts_on") == SequenceRow.StartsOn.AGENT_UNANSWERED
        if said.get("give_up_after") and not waits:
            self.add_error("give_up_after", _("Only a sequence that waits for an answer can give up."))
        if said.get("give_up_stage") and not said.get("give_up_after"):
            self.add_error("give_up_after", _("Say how long, or nobody is ever given up."))
        return said

    def to_sequence(self, step_forms: Iterable[Any], taken: set[str]) -> document.Sequence:
        said = {name: self.cleaned_data[name] for name in self.COLUMNS}
        said["stop_stages"] = tuple(said["stop_stages"])
        waits = said["starts_on"] == SequenceRow.StartsOn.AGENT_UNANSWERED
        said["steps"] = tuple(form.to_step(waits=waits) for form in step_forms)
        if self.old is None:
            slug = free_key(said["name"], taken)[:60]
            return document.Sequence(slug=slug, **said)
        if said["name"] == self.old.slug:
            said["name"] = self.old.name
        return replace(self.old, **said)


class StepForm(RecordForm):
    record = document.Step

    when = DurationField(label=gettext_lazy("When"))
    text = forms.CharField(label=gettext_lazy("Text"), max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
    template_id = forms.CharField(label=gettext_lazy("Approved template"), max_length=200, required=False)
    max_lateness = DurationField(label=gettext_lazy("Left out when later than"), required=False)
    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Only on"), choices=WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple
    )

    @classmethod
    def initial_of(cls, one: document.Step) -> dict[str, Any]:
        names = ("text", "template_id", "max_lateness", "weekdays")
        return columns(one, names) | {"when": one.before if one.before is not None else one.delay}

    def clean_text(self) -> str:
        said: str = self.cleaned_data["text"].replace("\r\n", "\n")
        try:
            texts.check(said)
        except texts.BrokenTextError as error:
            raise ValidationError(_("The text cannot be rendered: %(error)s") % {"error": error}) from error
        return said

    def to_step(self, *, waits: bool) -> document.Step:
        said = self.values()
        when = said.pop("when")
        said["weekdays"] = tuple(said["weekdays"])
        said |= {"delay": when, "before": None} if waits else {"delay": None, "before": when}
        place = self.cleaned_data["place"]
        old: Any = self.olds[place] if place is not None else None
        return replace(old, **said) if old else document.Step(**said)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
