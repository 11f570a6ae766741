"""Which rules held when, and who wanted them so: every change of a pipeline's configuration, as a whole document.

A published draft is one revision. What is changed on other ways (an import, a single row in the admin, kommo_connect)
is taken down as a revision of its own before anything is built on it, so that no roll-back loses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from bridge.configuration import (
    document,
    drafts,
    exporting,
    importing,
    kept_bindings,
    stages_wanted_in_kommo,
    touched_parts,
    yaml_file,
)
from bridge.models import RulesDraft, RulesRevision
from followups import models as followups
from leads import models as leads
from leads.models import Pipeline

Change = Callable[[document.Pipeline], document.Pipeline]
# Rows whose histories know who changed them, and how they lead to their pipeline.
HISTORIES: tuple[tuple[Any, str], ...] = (
    (leads.Pipeline, "id"),
    (leads.Stage, "pipeline_id"),
    (leads.StageMapping, "pipeline_id"),
    (leads.Flow, "pipeline_id"),
    (leads.Qualification, "pipeline_id"),
    (leads.Criterion, "qualification__pipeline_id"),
    (leads.TagRule, "pipeline_id"),
    (leads.FieldMapping, "pipeline_id"),
    (followups.Sequence, "pipeline_id"),
    (followups.Step, "sequence__pipeline_id"),
)


@transaction.atomic
def note(pipeline: Pipeline, *, now: datetime) -> RulesRevision:
    """Return the revision of what holds now; a new one when something was changed outside of a draft."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    newest = pipeline.revisions.order_by("-number").first()
    text = drafts.text_of(exporting.read_pipeline(pipeline))
    if newest and newest.digest == drafts.digest(text):
        return newest
    if newest is None:
        return _add(pipeline, text, RulesRevision.Origin.FIRST, now=now)
    author, comment = _who_changed(pipeline, newest.created_at)
    return _add(pipeline, text, RulesRevision.Origin.FOUND, author=author, comment=comment, now=now)


def is_noted(pipeline: Pipeline) -> bool:
    """Say whether the newest revision is what holds now."""
    newest = pipeline.revisions.order_by("-number").values_list("digest", flat=True).first()
    return newest == drafts.digest(drafts.text_of(exporting.read_pipeline(pipeline)))


@transaction.atomic
def publish(
    pipeline: Pipeline, *, author: Any, comment: str, seen: str, now: datetime, in_kommo: bool = False
) -> RulesRevision:
    """Let the draft hold from the next interaction on, all of it or nothing; return its revision.

    seen: the `mark` of what the author agreed to. in_kommo: they agreed to what the draft asks of Kommo as well. Raises
    StaleDraftError when it has changed since, and RefusedError when leads or other rules stand against it.
    """
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    draft = drafts.prepared(pipeline)
    if draft.row is None or draft.mark != seen:
        raise drafts.StaleDraftError
    note(pipeline, now=now)
    _bring_in(draft.wanted, reason=comment or f"published by {author}")
    if in_kommo:
        stages_wanted_in_kommo.ask(pipeline, draft.in_kommo, by=str(author), now=now)
    restored = restored_by(pipeline, draft.wanted)
    draft.row.delete()
    origin = RulesRevision.Origin.ROLLED_BACK if restored else RulesRevision.Origin.PUBLISHED
    text = drafts.text_of(exporting.read_pipeline(Pipeline.objects.get(pk=pipeline.pk)))
    return _add(pipeline, text, origin, author=author, comment=comment, restored=restored, now=now)


