"""From reported interactions to answers: read, acted on once, in as few statements as it takes.

One interaction or a hundred go the same way. What is wrong with one is its own answer and spoils no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from rest_framework import exceptions

from bridge import metrics
from bridge.api import idempotency, representation
from bridge.api.error_answers import DatabaseAway, Erased
from bridge.api.idempotency import Answer, RepeatedError
from bridge.api.report_fields import Past
from bridge.api.serializers import pipeline_named, read_interaction
from bridge.inbound import people_on_cards
from bridge.models import ApiKey, Card, Delivery
from common.deadlocks import is_deadlock
from leads import address_owners
from leads.erasure import ForgottenError
from leads.interaction_values import Interaction, Recorded
from leads.interactions import record_all
from leads.models import Pipeline
from leads.whose_interaction import ErasedMeanwhileError

# Of a request and of others like it at the same moment, somebody gets through.
TRIES = 5

# The status and the body, or why there is neither.
Outcome = Answer | exceptions.APIException


@dataclass(frozen=True)
class Report:
    """An interaction that can be acted on, and what makes it the same as another."""

    place: int
    interaction: Interaction
    pipeline: Pipeline
    key: str | None
    body: Any


def take_in(
    bodies: Sequence[tuple[Any, str | None]], key: ApiKey, *, now: datetime, past: Past | None = None
) -> list[Outcome]:
    """Act on bodies, each with its idempotency key or None, and return an outcome for each, in order.

    Without a key of its own an interaction is told from others by its message's id; one of the past by all that it
    says. Raises DatabaseError.
    """
    outcomes: dict[int, Outcome] = {}
    reports: list[Report] = []
    pipelines: dict[Any, Pipeline] = {}
    for place, (body, idempotency_key) in enumerate(bodies):
        try:
            reports.append(_read(place, body, idempotency_key, key, pipelines, now, past))
        except exceptions.APIException as error:
            outcomes[place] = error
    if past is not None:
        reports = _moving_nobody_elses(reports)
    if len(reports) > 1:
        outcomes |= _together(reports, now)
    elif reports:
        outcomes |= _alone(reports[0], now)
    return [outcomes[place] for place in range(len(bodies))]


def _moving_nobody_elses(reports: list[Report]) -> list[Report]:
    """Let the past move no lead whose card was found in Kommo: whoever put it there did so since."""
    keys_by_pipeline: dict[int, set[str]] = {}
    for report in reports:
        keys_by_pipeline.setdefault(report.pipeline.pk, set()).update(report.interaction.keys)
    ours = Delivery.objects.filter(card=OuterRef("pk"), operation=Delivery.Operation.CREATE)
    found: set[tuple[int, str]] = set()
    for pipeline_id, keys in keys_by_pipeline.items():
        owners = address_owners.owners(Pipeline(pk=pipeline_id), keys)
        cards = Card.objects.filter(lead__in=set(owners.values()))
        theirs = set(cards.filter(~Exists(ours), kommo_lead_id__isnull=False).values_list("lead_id", flat=True))
        found |= {(pipeline_id, key) for key, lead_id in owners.items() if lead_id in theirs}
    return [
        replace(report, interaction=replace(report.interaction, may_move=False))
        if found & {(report.pipeline.pk, key) for key in report.interaction.keys}
        else report
        for report in reports
    ]


def _read(
    place: int,
    body: Any,
    idempotency_key: str | None,
    key: ApiKey,
    pipelines: dict[Any, Pipeline],
    now: datetime,
    past: Past | None,
) -> Report:
    if not isinstance(body, dict):
        raise exceptions.ValidationError({"": ["The body must be an object."]})
    slug = body.get("pipeline")
    # Only a text names a pipeline; anything else is told as what it is by the reading.
    name = slug if isinstance(slug, str) else None if slug is None else ()
    if name not in pipelines:
        pipelines[name] = pipeline_named(slug, key)
    pipeline = pipelines[name]
    interaction = read_interaction(body, pipeline, now=now, past=past)
    if past is not None and idempotency_key is None:
        # Told again with other words for the same message, it is no conflict: the timeline knows the message.
        idempotency_key = f"history:{idempotency.fingerprint([pipeline.pk, past.time_zone, body])}"
    elif idempotency_key is None and interaction.message and interaction.message.id:
        # Messengers count some ids anew for each person.
        whose = idempotency.fingerprint(interaction.keys[0])[:16]
        idempotency_key = f"message:{whose}:{interaction.message.id}"
    if idempotency_key is None:
        return Report(place, interaction, pipeline, None, body)
    name = f"{key.pk}:{idempotency_key}"
    return Report(place, replace(interaction, known_as=frozenset({name})), pipeline, name, body)


def _together(reports: list[Report], now: datetime) -> dict[int, Outcome]:
    """Act on several in one transaction; on trouble nothing of it is stored, and each is tried by itself."""
    outcomes: dict[int, Outcome] = {}
    try:
        with transaction.atomic():
            for some in _rounds(reports):
                outcomes |= _act(some, now, look=True)
        return outcomes
    except (DatabaseError, InterfaceError, RepeatedError, ForgottenError, ErasedMeanwhileError):
        # A deadlock with another batch, say, or one of these reported by somebody else at this moment, or of somebody
        # who was erased.
        return {place: outcome for report in reports for place, outcome in _alone_or_away(report, now).items()}


def _alone_or_away(report: Report, now: datetime) -> dict[int, Outcome]:
    try:
        return _alone(report, now)
    except (DatabaseError, InterfaceError):
        return {report.place: DatabaseAway()}


def _alone(report: Report, now: datetime) -> dict[int, Outcome]:
    # Nearly all are new: whether one is a repetition is only looked up when storing its answer says so.
    for attempt in range(TRIES):
        try:
            with transaction.atomic():
                return _act([report], now, look=attempt > 0)
        except (RepeatedError, ErasedMeanwhileError):
            continue
        except ForgottenError:
            return {report.place: Erased()}
        except OperationalError as error:
            # Of those who wait for each other PostgreSQL lets one go, which has done nothing; the others go on.
            if not is_deadlock(error):
                raise
    raise DatabaseAway


def _rounds(reports: Iterable[Report]) -> Iterator[list[Report]]:
    """Split reports so that in each part every person, and every key, comes once; the order of each person's stays."""
    left = list(reports)
    while left:
        now_on: list[Report] = []
        later: list[Report] = []
        seen: set[Any] = set()
        for report in left:
            own: set[Any] = {(report.pipeline.pk, key) for key in report.interaction.keys}
            own.add(report.key or report.place)
            (later if seen & own else now_on).append(report)
            # Also of those put off: what comes after them must not pass them.
            seen |= own
        yield now_on
        left = later


