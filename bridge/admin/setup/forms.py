"""What the steps ask for. Every box has a label, says what it wants, and keeps what was typed when it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bridge.configuration.account_addresses import given_by_staff
from bridge.configuration.connection_survey import Choice, Fit, Place, Survey
from bridge.configuration.phone_fields import Guess
from bridge.errors import ConfigurationError
from bridge.models import Account, ApiKey
from common.name_spellings import name_key
from leads.models import Pipeline
from leads.phone import PhoneError, parse

CREATE = "create"


class AddressForm(forms.Form):
    base_url = forms.CharField(
        label=_("Address of the account"),
        help_text=_("As in the browser: https://acme.kommo.com"),
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://acme.kommo.com", "autocomplete": "url"}),
    )

    def clean_base_url(self) -> str:
        given = self.cleaned_data["base_url"].strip()
        try:
            return given_by_staff(given if "://" in given else f"https://{given}")
        except ConfigurationError as error:
            message = _("This is not the address of a Kommo account. It looks like https://acme.kommo.com")
            raise forms.ValidationError(message) from error


class TokenForm(AddressForm):
    token = forms.CharField(
        label=_("Long-lived token"),
        help_text=_("In Kommo: Settings, Integrations, your private integration, Keys and scopes."),
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
    )


class ConsentForm(AddressForm):
    client_id = forms.CharField(
        label=_("Integration ID"), max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    client_secret = forms.CharField(
        label=_("Secret key"), required=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})
    )
    redirect_uri = forms.URLField(
        label=_("Redirect address"),
        help_text=_("Enter exactly this address in the integration in Kommo."),
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url", "autocomplete": "off"}),
        assume_scheme="https",
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["client_secret"].required = not account.client_secret
        if account.client_secret:
            self.fields["client_secret"].help_text = _("Leave empty to keep what is stored.")


class PipelineForm(forms.Form):
    """One choice per pipeline of ours: which pipeline of the account holds its cards."""

    def __init__(self, *args: Any, pipelines: list[tuple[Pipeline, int | None]], found: list[Any], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.pipelines = pipelines
        choices = [
            (str(kommo_pipeline["id"]), kommo_pipeline)
            for kommo_pipeline in found
            if not kommo_pipeline.get("is_archive")
        ]
        for pipeline, chosen in pipelines:
            self.fields[pipeline.slug] = forms.ChoiceField(
                label=pipeline.name,
                choices=[(value, kommo_pipeline["name"]) for value, kommo_pipeline in choices],
                initial=str(chosen or ""),
                required=len(pipelines) == 1,
                widget=forms.RadioSelect,
            )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        chosen = [value for value in cleaned.values() if value]
        if len(chosen) != len(set(chosen)):
            raise forms.ValidationError(_("Two pipelines cannot share one in Kommo."))
        return cleaned


@dataclass(frozen=True)
class PhoneChoice:
    """Which field of leads holds the phone in a pipeline: those to choose from, and what is guessed."""

    pipeline: Pipeline
    names: tuple[str, ...]
    guess: Guess | None = None

    @property
    def key(self) -> str:
        return f"phone_field:{self.pipeline.pk}"

    @property
    def initial(self) -> str:
        """Propose what was seen to hold phones; a name alone is only told."""
        seen = self.guess.name if self.guess and self.guess.phones else ""
        return next((name for name in self.names if name_key(name) == name_key(self.pipeline.phone_field)), seen)


class BindForm(forms.Form):
    """A choice for everything the survey found: a counterpart in Kommo, creating one, or deciding later."""

    def __init__(self, *args: Any, survey: Survey, phones: Sequence[PhoneChoice] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.survey, self.phones = survey, phones
        for phone in phones:
            self.fields[phone.key] = self._phone_box(phone)
        for place in survey.places():
            self.fields[place.key] = self._field_of(place)
            if place.kind in ("select", "multiselect") and place.theirs_id and place.new_options:
                self.fields[f"options:{place.key.partition(':')[2]}"] = forms.BooleanField(
                    label=_("Add the options %(names)s") % {"names": ", ".join(place.new_options)},
                    required=False,
                    initial=True,
                    widget=UnfoldBooleanSwitchWidget(),
                )

    def _phone_box(self, phone_choice: PhoneChoice) -> forms.Field:
        label = _("Field with the phone")
        return forms.ChoiceField(
            label=label,
            choices=[("", _("– none: cards have contacts –")), *((name, name) for name in phone_choice.names)],
            initial=phone_choice.initial,
            required=False,
            widget=UnfoldAdminSelectWidget(attrs={"aria-label": label}),
        )

    def _field_of(self, place: Place) -> forms.Field:
        choices: list[tuple[str, Any]] = [(str(number), name) for number, name in place.choices]
        if place.theirs_id and not place.choices:
            choices.append((str(place.theirs_id), place.theirs))
        if place.can_create:
            choices.append((CREATE, _("+ create “%(name)s” in Kommo") % {"name": place.ours}))
        choices.append(("", _("– decide later –")))
        fits = place.theirs_id and place.fit is not Fit.WRONG_TYPE
        initial = str(place.theirs_id) if fits else CREATE if place.can_create else ""
        # Its name is what a screen reader says: the row's head is not tied to the box.
        widget = UnfoldAdminSelectWidget(attrs={"aria-label": place.ours})
        return forms.ChoiceField(label=place.ours, choices=choices, initial=initial, required=False, widget=widget)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for binding in self.survey.bindings:
            for places in (binding.stages, binding.fields):
                self._each_once(places, cleaned)
        return cleaned

    def _each_once(self, places: tuple[Place, ...], cleaned: dict[str, Any]) -> None:
        used: dict[str, Place] = {}
        for place in places:
            value = cleaned.get(place.key)
            if value and value != CREATE and used.setdefault(value, place) is not place:
                self.add_error(place.key, _("“%(other)s” has it already.") % {"other": used[value].ours})
        for place in places:
            if cleaned.get(place.key) in (CREATE, ""):
                free = (n for n, name in place.choices if name_key(name) == name_key(place.ours) and str(n) not in used)
                if next(free, None):
                    self.add_error(place.key, _("Kommo has one of this name and nobody uses it: choose that one."))

    @property
    def phone_fields(self) -> dict[Pipeline, str]:
        """Return the name that was chosen for each pipeline whose choice differs."""
        chosen = {phone.pipeline: self.cleaned_data[phone.key] for phone in self.phones}
        return {pipeline: name for pipeline, name in chosen.items() if name_key(name) != name_key(pipeline.phone_field)}

    @property
    def choice(self) -> Choice:
        values = self.cleaned_data
        bound = {
            place.key: int(values[place.key]) if values[place.key] not in (CREATE, "") else None
            for place in self.survey.places()
        }
        create = {name for name, value in values.items() if value == CREATE or value is True} - {
            phone.key for phone in self.phones
        }
        return Choice(bound, create)

    def creations(self) -> list[str]:
        """Return what pressing the button will create in Kommo, a line each; nothing else is created."""
        lines: list[str] = []
        create = self.choice.create
        for binding in self.survey.bindings:
            for place in binding.stages:
                if place.key in create:
                    names = {"stage": place.ours, "pipeline": binding.found["name"] if binding.found else ""}
                    lines.append(_("stage “%(stage)s” in the pipeline “%(pipeline)s”") % names)
            for place in binding.fields:
                lines += self._creations_of(place, create)
        if self.survey.bridge_id.key in create:
            lines.append(_("field “%(field)s” of leads, for the bridge alone") % {"field": self.survey.bridge_id.ours})
        return [str(line) for line in lines]

    def _creations_of(self, place: Place, create: Any) -> list[str]:
        if place.key in create:
            lines = [_("field “%(field)s” (%(type)s) of leads") % {"field": place.ours, "type": place.kind}]
        elif f"options:{place.key.partition(':')[2]}" in create:
            lines = []
        else:
            return []
        names = {"field": place.theirs or place.ours}
        options = [
            _("option “%(option)s” of “%(field)s”") % {**names, "option": option} for option in place.new_options
        ]
        return [*lines, *options]


class WebhookForm(forms.Form):
    public_url = forms.URLField(
        label=_("Public address of this bridge"),
        help_text=_("Kommo must be able to reach it: https, and no login in front of it."),
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://bridge.example.com", "inputmode": "url"}),
        assume_scheme="https",
    )


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the agent"),
        max_length=100,
        help_text=_("So that you recognise the key when you want to revoke it."),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if ApiKey.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a key of this name already."))
        return name


class TrialForm(forms.Form):
    phone = forms.CharField(
        label=_("WhatsApp number"),
        help_text=_("Your own, for instance. In any spelling."),
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "tel", "autocomplete": "tel"}),
    )
    name = forms.CharField(
        label=_("Name"), max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    text = forms.CharField(
        label=_("What the person writes"),
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, region: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.region = region

    def clean_phone(self) -> str:
        try:
            phone: str = parse(self.cleaned_data["phone"], region=self.region).e164
        except PhoneError as error:
            raise forms.ValidationError(_("This is not a phone number that can be called.")) from error
        return phone
