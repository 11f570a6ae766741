"""What a way in is asked for: its name, whose leads, and the keys by which the other side proves that it calls."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bridge.admin.ways.intake_guides import GUIDES, Guide
from bridge.intakes import managing_intakes
from bridge.models import Intake

KEY_BYTES = 24


class NewForm(forms.ModelForm):  # type: ignore[type-arg]
    """A way in that is made: with the keys that are ours filled in, ready to be pasted there."""

    class Meta:
        model = Intake
        fields = ("slug", "pipeline")
        widgets = {"slug": UnfoldAdminTextInputWidget, "pipeline": UnfoldAdminSelectWidget}
        help_texts = {"slug": _("Stands in the address and wherever a message names its way.")}

    def __init__(self, posted: Any, *, guide: Guide) -> None:
        super().__init__(posted, instance=Intake(kind=guide.kind))
        self.guide = guide
        self.initial["slug"] = _free(guide.slug)
        for name, key in guide.keys.items():
            self.fields[name] = forms.CharField(
                label=key.label,
                help_text=key.about,
                initial=secrets.token_urlsafe(KEY_BYTES) if key.ours else "",
                required=False,
                max_length=500,
                widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )

    @property
    def keys(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in self.guide.keys}


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """Keys are write-only: an empty field leaves the key as it is, a dash takes it away."""

    class Meta:
        model = Intake
        fields = ("slug", "pipeline", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = managing_intakes.settings_of(self.instance)
        for name, key in GUIDES[self.instance.kind].keys.items():
            is_set = _("is set; a dash takes it away") if name in self._kept else _("not set")
            self.fields[name] = forms.CharField(
                label=key.label,
                help_text=is_set,
                required=False,
                max_length=500,
                widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
            )

    def wanted(self) -> dict[str, str]:
        """Return the keys as they are to be kept."""
        named = {name: self.cleaned_data.get(name, "") for name in GUIDES[self.instance.kind].keys}
        kept = self._kept | {name: value for name, value in named.items() if value}
        return {name: value for name, value in kept.items() if value != "-"}


def _free(slug: str) -> str:
    """Return a short name that no way in has yet."""
    taken = set(Intake.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    return next(name for name in (slug, *(f"{slug}-{number}" for number in range(2, 1000))) if name not in taken)
