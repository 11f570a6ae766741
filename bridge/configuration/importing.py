"""Bringing a configuration file into force: everything is checked first, then all of it is written, or nothing.

Rows are found by their natural keys, so that leads, bindings and histories stay with them; what the file no longer has
is removed. Nothing that leads stand in, or that was said to them, goes with it: that is refused, with its remedy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from bridge.configuration import (
    contradictions,
    differences,
    exporting,
    import_obstacles,
    kept_bindings,
    writing_rows,
    yaml_file,
)
from bridge.configuration.file_problems import Problem, RefusedError
from leads import models as leads


@dataclass(frozen=True)
class Import:
    """What an import changed or would change, a line each, and how many parts are not bound to Kommo yet."""

    changes: list[str]
    unbound: int


@transaction.atomic
def bring_in(data: bytes, *, reason: str, dry_run: bool = False) -> Import:
    """Make the configuration what the file says; with `dry_run` only say what would change.

    `reason` is kept with every change on the history pages. Raises RefusedError, and then nothing has changed.
    """
    configuration = yaml_file.parse(data)
    in_force = exporting.texts_in_force()
    if problems := [
        *contradictions.find(configuration),
        *contradictions.unknown_names(configuration, in_force=in_force),
    ]:
        raise RefusedError(problems)
    # Whoever else imports or edits a pipeline waits here.
    list(leads.Pipeline.objects.select_for_update().order_by("pk"))
    current = exporting.read()
    wanted = replace(
        configuration,
        pipelines=tuple(map(yaml_file.in_order, kept_bindings.keep(current.pipelines, configuration.pipelines))),
    )
    if problems := import_obstacles.find(current, wanted):
        raise RefusedError(problems)
    changes = differences.between(current, wanted)
    if changes and not dry_run:
        try:
            with transaction.atomic():
                writing_rows.Writer(current, wanted, reason).write()
        except (IntegrityError, ProtectedError) as error:
            raise RefusedError(
                [Problem(1, f"somebody changed the configuration or its leads just now: import again ({error})")]
            ) from error
    return Import(changes, kept_bindings.unbound(wanted))
