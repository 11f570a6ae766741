"""What would a configuration change here, and what would be made in Kommo for it? Looked at, and taken back.

The file is brought into force in a transaction that is rolled back: what is shown is what would happen, obstacles too.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from bridge.configuration.account_from_environment import take_free_pipelines
from bridge.configuration.connection_survey import Fit, Place, Survey, survey
from bridge.configuration.importing import bring_in
from bridge.models import Account, Catalogue


@dataclass(frozen=True)
class Preview:
    """`changes`: a line each, as an import prints them. `survey`: how all of it would stand to the account."""

    changes: list[str]
    survey: Survey | None

    @property
    def homeless(self) -> list[str]:
        """Return the pipelines that have none in Kommo: people alone make those."""
        return [binding.pipeline.name for binding in self.survey.bindings if not binding.found] if self.survey else []

    def missing(self, kind: str) -> list[Place]:
        """Return what would be made in Kommo: `stages` or `fields`."""
        bindings = self.survey.bindings if self.survey else ()
        places = [place for binding in bindings for place in (binding.stages if kind == "stages" else binding.fields)]
        if kind == "fields" and self.survey:
            places.append(self.survey.bridge_id)
        return [place for place in places if place.can_create and place.fit is Fit.MISSING]


def preview(data: bytes, *, account: Account | None, catalogue: Catalogue | None) -> Preview:
    """Return what bringing this file into force would do. Raises RefusedError; nothing is changed either way."""
    with transaction.atomic():
        done = bring_in(data, reason="preview")
        if account and catalogue:
            take_free_pipelines(account)
            seen = survey(account, catalogue)
        else:
            seen = None
        transaction.set_rollback(True)
    return Preview(done.changes, seen)
