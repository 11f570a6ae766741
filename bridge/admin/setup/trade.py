"""Begin with the rules of a trade: a playbook that comes with us, or a file, seen before it holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin import audit_record
from bridge.admin.setup.page import show, step
from bridge.admin.setup.steps import Progress
from bridge.configuration import yaml_file
from bridge.configuration.account_from_environment import take_free_pipelines
from bridge.configuration.change_preview import Preview, preview
from bridge.configuration.file_problems import RefusedError
from bridge.configuration.importing import bring_in
from bridge.installed_paths import SHARED
from leads.models import Pipeline

LARGEST = 512 * 1024
# What each trade is called where people choose; a playbook without a word here is called by its file.
TRADES = {
    "solar": gettext_lazy("Solar energy"),
    "clinic": gettext_lazy("Clinic"),
    "real_estate": gettext_lazy("Real estate"),
    "school": gettext_lazy("School (in Spanish)"),
    "car_dealer": gettext_lazy("Car dealer"),
    "agency": gettext_lazy("Agency (in English)"),
}


@dataclass(frozen=True)
class Playbook:
    slug: str
    stages: list[str]

    @property
    def name(self) -> str:
        return str(TRADES.get(self.slug, self.slug))


def playbooks() -> list[Playbook]:
    """Return those that come with us, in the order of TRADES."""
    order = list(TRADES)
    files = sorted((SHARED / "playbooks").glob("*.yaml"), key=lambda path: [*order, path.stem].index(path.stem))
    return [Playbook(file.stem, _stages(file)) for file in files]


# They come with the code, and stay as they are.
@cache
def _stages(file: Path) -> list[str]:
    return [stage.name for stage in yaml_file.parse(file.read_bytes()).pipelines[0].stages]


class TradeForm(forms.Form):
    """Either a playbook or a file; `text` is what is shown and then brought into force."""

    playbook = forms.CharField(required=False)
    file = forms.FileField(required=False, label=gettext_lazy("A file of your own"))
    text = forms.CharField(required=False, widget=forms.HiddenInput, strip=False)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not given.get("text"):
            given["text"] = self._chosen(given.get("playbook", ""), given.get("file"))
        if len(given["text"].encode()) > LARGEST:
            raise forms.ValidationError(_("This is too large for a file of rules."))
        return given

    def _chosen(self, playbook: str, file: Any) -> str:
        if file is not None:
            try:
                return str(file.read(LARGEST + 1).decode())
            except UnicodeDecodeError as error:
                raise forms.ValidationError(_("This is no file of rules.")) from error
        if playbook not in [candidate.slug for candidate in playbooks()]:
            raise forms.ValidationError(_("Choose a trade, or a file."))
        return (SHARED / "playbooks" / f"{playbook}.yaml").read_text(encoding="utf-8")


@step("pipeline")
def trade(request: HttpRequest, progress: Progress) -> HttpResponse:
    form = TradeForm(request.POST or None, request.FILES or None)
    shown: dict[str, Any] = {"form": form, "playbooks": playbooks(), "may": _may(request)}
    if request.method == "POST" and form.is_valid() and shown["may"]:
        text = form.cleaned_data["text"]
        try:
            if "sure" in request.POST:
                return _bring(request, progress, text)
            seen = _seen(progress, text)
            shown |= {"seen": seen, "text": text, "stages": seen.missing("stages"), "fields": seen.missing("fields")}
        except RefusedError as error:
            shown["problems"] = [str(problem) for problem in error.problems]
    return show(request, progress, "pipeline", template="trade", **shown)


def _may(request: HttpRequest) -> bool:
    return request.user.has_perms(("leads.add_pipeline", "leads.change_pipeline", "leads.delete_pipeline"))


def _seen(progress: Progress, text: str) -> Preview:
    return preview(text.encode(), account=progress.account, catalogue=progress.catalogue)


@transaction.atomic
def _bring(request: HttpRequest, progress: Progress, text: str) -> HttpResponse:
    done = bring_in(text.encode(), reason="setup")
    assert progress.account is not None, "the step was not guarded"
    take_free_pipelines(progress.account)
    audit_record.note(request, "Brought rules into force", rows=list(Pipeline.objects.order_by("slug")))
    messages.success(request, _("The rules hold. Now bind them to Kommo.") if done.changes else _("Nothing changed."))
    return redirect("setup-pipeline")
