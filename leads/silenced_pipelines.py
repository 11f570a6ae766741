"""Is anything of ours said to anybody in this pipeline? Whoever speaks to leads asks here first.

Staff may silence the agent there (leads/emergency_stop.py), and a room above may keep a pipeline silent (an account in
shadow only shows what it would do). What would have been said then is kept as "would have been said", counts for
nothing, and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from leads import may_speak
from leads.models import Pipeline

Asked = Callable[[frozenset[int]], Mapping[int, str]]

_asked: list[Asked] = []


def ask(about: Asked) -> None:
    """Let a room above say which pipelines are silent: ids of pipelines -> id -> why, without those that speak."""
    _asked.append(about)


def reasons(pipeline_ids: Iterable[int]) -> dict[int, str]:
    """Return id -> why nothing is said to anybody there, for the silent ones among these pipelines. Two queries."""
    wanted = frozenset(pipeline_ids)
    if not wanted:
        return {}
    found = {pk: why for about in _asked for pk, why in about(wanted).items()}
    switched_off = Pipeline.objects.filter(pk__in=wanted, silenced_at__isnull=False)
    return found | {pipeline.pk: may_speak.switched_off(pipeline) for pipeline in switched_off.only("silenced_reason")}


def reason(pipeline: Pipeline) -> str:
    """Return why nothing is said to anybody in a pipeline; empty when messages may leave."""
    return reasons([pipeline.pk]).get(pipeline.pk, "")
