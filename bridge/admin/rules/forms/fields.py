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
    named_by = "template"

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
