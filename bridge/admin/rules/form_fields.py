"""Form fields for what a configuration document holds, and forms that are made from its records and give them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.configuration.document import Stage
from bridge.configuration.records import Record
from bridge.configuration.values import LONGEST_DURATION

UNITS = ((1, gettext_lazy("seconds")), (60, "min"), (3600, "h"), (86_400, gettext_lazy("days")))


class DurationWidget(forms.MultiWidget):
    """A number and its unit."""

    def __init__(self) -> None:
        super().__init__(
            [forms.NumberInput(attrs={"min": 0, "step": "any", "inputmode": "decimal"}), forms.Select(choices=UNITS)]
        )

    def decompress(self, value: timedelta | None) -> list[Any]:
        if value is None:
            return [None, 3600]
        seconds = value.total_seconds()
        # Two days and less in hours, as people say “24 h” and “48 h”.
        largest = [size for size, _name in UNITS if size < 86_400 or seconds > 2 * 86_400]
        unit = next((size for size in reversed(largest) if seconds % size == 0), 1)
        return [f"{seconds / unit:g}", unit]


class DurationField(forms.MultiValueField):
    def __init__(self, **kwargs: Any) -> None:
        fields = (forms.FloatField(min_value=0), forms.TypedChoiceField(choices=UNITS, coerce=int))
        super().__init__(fields=fields, widget=DurationWidget(), **kwargs)
        # An empty number with a unit beside it is nothing, and not half an answer.
        self.require_all_fields = False
        for field in fields:
            field.required = False

    def clean(self, value: Any) -> timedelta | None:
        if not value or value[0] in (None, ""):
            if self.required:
                raise ValidationError(_("Say how long."))
            return None
        found: timedelta | None = super().clean(value)
        return found

    def compress(self, data_list: Sequence[Any]) -> timedelta | None:
        number, unit = data_list
        if number is None:
            return None
        if number * (unit or 1) > LONGEST_DURATION.total_seconds():
            raise ValidationError(_("That is longer than ten years."))
        length = timedelta(seconds=number * (unit or 1))
        if not length:
            raise ValidationError(_("A length of time lies above zero."))
        return length


class LinesField(forms.CharField):
    """A list of different texts, one a line."""

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 4}), required=False, **kwargs)
        self.longest = longest

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(value or ())

    def clean(self, value: Any) -> tuple[str, ...]:
        lines = [line.strip() for line in str(value or "").splitlines()]
        texts = tuple(dict.fromkeys(filter(None, lines)))
        if long := next((text for text in texts if len(text) > self.longest), None):
            raise ValidationError(_("“%(text)s…” is too long.") % {"text": long[:40]})
        return texts

    def has_changed(self, initial: Any, data: Any) -> bool:
        return tuple(initial or ()) != self.clean(data)


class PairsWidget(forms.Widget):
    """Rows of two boxes, ours and theirs; the page's script adds rows."""

    theirs: Sequence[str] = ()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        known = {word.casefold() for word in self.theirs}
        pairs = (value or {}).items()
        # Before the account was read, nothing can be said against a name.
        rows = [(ours, theirs, not known or (theirs or ours).casefold() in known) for ours, theirs in pairs]
        return render_to_string("admin/rules/pairs.html", {"rows": rows, "all_theirs": self.theirs, "name": name})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if f"{name}-ours" not in data:
            return None
        return dict(zip(data.getlist(f"{name}-ours"), data.getlist(f"{name}-theirs"), strict=False))


class PairsField(forms.Field):
    """Our value -> theirs; a row without ours is no row, one without theirs is called the same on both sides."""

    widget = PairsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> dict[str, str]:
        pairs = {ours.strip(): theirs.strip() for ours, theirs in (value or {}).items()}
        if any(len(text) > 200 for pair in pairs.items() for text in pair):
            raise ValidationError(_("An option has at most 200 characters."))
        return {ours: theirs for ours, theirs in pairs.items() if ours and theirs}

    def has_changed(self, initial: Any, data: Any) -> bool:
        return data is not None and {**(initial or {})} != self.clean(data)


class StageField(forms.ChoiceField):
    """One of the pipeline's stages by its key, or none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def offer(self, stages: Iterable[Stage], *, none: str = "–") -> None:
        self.choices = [("", none), *((stage.key, stage.name) for stage in stages)]

    def clean(self, value: Any) -> str | None:
        return super().clean(value) or None


class Labelled(forms.Form):
    """A form whose boxes stand in sentences: each carries its name for those who hear the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("aria-label", str(field.label or name))


class RecordForm(Labelled):
    """One record of the document. What the form does not show stays as it was.

    `place` is where the record stood in the list the page was made from; new ones have none.
    """

    record: ClassVar[type[Record]]
    # The box that tells one row of a list from the others.
    named_by: ClassVar[str]
    place = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, olds: Sequence[Record] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.olds = olds

    def clean_place(self) -> int | None:
        place: int | None = self.cleaned_data["place"]
        if place is not None and not 0 <= place < len(self.olds):
            raise ValidationError(_("The list has changed meanwhile. Open the page again."))
        return place

    @property
    def old(self) -> Any:
        place = self["place"].value()
        return (
            self.olds[int(place)]
            if str(place or 0).isdigit() and place not in (None, "") and int(place) < len(self.olds)
            else None
        )

    @property
    def title(self) -> str:
        """Return what the row is called by those who hear the page."""
        return Truncator(self[self.named_by].value() or _("a new one")).chars(60)

    def values(self) -> dict[str, Any]:
        """Return the record's attributes as the form has them."""
        return {name: value for name, value in self.cleaned_data.items() if name not in ("place", "ORDER", "DELETE")}

    def to_record(self) -> Any:
        place = self.cleaned_data["place"]
        return self.record(**self.values()) if place is None else replace(self.olds[place], **self.values())


class Records(BaseFormSet):  # type: ignore[type-arg]
    """A list of records that staff put in order, add to and take from."""

    def records(self) -> tuple[Any, ...]:
        return tuple(form.to_record() for form in self.ordered_forms)


def records(
    form: type[RecordForm], prefix: str, olds: Sequence[Any], data: Any, initial: Any, **form_kwargs: Any
) -> Records:
    """Return the formset of a list. initial: makes a form's values of a record."""
    made: Any = formset_factory(
        form, formset=Records, extra=0, can_order=True, can_delete=True, max_num=200, absolute_max=250
    )
    found: Records = made(
        data,
        prefix=prefix,
        initial=[{**initial(old), "place": place} for place, old in enumerate(olds)],
        form_kwargs={"olds": olds, **form_kwargs},
    )
    return found


def columns(record: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}