def _act(reports: list[Report], now: datetime, *, look: bool) -> dict[int, Outcome]:
    """Act on reports of different people, in the running transaction. `look` for answers given before."""
    outcomes: dict[int, Outcome] = {}
    if look:
        earlier = idempotency.earlier([(report.key, report.body) for report in reports if report.key], now=now)
        outcomes = {report.place: earlier[report.key] for report in reports if report.key in earlier}
        reports = [report for report in reports if report.place not in outcomes]
    for pipeline in {report.pipeline.pk: report.pipeline for report in reports}.values():
        mine = [report for report in reports if report.pipeline.pk == pipeline.pk]
        for report in mine:
            if report.interaction.kommo_lead_id:
                people_on_cards.introduce(
                    pipeline, report.interaction.all_addresses, report.interaction.kommo_lead_id, now=now
                )
        recorded = record_all([report.interaction for report in mine], pipeline=pipeline, now=now)
        for result in recorded:
            if result.interaction.kommo_lead_id:
                _name_card(result, result.interaction.kommo_lead_id)
        transaction.on_commit(partial(metrics.count, "bridge_interactions", by=len(mine)))
        answers = representation.interaction_answers(recorded, now)
        outcomes |= {report.place: answer for report, answer in zip(mine, answers, strict=True)}
        idempotency.remember(
            [(report.key, report.body, outcomes[report.place]) for report in mine if report.key], now=now
        )
    return outcomes


def _name_card(result: Recorded, kommo_lead_id: int) -> None:
    """Note the card a report names; one that cannot be this lead's is told of in the answer instead."""
    if reason := people_on_cards.why_not_named(result.lead, kommo_lead_id):
        result.changes.ignored["kommo_lead_id"] = reason
    else:
        people_on_cards.name_card(result.lead, kommo_lead_id)
