"""What a card shows: flows, fields of Kommo and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules import choices
from bridge.admin.rules.choices import Kommo
from bridge.admin.rules.form_fields import (
    Labelled,
    LinesField,
    PairsField,
    RecordForm,
    columns,
)
from bridge.configuration import document
from common.name_spellings import name_key
from leads import models as leads

TYPES = leads.FieldMapping.Type


class FlowsForm(Labelled):
    flows = LinesField(label=gettext_lazy("Flows, one a line"), longest=200)


class FieldForm(RecordForm):
    record = document.Field
    named_by = "attribute"

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
        self.fields["options"].widget.theirs = [enum["value"] for enum in enums]

    @classmethod
    def initial_of(cls, field: document.Field, flows: Sequence[str]) -> dict[str, Any]:
        known = dict.fromkeys(flows, "") if field.attribute == "chosen_flow" else {}
        named = {"attribute": choices.called(field.attribute), "options": {**known, **field.options}}
        return columns(field, ("kommo_field", "type")) | named

    @property
    def has_options(self) -> bool:
        return self["type"].value() in (TYPES.SELECT, TYPES.MULTISELECT)

    @property
    def binding(self) -> int | None:
        return self.old.kommo_field_id if self.old else None

    def clean_attribute(self) -> str:
        return choices.meant(self.cleaned_data["attribute"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        found = self.kommo.field_called(cleaned.get("kommo_field") or "")
        if found and cleaned.get("type") and found["type"] != cleaned["type"]:
            there = dict(TYPES.choices).get(found["type"], found["type"])
            self.add_error("type", _("In Kommo this field is: %(type)s.") % {"type": there})
        return cleaned

    def values(self) -> dict[str, Any]:
        values = super().values()
        if values["type"] not in (TYPES.SELECT, TYPES.MULTISELECT):
            values["options"] = {}
        found = self.kommo.field_called(values["kommo_field"])
        old = self.old
        same = old is not None and name_key(old.kommo_field) == name_key(values["kommo_field"])
        values["kommo_field_id"] = found["id"] if found else old.kommo_field_id if same else None
        return values


class TagForm(RecordForm):
    record = document.Tag
    named_by = "template"

    attribute = forms.CharField(label=gettext_lazy("Of the lead"), max_length=100)
    template = forms.CharField(label=gettext_lazy("Tag"), max_length=100)

    @classmethod
    def initial_of(cls, tag: document.Tag) -> dict[str, Any]:
        return {"attribute": choices.called(tag.attribute), "template": tag.template}

    def clean_attribute(self) -> str:
        return choices.meant(self.cleaned_data["attribute"])

    def clean_template(self) -> str:
        template: str = self.cleaned_data["template"]
        before, value, after = template.partition("{value}")
        if not before or not value or set("{}") & set(before + after):
            raise ValidationError(_("Write some text before {value}, for example fluxo_{value}."))
        return template
