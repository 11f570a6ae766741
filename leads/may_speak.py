"""May the agent speak with this lead? The one question of whatever speaks or is told to: the API, messages, follow-ups.

Answered from the lead's row and its pipeline's. What a room above knows besides (that Kommo could not be asked for too
long, say) it adds to the answer; nobody asks anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.reasons import Reason
from leads import optout, served_leads
from leads.models import Lead, Pipeline

TagsOf = Callable[[Collection[UUID]], Mapping[UUID, Collection[str]]]

_tags_of: list[TagsOf] = []


def ask_tags(of: TagsOf) -> None:
    """Let a room above say which tags the cards of leads have: ids of leads -> id -> tags."""
    _tags_of.append(of)


ERASED = Reason("personal_data_erased")
ELSEWHERE = Reason("person_speaks_with_them_elsewhere")


class Shut(StrEnum):
    """What keeps the agent silent."""

    SWITCHED_OFF = "switched_off"
    PERSON = "person"
    ERASED = "erased"
    OPTED_OUT = "opted_out"
    UNSERVED = "unserved"


@dataclass(frozen=True)
class Refusal:
    """Why the agent may not speak with a lead, in words, and since when that is so."""

    shut: Shut
    reason: str
    since: datetime | None = None


def refusal(lead: Lead) -> Refusal | None:
    """Return why the agent may not speak with this lead now; None when it may. See `refusals`."""
    return refusals([lead]).get(lead.pk)


def refusals(leads: Iterable[Lead]) -> dict[UUID, Refusal]:
    """Return why the agent may not speak with some of these leads now, by their ids.

    No query with the pipelines at hand; few where one of them asks for tags.
    """
    rows = list(leads)
    found = {pk: Refusal(Shut.UNSERVED, why) for pk, why in unserved(rows).items()}
    for lead in rows:
        if lead.pipeline.silenced_at:
            found[lead.pk] = _of_switch(lead.pipeline)
        elif shut := by_people(lead):
            found[lead.pk] = shut
    return found


def by_people(lead: Lead) -> Refusal | None:
    """Return why the agent may not speak with this person in any pipeline: somebody has them, or they want nothing.

    None when neither is so, or not by this lead's row.
    """
    if lead.in_handoff:
        return Refusal(Shut.PERSON, lead.handoff_reason or lead.handoff_source, lead.handoff_since)
    if lead.erased_at:
        return Refusal(Shut.ERASED, ERASED, lead.erased_at)
    return of_wish(lead.opted_out_at) if lead.opted_out_at else None


def of_another_pipeline(shut: Refusal) -> Refusal:
    """Return a refusal as one pipeline hears of it from another: why a person took over is said there alone."""
    return replace(shut, reason=ELSEWHERE) if shut.shut is Shut.PERSON else shut


def of_wish(since: datetime) -> Refusal:
    return Refusal(Shut.OPTED_OUT, optout.SAID, since)


def refusal_of_stranger(key: str, pipeline: Pipeline, *, now: datetime) -> Refusal | None:
    """Return why the agent may not speak with whoever writes from this address for the first time; None when it may."""
    if pipeline.silenced_at:
        return _of_switch(pipeline)
    why = served_leads.why_not(pipeline.serves, tags=(), created_at=now, drawn_as=key)
    return Refusal(Shut.UNSERVED, why) if why else None


def unserved(leads: Iterable[Lead]) -> dict[UUID, str]:
    """Return why the agent does not serve some of these leads, whoever has them now: nothing of them is told to it."""
    asked = [lead for lead in leads if not lead.pipeline.serves.is_open]
    by_tags = [lead.pk for lead in asked if lead.pipeline.serves.asks_tags]
    tags = {pk: worn for of in _tags_of if by_tags for pk, worn in of(by_tags).items()}
    found = {lead.pk: unserved_with(lead, tags.get(lead.pk, ())) for lead in asked}
    return {pk: why for pk, why in found.items() if why}


def unserved_with(lead: Lead, tags: Collection[str]) -> str:
    """Return why the agent does not serve a lead whose card has these tags; empty when it does."""
    return served_leads.why_not(lead.pipeline.serves, tags=tags, created_at=lead.created_at, drawn_as=lead.drawn_as)


def _of_switch(pipeline: Pipeline) -> Refusal:
    return Refusal(Shut.SWITCHED_OFF, switched_off(pipeline), pipeline.silenced_at)


def switched_off(pipeline: Pipeline) -> str:
    """Return in words why the agent is silent in a whole pipeline."""
    return f"the agent is silenced in this pipeline: {pipeline.silenced_reason or 'no reason was given'}"
