"""The switch that silences the agent in a whole pipeline at once, whoever it talks to (leads/emergency_stop.py)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, schema_examples
from bridge.api.base import ApiView, key_of
from bridge.api.error_answers import StoppedByStaff
from bridge.api.representation import moment
from bridge.api.serializers import ReasonBody
from leads import emergency_stop, may_speak
from leads.models import Pipeline

PIPELINE = OpenApiParameter("pipeline", str, description="Its slug; absent: the key's own, or the default one")


class Silence(ApiView):
    @extend_schema(
        operation_id="silence_agent",
        summary="Silence the agent in a whole pipeline",
        description=(
            "An emergency stop. From the next moment may-reply is false for every lead of the pipeline, no message and "
            "no follow-up leaves, and what leads write is held back, until the agent is let speak again. Silencing it "
            "again changes nothing."
        ),
        tags=["agent"],
        parameters=[PIPELINE],
        request=ReasonBody,
        responses={200: answer_shapes.Agent, **answer_shapes.PROBLEMS_WITH_404},
        examples=schema_examples.SILENCED,
    )
    def post(self, request: Request) -> Response:
        body = ReasonBody(data=request.data if request.data is not None else {})
        body.is_valid(raise_exception=True)
        pipeline = _pipeline(request)
        reason = body.validated_data.get("reason") or ""
        emergency_stop.silence(pipeline, by=_name_of(request), reason=reason, now=timezone.now())
        return Response(_told(pipeline))

    @extend_schema(
        operation_id="let_agent_speak",
        summary="Let the agent speak again in a pipeline",
        description="Where a key has silenced it. What staff have stopped is theirs to lift (409), in the admin.",
        tags=["agent"],
        parameters=[PIPELINE],
        responses={
            200: answer_shapes.Agent,
            **answer_shapes.PROBLEMS_WITH_404,
            (409, answer_shapes.PROBLEM_TYPE): answer_shapes.Problem,
        },
        examples=schema_examples.GIVEN_BACK,
    )
    def delete(self, request: Request) -> Response:
        pipeline = _pipeline(request)
        try:
            emergency_stop.let_speak(pipeline, by=_name_of(request), now=timezone.now())
        except emergency_stop.StaffsStopError as error:
            raise StoppedByStaff from error
        return Response(_told(pipeline))


def _name_of(request: Request) -> str:
    return emergency_stop.A_KEY.format(key_of(request).name)


def _pipeline(request: Request) -> Pipeline:
    """Return the pipeline that is meant; a key made for one pipeline means that one. Raises NotFound."""
    slug, own = request.query_params.get("pipeline", ""), key_of(request).pipeline
    if own or "\0" in slug:
        found = own if own and slug in ("", own.slug) else None
    else:
        found = Pipeline.objects.filter(**({"slug": slug} if slug else {"is_default": True})).first()
    if found is None:
        raise exceptions.NotFound(f"There is no pipeline “{slug[:50]}”." if slug else "There is no default pipeline.")
    return found


def _told(pipeline: Pipeline) -> dict[str, Any]:
    reason = may_speak.switched_off(pipeline) if pipeline.silenced_at else None
    return {"may_reply": reason is None, "reason": reason, "since": moment(pipeline.silenced_at)}
