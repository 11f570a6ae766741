"""What a conversation stage means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules.form_fields import (
    RecordForm,
)
from bridge.configuration import document


class MappingForm(RecordForm):
    record = document.StageMapping
    named_by = "conversation_stage"

    conversation_stage = forms.CharField(label=gettext_lazy("When the agent says"), max_length=200)
    does = forms.ChoiceField(label=gettext_lazy("the bridge"))
    only_if = forms.BooleanField(label=gettext_lazy("only with a booked meeting"), required=False)

    def __init__(self, *args: Any, stages: Sequence[document.Stage], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        moves = [(f"move:{stage.key}", _("moves to %(stage)s") % {"stage": stage.name}) for stage in stages]
        self.fields["does"].choices = [  # type: ignore[attr-defined]
            ("qualification", _("decides by qualification")),
            ("nothing", _("leaves the card where it is")),
            *moves,
        ]

    @classmethod
    def initial_of(cls, stage_mapping: document.StageMapping) -> dict[str, Any]:
        does = stage_mapping.decide or f"move:{stage_mapping.move_to}"
        return {
            "conversation_stage": stage_mapping.conversation_stage,
            "does": does,
            "only_if": stage_mapping.only_if == "meeting",
        }

    def values(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        what, _colon, stage = cleaned["does"].partition(":")
        return {
            "conversation_stage": cleaned["conversation_stage"],
            "move_to": stage or None,
            "decide": None if stage else what,
            "only_if": "meeting" if cleaned["only_if"] else "always",
        }
