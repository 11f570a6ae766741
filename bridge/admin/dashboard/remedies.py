"""What a person does about a stuck card: the sentence and the page, chosen by what the card waits for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from common.reasons import codes_of


@dataclass(frozen=True)
class Remedy:
    """`page`, or a `part` of it, is where it is mended (empty: no page of ours). `requeue`: try again."""

    text: str | Promise
    page: str = ""
    part: str = ""
    page_label: str | Promise = ""
    requeue: bool = True

    @property
    def url(self) -> str:
        return reverse(self.page) + (f"?part={self.part}" if self.part else "")


# The codes of reasons, and how rows of before say the same.
BY_REASON: tuple[tuple[frozenset[str], str, Remedy], ...] = (
    (
        frozenset({"stage_not_bound"}),
        r"^stage “.*” is not bound",
        Remedy(
            _("Choose the stage in Kommo; the cards go on by themselves."),
            "admin:rules",
            "stages",
            _("Bind stages"),
            requeue=False,
        ),
    ),
    (
        frozenset({"field_not_bound", "no_such_option", "field_cannot_show"}),
        r"is not bound to a field|has no option|cannot show",
        Remedy(
            _("Bind the field or its option; the cards go on by themselves."),
            "admin:rules",
            "fields",
            _("Bind fields"),
            requeue=False,
        ),
    ),
    (
        frozenset({"pipeline_not_bound"}),
        r"is not bound to a pipeline",
        Remedy(_("Choose the pipeline in Kommo."), "setup-pipeline", "", _("Bind pipelines"), requeue=False),
    ),
    (
        frozenset({"card_in_incoming_leads", "person_in_incoming_leads", "stage_bound_to_incoming"}),
        r"Incoming leads",
        Remedy(_("Accept the lead in Kommo; then send again.")),
    ),
    (
        frozenset(
            {
                "merged_into_card_of_another",
                "our_id_on_card_of_another",
                "person_has_card_of_another_lead",
                "card_of_another_lead",
            }
        ),
        r"merged this lead into|another lead here",
        Remedy(
            _("Two leads share one card in Kommo. Decide on the lead's page which of them keeps it."), requeue=False
        ),
    ),
)
BY_STATE = {
    "blocked": Remedy(_("Complete what is named; the cards go on by themselves.")),
    "dead": Remedy(_("Kommo refused this. Fix the cause on the lead's page, then send again.")),
    "gone": Remedy(_("The card was deleted in Kommo. Open the lead to make a new one, or close it."), requeue=False),
}


def remedy(state: str, reason: str) -> Remedy:
    """Return what to do about a card in this state for this reason."""
    codes = codes_of(reason)
    for own, pattern, found in BY_REASON:
        if own & codes if codes else re.search(pattern, reason):
            return found
    return BY_STATE[state]