@transaction.atomic
def amend(pipeline: Pipeline, change: Change, *, author: Any, comment: str, now: datetime) -> RulesRevision:
    """Make one small change hold at once, and in the open draft as well. Raises RefusedError."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    note(pipeline, now=now)
    _bring_in(change(exporting.read_pipeline(pipeline)), reason=comment)
    row = RulesDraft.objects.filter(pipeline=pipeline).first()
    if row:
        row.base, row.document = (drafts.text_of(change(drafts.read(text))) for text in (row.base, row.document))
        row.save(update_fields=["base", "document"])
    text = drafts.text_of(exporting.read_pipeline(Pipeline.objects.get(pk=pipeline.pk)))
    return _add(pipeline, text, RulesRevision.Origin.MAPPED, author=author, comment=comment, now=now)


def restore(revision: RulesRevision, *, author: Any, now: datetime) -> None:
    """Make what held then the pipeline's draft: it is looked at, and published, like any other."""
    pipeline = revision.pipeline
    live = exporting.read_pipeline(pipeline)
    # Bindings belong to the account as it is now; an id that was not bound then must not undo one that is.
    [wanted] = kept_bindings.keep([live], [replace(drafts.read(revision.document), is_default=live.is_default)])
    drafts.discard(pipeline)
    drafts.save(pipeline, wanted, author=author, now=now)


@transaction.atomic
def take_back(done: RulesRevision, *, former: RulesRevision, author: Any, now: datetime) -> bool:
    """Let what held before a revision hold again at once; False, and nothing, where anything was done since.

    A draft that somebody has begun meanwhile counts: it was begun on what is taken back. Raises RefusedError.
    """
    pipeline = Pipeline.objects.select_for_update().get(pk=done.pipeline_id)
    if note(pipeline, now=now) != done or drafts.prepared(pipeline).row is not None:
        return False
    restore(former, author=author, now=now)
    draft = drafts.prepared(pipeline)
    if draft.row is not None:
        publish(pipeline, author=author, comment="", seen=draft.mark, now=now)
    return True


def _bring_in(wanted: document.Pipeline, *, reason: str) -> None:
    everything = exporting.read()
    pipelines = tuple(wanted if pipeline.slug == wanted.slug else pipeline for pipeline in everything.pipelines)
    data = yaml_file.dump(document.Configuration(pipelines=pipelines)).encode()
    # The histories' column is this long.
    importing.bring_in(data, reason=reason[:100])


def _add(pipeline: Pipeline, text: str, origin: RulesRevision.Origin, *, now: datetime, **more: Any) -> RulesRevision:
    before = pipeline.revisions.order_by("-number").first()
    author = more.pop("author", None)
    user = author if isinstance(author, User) else None
    return RulesRevision.objects.create(
        pipeline=pipeline,
        number=before.number + 1 if before else 1,
        touched=touched_parts.touched(drafts.read(before.document), drafts.read(text)) if before else [],
        document=text,
        digest=drafts.digest(text),
        origin=origin,
        author=user,
        author_name=str(author or "")[:200],
        created_at=now,
        **more,
    )


def restored_by(pipeline: Pipeline, wanted: document.Pipeline) -> RulesRevision | None:
    """Return the newest older revision that says the same, the bindings to Kommo aside."""
    for revision in pipeline.revisions.order_by("-number")[1:50]:
        [then] = kept_bindings.keep([wanted], [replace(drafts.read(revision.document), is_default=wanted.is_default)])
        if then == wanted:
            return revision
    return None


def _who_changed(pipeline: Pipeline, since: datetime) -> tuple[str, str]:
    """Return the names of those who changed rows since then, as the rows' histories know, and the reason they gave."""
    names, reasons = [], []
    for model, path in HISTORIES:
        rows = model.history.filter(history_date__gt=since)
        column, _, rest = path.partition("__")
        if rest:
            parents = model._meta.get_field(column).related_model.objects.filter(**{rest: pipeline.pk})
            rows = rows.filter(**{f"{column}_id__in": parents.values("pk")})
        else:
            rows = rows.filter(**{path: pipeline.pk})
        for row in rows.select_related("history_user").order_by("-history_date")[:20]:
            names.append(str(row.history_user) if row.history_user else "")
            reasons.append(row.history_change_reason or "")
    return ", ".join(dict.fromkeys(filter(None, names))), ", ".join(dict.fromkeys(filter(None, reasons)))[:500]
