"""What happened in conversations, as the agent reports it: one interaction, or up to 500."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, schema_examples
from bridge.api.base import ApiView, key_of
from bridge.api.error_answers import problem
from bridge.api.key_throttle import one_at_a_time
from bridge.api.recording_reports import Outcome, take_in
from bridge.api.report_fields import Past
from bridge.api.serializers import InteractionBody
from followups import time_zone_of_lead

MOST_IN_A_BATCH = 500
# Long enough to share the cost of a commit, short enough not to keep others waiting for the lock.
IN_ONE_TRANSACTION = 100
LONGEST_KEY = 200
HISTORY = (
    "true: a conversation's past, told afterwards. It fills in what is not known, moves nobody over what was done "
    "since, sends nothing, starts no sequence and announces nothing. Each item says when it happened (occurred_at or "
    "message.sent_at). May be sent again and again."
)


class Interactions(ApiView):
    @extend_schema(
        operation_id="record_interaction",
        summary="Something happened in a conversation",
        tags=["interactions"],
        request=InteractionBody,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, description="Default: message.id"
            )
        ],
        responses={
            200: answer_shapes.InteractionAnswer,
            201: answer_shapes.InteractionAnswer,
            **answer_shapes.PROBLEMS,
            (409, answer_shapes.PROBLEM_TYPE): answer_shapes.Problem,
            (410, answer_shapes.PROBLEM_TYPE): answer_shapes.Problem,
        },
        examples=schema_examples.RECORDING,
    )
    def post(self, request: Request) -> Response:
        [outcome] = take_in([(request.data, idempotency_key(request))], key_of(request), now=timezone.now())
        if isinstance(outcome, exceptions.APIException):
            raise outcome
        code, answer = outcome
        return Response(answer, status=code)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise exceptions.ValidationError({"Idempotency-Key": [f"1 to {LONGEST_KEY} characters."]})
    return f"key:{key}" if key else None


class InteractionBatch(ApiView):
    @extend_schema(
        operation_id="record_interactions",
        summary="Up to 500 interactions; one bad item does not spoil the others",
        request=InteractionBody(many=True),
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="Counts for every item by its place. Default: each item's message.id",
            ),
            OpenApiParameter("history", OpenApiTypes.BOOL, OpenApiParameter.QUERY, description=HISTORY),
            OpenApiParameter(
                "time_zone",
                OpenApiTypes.STR,
                OpenApiParameter.QUERY,
                description="With `history`: the zone of times without an offset, such as America/Sao_Paulo. "
                "Without it such a time is refused.",
            ),
        ],
        tags=["interactions"],
        responses={207: answer_shapes.BatchItem(many=True), **answer_shapes.PROBLEMS},
        examples=schema_examples.BATCH_RECORDING,
    )
    def post(self, request: Request) -> Response:
        if not isinstance(request.data, list):
            raise exceptions.ValidationError({"": ["The body must be an array of interactions."]})
        if len(request.data) > MOST_IN_A_BATCH:
            raise exceptions.ValidationError({"": [f"At most {MOST_IN_A_BATCH} interactions at once."]})
        key, asked, past = key_of(request), idempotency_key(request), _past(request)
        items = [(item, f"{asked}:{place}" if asked else None) for place, item in enumerate(request.data)]
        results: list[dict[str, Any]] = []
        with one_at_a_time(key, "batch"):
            for start in range(0, len(items), IN_ONE_TRANSACTION):
                outcomes = take_in(items[start : start + IN_ONE_TRANSACTION], key, now=timezone.now(), past=past)
                results += [_told(outcome) for outcome in outcomes]
        return Response(results, status=status.HTTP_207_MULTI_STATUS)


def _past(request: Request) -> Past | None:
    """Return how the past is to be read when the call tells of it. Raises ValidationError."""
    asked, zone = request.query_params.get("history", "false"), request.query_params.get("time_zone", "")
    if asked not in ("true", "false"):
        raise exceptions.ValidationError({"history": ["This must be true or false."]})
    if zone and asked == "false":
        raise exceptions.ValidationError({"time_zone": ["A zone is named together with history=true alone."]})
    if zone and not time_zone_of_lead.is_zone(zone):
        raise exceptions.ValidationError({"time_zone": [f"There is no time zone “{zone[:64]}”."]})
    return Past(zone) if asked == "true" else None


def _told(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, exceptions.APIException):
        return {"status": outcome.status_code, "body": problem(outcome)}
    return {"status": outcome[0], "body": outcome[1]}
