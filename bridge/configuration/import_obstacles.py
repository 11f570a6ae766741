"""What the database has against a file: leads and messages that would lose their place."""

from __future__ import annotations

from django.db.models import Count

from bridge.configuration import differences, document
from bridge.configuration.document import Configuration
from bridge.configuration.file_problems import Problem
from followups import models as followups
from leads import models as leads


def find(current: Configuration, wanted: Configuration) -> list[Problem]:
    """Return what stands against making `current` into `wanted`, each with its remedy; nothing when it may be done."""
    known = {pipeline.slug: pipeline for pipeline in wanted.pipelines}
    problems = []
    for old in current.pipelines:
        new = known.get(old.slug)
        if new is None:
            problems += _pipeline_in_use(old, wanted)
        else:
            problems += [*_stages_in_use(old, new), *_sequences_in_use(old, new), *_sequence_order(old, new)]
    return problems


def _pipeline_in_use(old: document.Pipeline, wanted: Configuration) -> list[Problem]:
    standing = leads.Lead.objects.filter(pipeline__slug=old.slug).count()
    if not standing:
        return []
    text = f"pipeline “{old.slug}” is missing, but {_leads(standing)} in it: keep it (bridge_config export shows it)"
    return [wanted.problem("pipelines", text)]


def _stages_in_use(old: document.Pipeline, new: document.Pipeline) -> list[Problem]:
    gone = {stage.key for stage in old.stages} - {stage.key for stage in new.stages}
    rows = leads.Lead.objects.filter(pipeline__slug=old.slug, stage__key__in=gone)
    counts = rows.values_list("stage__key").annotate(Count("pk")).order_by("stage__key")
    return [
        new.problem(
            "stages",
            f"stage “{key}” is missing, but {_leads(count)} in it: move their cards to another stage in Kommo first, "
            "or keep the stage",
        )
        for key, count in counts
    ]


def _sequences_in_use(old: document.Pipeline, new: document.Pipeline) -> list[Problem]:
    gone = {sequence.slug for sequence in old.sequences} - {sequence.slug for sequence in new.sequences}
    rows = followups.Sequence.objects.filter(pipeline__slug=old.slug, slug__in=gone)
    used = rows.exclude(enrollments=None).order_by("slug").distinct().values_list("slug", flat=True)
    return [
        new.problem(
            "sequences",
            f"sequence “{slug}” is missing, but leads have been through it, and what they were sent would be lost: "
            "keep it with active: false",
        )
        for slug in used
    ]


def _sequence_order(old: document.Pipeline, new: document.Pipeline) -> list[Problem]:
    """Of several active sequences for one purpose the oldest is used; the file must not say otherwise."""
    places = differences.match(old.sequences, new.sequences)
    by_age = sorted(
        range(len(places)), key=lambda number: len(places) + number if (place := places[number]) is None else place
    )
    problems = []
    for purpose in {sequence.starts_on for sequence in new.sequences}:
        meant = [sequence for sequence in new.sequences if sequence.is_active and sequence.starts_on == purpose]
        used = [sequence for number in by_age if (sequence := new.sequences[number]) in meant]
        if meant and meant[0] != used[0]:
            text = f"“{used[0].slug}” was there first and would be used instead: write active: false there"
            problems.append(meant[0].problem("slug", text))
    return problems


def _leads(count: int) -> str:
    return "1 lead stands" if count == 1 else f"{count} leads stand"
