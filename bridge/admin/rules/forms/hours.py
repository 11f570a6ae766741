"""When messages go out, how phones and amounts are read, and what a handoff brings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.rules import choices, country_choices
from bridge.admin.rules.form_fields import (
    DurationField,
    Labelled,
    LinesField,
    columns,
)
from bridge.configuration import document, exporting
from bridge.models import Channel
from common.name_spellings import name_key
from leads import booking_links
from leads.models import Pipeline


class HoursForm(Labelled):
    name = forms.CharField(label=gettext_lazy("Name of the pipeline"), max_length=200)
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"))
    locale = forms.ChoiceField(label=gettext_lazy("Amounts are read as in"))
    phone_region = forms.ChoiceField(label=gettext_lazy("Phones without a country are of"))
    phone_field = forms.CharField(
        label=gettext_lazy("Field of the lead that holds the phone, where cards have no contact"),
        max_length=200,
        required=False,
    )
    quiet_from = forms.TimeField(
        label=gettext_lazy("Quiet from"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_to = forms.TimeField(
        label=gettext_lazy("to"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    sending_weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Messages go out on"),
        choices=choices.WEEKDAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    holidays_country = forms.ChoiceField(label=gettext_lazy("Holidays: country"), required=False)
    holidays_subdivision = forms.ChoiceField(label=gettext_lazy("Holidays: state"), required=False)
    followup_distance = DurationField(
        label=gettext_lazy("Messages of two pipelines to one phone are apart by"), required=False
    )
    opt_out_words = LinesField(label=gettext_lazy("Words that end all follow-ups, one a line"), longest=100)
    words_for_nothing = LinesField(label=gettext_lazy("Words that stand for nothing, one a line"), longest=100)
    null_means_unknown = forms.BooleanField(
        label=gettext_lazy("An empty value from the agent clears nothing"), required=False
    )
    serves_only_with_tag = forms.CharField(
        label=gettext_lazy("The agent serves only leads with the tag"), max_length=250, required=False
    )
    serves_never_with_tag = forms.CharField(
        label=gettext_lazy("The agent serves no leads with the tag"), max_length=250, required=False
    )
    serves_only_new_leads = forms.BooleanField(
        label=gettext_lazy("The agent serves only leads who come after this is set"), required=False
    )
    serves_share = forms.DecimalField(
        label=gettext_lazy("Share of the leads that the agent serves, 0 to 1 (0.1: a tenth of them)"),
        min_value=0,
        max_value=1,
        max_digits=5,
        decimal_places=4,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    booking_url = forms.CharField(
        label=gettext_lazy("Where leads book a meeting (an address of Cal.com or Calendly)"),
        max_length=1000,
        required=False,
    )
    handoff_max = DurationField(label=gettext_lazy("A handoff ends by itself after"), required=False)
    silent_when_kommo_is_away = forms.BooleanField(
        label=gettext_lazy("While Kommo could not be asked for half an hour, the agent is silent"), required=False
    )
    chat_reply_pauses = forms.BooleanField(
        label=gettext_lazy("A person who replies in Kommo's chat takes over"), required=False
    )
    conversations = forms.ChoiceField(
        label=gettext_lazy("Where leads and the agent write to each other"), choices=Pipeline.Conversations.choices
    )
    yields_to_bots = forms.BooleanField(
        label=gettext_lazy("Where another bot answers a lead in Kommo's chat, the agent stops answering that lead"),
        required=False,
    )
    channel = forms.CharField(
        label=gettext_lazy("Messages leave first by the way out called"), max_length=50, required=False
    )
    typing_pauses = forms.BooleanField(
        label=gettext_lazy("Between the parts of a message it waits as if typing"), required=False
    )
    handoff_note = forms.BooleanField(label=gettext_lazy("Write a note on the card at a handoff"), required=False)
    handoff_task = forms.CharField(
        label=gettext_lazy("Task for the seller at a handoff"), max_length=200, required=False
    )
    handoff_task_within = DurationField(label=gettext_lazy("due in"))
    meeting_result_task = forms.CharField(
        label=gettext_lazy("Task for the seller where a meeting has no result"), max_length=200, required=False
    )
    meeting_result_task_after = DurationField(label=gettext_lazy("so long after it began"))
    alert_on_calls = forms.BooleanField(
        label=gettext_lazy("Alert staff of a lead who writes or books where no rule leads on"), required=False
    )

    OWN = (
        "name",
        "time_zone",
        "locale",
        "phone_region",
        "phone_field",
        "followup_distance",
        "opt_out_words",
        "words_for_nothing",
        "null_means_unknown",
        "booking_url",
        "handoff_max",
        "silent_when_kommo_is_away",
        "chat_reply_pauses",
        "conversations",
        "yields_to_bots",
        "channel",
        "typing_pauses",
        "handoff_note",
        "handoff_task",
        "handoff_task_within",
        "meeting_result_task",
        "meeting_result_task_after",
        "alert_on_calls",
    )
    SERVES = exporting.SERVES_COLUMNS
    QUIET = ("quiet_from", "quiet_to", "sending_weekdays")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        region, country = (str(self[name].value() or "") for name in ("phone_region", "holidays_country"))
        offered: dict[str, Any] = {
            "time_zone": country_choices.zones(region),
            "locale": country_choices.locales(str(self.initial.get("locale") or "")),
            "phone_region": country_choices.phone_regions(),
            "holidays_country": [("", _("no holidays are kept")), *country_choices.countries()],
            "holidays_subdivision": [("", _("the whole country")), *country_choices.states(country)],
        }
        for name, choices_of in offered.items():
            self.fields[name].choices = choices_of  # type: ignore[attr-defined]

    @property
    def next_holidays(self) -> list[tuple[str, str]]:
        country, state = (str(self[name].value() or "") for name in ("holidays_country", "holidays_subdivision"))
        return country_choices.next_holidays(country, state, today=timezone.localdate())

    @property
    def usual_country(self) -> str:
        """Return the country whose holidays are offered while none are kept: the one that phones are of."""
        region = str(self["phone_region"].value() or "")
        return region if region in dict(country_choices.countries()) and not self["holidays_country"].value() else ""

    @property
    def usual_country_name(self) -> str:
        return dict(country_choices.countries()).get(self.usual_country, "")

    @classmethod
    def initial_of(cls, rules: document.Pipeline) -> dict[str, Any]:
        kept = rules.holidays
        return (
            columns(rules, cls.OWN)
            | columns(rules.quiet_hours, cls.QUIET)
            | columns(rules.agent_serves, cls.SERVES)
            | {"holidays_country": kept.holidays_country if kept else ""}
            | {"holidays_subdivision": kept.holidays_subdivision if kept else ""}
        )

    def clean_channel(self) -> str:
        channel: str = self.cleaned_data["channel"].strip()
        if channel and not Channel.objects.filter(slug=channel).exists():
            raise ValidationError(_("There is no way out of this name."))
        return channel

    def clean_booking_url(self) -> str:
        booking_url: str = self.cleaned_data["booking_url"].strip()
        if booking_links.wrong(booking_url):
            raise ValidationError(_("This is no address that a browser opens: it begins with https://."))
        return booking_url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if (cleaned.get("quiet_from") is None) != (cleaned.get("quiet_to") is None):
            self.add_error("quiet_to", _("Quiet hours need a beginning and an end."))
        only, never = (name_key(cleaned.get(name) or "") for name in ("serves_only_with_tag", "serves_never_with_tag"))
        if only and only == never:
            self.add_error("serves_never_with_tag", _("One tag cannot be asked for and ruled out."))
        return cleaned

    def applied_to(self, pipeline: document.Pipeline) -> document.Pipeline:
        cleaned = self.cleaned_data
        hours = {name: cleaned[name] for name in self.QUIET} | {"sending_weekdays": tuple(cleaned["sending_weekdays"])}
        kept = {name: cleaned[name] for name in ("holidays_country", "holidays_subdivision")}
        return replace(
            pipeline,
            **{name: cleaned[name] for name in self.OWN},
            quiet_hours=replace(pipeline.quiet_hours, **hours),
            agent_serves=replace(pipeline.agent_serves, **{name: cleaned[name] for name in self.SERVES}),
            holidays=document.Holidays(**kept) if cleaned["holidays_country"] else None,
        )
