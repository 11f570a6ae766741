"""Which steps are there, and which are done? Read from what is stored, so no step is ever done only on paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from bridge.accounts import catalogue as catalogues
from bridge.configuration.connection_survey import Survey, survey
from bridge.models import Account, ApiKey, Card, Catalogue, Intake
from leads.models import Pipeline


@dataclass(frozen=True)
class Step:
    name: str
    title: Any
    about: Any
    # Nothing has to be done in it: an agent may well report everything by itself.
    is_optional: bool = False

    @property
    def url(self) -> str:
        return reverse(f"setup-{self.name}")


STEPS = (
    Step("connect", _("Connect Kommo"), _("Address and token, or by consent")),
    Step("pipeline", _("Choose the pipeline"), _("Where the cards live")),
    Step("bind", _("Bind stages and fields"), _("Ours beside Kommo's")),
    Step("webhook", _("Receive changes from Kommo"), _("Kommo calls the bridge")),
    Step("ways", _("Hear the conversations"), _("If messengers tell by themselves"), is_optional=True),
    Step("key", _("Make the agent's key"), _("Shown once")),
    Step("trial", _("Send a first message"), _("And see it on the card")),
)


class Progress:
    """How far this installation is; each answer is looked up when a page first asks for it."""

    def __init__(self, account: Account | None) -> None:
        self.account = account

    @cached_property
    def catalogue(self) -> Catalogue | None:
        return catalogues.stored(self.account) if self.account else None

    @cached_property
    def survey(self) -> Survey | None:
        return survey(self.account, self.catalogue) if self.account and self.catalogue else None

    @cached_property
    def done(self) -> dict[str, bool]:
        account = self.account
        connected = bool(account and account.access_token)
        pipelines = Pipeline.objects.filter(account_link__account=account) if connected else Pipeline.objects.none()
        return {
            "connect": connected,
            "pipeline": pipelines.exclude(kommo_pipeline_id=None).exists(),
            "bind": bool(account and account.connected_at and self.survey and self.survey.is_complete),
            "webhook": bool(account and account.webhook_destination),
            "ways": Intake.objects.filter(is_active=True).exists(),
            "key": ApiKey.objects.filter(revoked_at=None).exists(),
            "trial": bool(account) and Card.objects.filter(account=account, synced_at__isnull=False).exists(),
        }

    @property
    def first_open(self) -> Step | None:
        return next((step for step in STEPS if not step.is_optional and not self.done[step.name]), None)

    def rows(self, current: str) -> list[dict[str, Any]]:
        """Return the steps as the page lists them. Before there is an account, only connecting, ways in and keys make
        sense."""
        return [
            {
                "step": step,
                "number": number,
                "done": self.done[step.name],
                "current": step.name == current,
                "open": self.done["connect"] or step.name in ("connect", "ways", "key"),
            }
            for number, step in enumerate(STEPS, 1)
        ]


def after(name: str) -> Step | None:
    names = [step.name for step in STEPS]
    place = names.index(name) + 1
    return STEPS[place] if place < len(STEPS) else None
