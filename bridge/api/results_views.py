"""What the agent was worth, by numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, api_keys, schema_examples
from bridge.api.base import ApiView, key_of
from bridge.selectors import results
from bridge.selectors.results import Period
from leads.models import Pipeline

LONGEST_DAYS = 3660


class Results(ApiView):
    @extend_schema(
        operation_id="results",
        summary="What the agent was worth in some days",
        tags=["results"],
        parameters=[
            OpenApiParameter("pipeline", str, description="Its slug; absent: the default one"),
            OpenApiParameter("from", OpenApiTypes.DATE, description="The first day, in the pipeline's time zone"),
            OpenApiParameter("to", OpenApiTypes.DATE, description="The last day; absent: today"),
        ],
        responses={200: answer_shapes.Results, **answer_shapes.PROBLEMS},
        examples=[schema_examples.RESULTS],
    )
    def get(self, request: Request) -> Response:
        pipeline = _pipeline(request)
        return Response(results.results(pipeline, period_of(request.query_params, pipeline)))


def _pipeline(request: Request) -> Pipeline:
    """Return the pipeline that is asked about. A key made for one learns nothing of others."""
    key, slug = key_of(request), request.query_params.get("pipeline", "").strip()
    if not slug:
        found = api_keys.pipeline_of(key)
    else:
        rows = Pipeline.objects.filter(pk=key.pipeline_id) if key.pipeline_id else Pipeline.objects.all()
        found = None if "\0" in slug else rows.filter(slug=slug).first()
    if found is None:
        explanation = (
            "Unknown; `manage.py bridge_config export` names all." if slug else "There is no default; name one."
        )
        raise exceptions.ValidationError({"pipeline": [explanation]})
    return found


def period_of(asked: Mapping[str, str], pipeline: Pipeline) -> Period:
    """Return the days that are asked about; with one end alone, thirty days to or from there, at most until today."""
    usual = results.usual(pipeline, now=timezone.now())
    first, last = _day(asked, "from"), _day(asked, "to")
    span = usual.last - usual.first
    try:
        if last is None:
            last = max(usual.last, first) if first else usual.last
        first = first or last - span
        period = Period(first, last, usual.time_zone)
        if period.days > LONGEST_DAYS:
            raise exceptions.ValidationError({"from": ["At most ten years at once."]})
        # The first and the last days of the calendar have no moment of their own everywhere.
        _ = period.begins_at.timestamp(), period.ends_at.timestamp()
    except (OverflowError, ValueError) as error:
        raise exceptions.ValidationError({"from": ["Too far away."]}) from error
    if first > last:
        raise exceptions.ValidationError({"from": ["It lies after `to`."]})
    return period


def _day(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise exceptions.ValidationError({name: ["Write a day such as 2026-11-22."]}) from error
