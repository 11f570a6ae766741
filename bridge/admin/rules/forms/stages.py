"""The stages of the board, and which of them a booked meeting and a handoff lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.accounts.stages_renamed_in_kommo import Renamed
from bridge.admin.rules.choices import Kommo
from bridge.admin.rules.form_fields import (
    Labelled,
    RecordForm,
    StageField,
    columns,
)
from bridge.configuration import document, sentences
from bridge.configuration.stages_wanted_in_kommo import CREATE, RENAME, Wish, Wishes
from bridge.models import StageInKommo
from common.name_spellings import name_key


class PlacesForm(Labelled):
    meeting_stage = StageField(label=gettext_lazy("A booked meeting takes the lead to"))
    handoff_stage = StageField(label=gettext_lazy("When the agent asks for a person, the card goes to"))


def _status_or_wish(choice: str) -> int | str:
    return choice if choice == CREATE else int(choice)


class StageForm(RecordForm):
    record = document.Stage
    named_by = "name"

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    kommo_status_id = forms.TypedChoiceField(
        label=gettext_lazy("Stage in Kommo"), required=False, coerce=_status_or_wish, empty_value=None
    )
    rename_in_kommo = forms.BooleanField(label=gettext_lazy("Rename it in Kommo too"), required=False)
    on_reply = StageField(label=gettext_lazy("A lead who answers goes to"))
    reachable_from_anywhere = forms.BooleanField(label=gettext_lazy("Can receive leads from any stage"), required=False)
    protected = forms.BooleanField(label=gettext_lazy("Only a person takes a lead out"), required=False)
    pauses_agent = forms.BooleanField(label=gettext_lazy("The agent stops answering here"), required=False)
    tells_staff = forms.BooleanField(
        label=gettext_lazy("The seller is told: a note and a task"), required=False, initial=True
    )
    always_visit = forms.BooleanField(
        label=gettext_lazy("Passed through even when the lead skips ahead"), required=False
    )
    same_rank_as_previous = forms.BooleanField(label=gettext_lazy("Same rank as the stage before it"), required=False)
    loss_reason = forms.CharField(label=gettext_lazy("Loss reason given to Kommo"), max_length=200, required=False)

    COLUMNS = (
        "name",
        "kommo_status_id",
        "on_reply",
        "reachable_from_anywhere",
        "protected",
        "pauses_agent",
        "tells_staff",
        "always_visit",
        "same_rank_as_previous",
        "loss_reason",
    )

    def __init__(
        self,
        *args: Any,
        kommo: Kommo,
        wishes: Wishes,
        renamed: Mapping[str, Renamed],
        asked: Mapping[str, StageInKommo],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        old = self.old
        self.wish = wishes.get(old.key) if old else None
        self.renamed = renamed.get(old.key) if old else None
        self.asked = asked.get(old.key) if old else None
        self.name_in_kommo = kommo.status_names.get(old.kommo_status_id, "") if old and old.kind == "open" else ""
        self.colour = kommo.status_colours.get(old.kommo_status_id, "") if old else ""
        self.fields["on_reply"].offer(self.olds)  # type: ignore[attr-defined]
        offered = [(open_status["id"], open_status["name"]) for open_status in kommo.open_statuses]
        bound = old.kommo_status_id if old else None
        if bound and bound not in dict(offered):
            # Won and lost, and a stage that is gone from Kommo: shown as it is.
            offered.insert(0, (bound, kommo.status_names.get(bound, f"{bound} ({_('not found in Kommo')})")))
        empty = [] if bound else [("", _("choose the stage in Kommo"))]
        if kommo.statuses and self.kind == "open":
            empty.append((CREATE, _("create it in Kommo")))
            if not bound and (old is None or self.wish):
                self.initial["kommo_status_id"] = CREATE
        self.initial["rename_in_kommo"] = bool(self.wish and self.wish.do == RENAME)
        self.fields["kommo_status_id"].choices = [*empty, *offered]  # type: ignore[attr-defined]

    @classmethod
    def initial_of(cls, stage: document.Stage) -> dict[str, Any]:
        return columns(stage, cls.COLUMNS)

    @property
    def kind(self) -> str:
        return self.old.kind if self.old else "open"

    @property
    def traits(self) -> list[str]:
        return sentences.stage_traits(self.old, {old.key: old.name for old in self.olds}) if self.old else []  # type: ignore[attr-defined]

    @property
    def differs(self) -> bool:
        """Say whether Kommo calls the stage otherwise than the form does."""
        return bool(self.name_in_kommo) and name_key(self.name_in_kommo) != name_key(self["name"].value() or "")

    def to_wish(self) -> Wish | None:
        """Return what is to be done about the stage in Kommo; the form is valid."""
        if self.cleaned_data["kommo_status_id"] == CREATE:
            return Wish(CREATE)
        is_same = self.old is not None and self.cleaned_data["kommo_status_id"] == self.old.kommo_status_id
        if is_same and self.differs and self.cleaned_data["rename_in_kommo"]:
            return Wish(RENAME, self.name_in_kommo)
        return None

    def values(self) -> dict[str, Any]:
        values = super().values()
        del values["rename_in_kommo"]
        if values["kommo_status_id"] == CREATE:
            values["kommo_status_id"] = None
        # A new stage gets its key when all names are known.
        return values if self.cleaned_data["place"] is not None else {**values, "key": ""}
