"""Leads, one lead, and everything that happened to it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, representation, schema_examples
from bridge.api.base import ADDRESS, ApiView, asked_for, key_of, lead_or_404, visible, with_card
from bridge.api.cursor_pages import NewestFirst, OldestFirst
from bridge.models import ApiKey, Card
from leads import address_owners
from leads.models import Event, Lead, Stage

SYNC_NAMES = sorted(set(representation.SYNC.values()))
# The card stands where no stage of ours is bound.
OTHER = "other"
CURSOR = OpenApiParameter("cursor", str, description="As `next` and `previous` have it")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, description="Rows on a page"
)


class Leads(ApiView):
    @extend_schema(
        operation_id="list_leads",
        summary="Leads, newest first",
        tags=["leads"],
        parameters=[
            OpenApiParameter("phone", str, description="Any usual spelling"),
            ADDRESS,
            OpenApiParameter("stage", str, description="A stage's key, or `other`"),
            OpenApiParameter("sync", str, enum=SYNC_NAMES),
            OpenApiParameter("updated_since", OpenApiTypes.DATETIME),
            CURSOR,
            LIMIT,
        ],
        responses={200: answer_shapes.LeadPage, **answer_shapes.PROBLEMS},
        examples=[schema_examples.LEAD_PAGE],
    )
    def get(self, request: Request) -> Response:
        rows = visible(request).select_related("pipeline", "stage", "card").prefetch_related("further_addresses")
        paginator = NewestFirst()
        page = paginator.paginate_queryset(_filtered(rows, request), request, view=self)
        leads = [representation.lead_summary(lead, representation.card_of(lead)) for lead in page or ()]
        return paginator.get_paginated_response(leads)


def _filtered(rows: QuerySet[Lead], request: Request) -> QuerySet[Lead]:
    asked = request.query_params
    for name, value in asked.items():
        if "\0" in value:
            raise exceptions.ValidationError({name: ["It holds a NUL character."]})
    if person := asked_for(request):
        rows = rows.filter(address_owners.of_anybody(person))
    if stage := asked.get("stage"):
        stage = stage.strip().lower()
        rows = rows.filter(stage=None) if stage == OTHER else rows.filter(stage__in=_stages(stage, key_of(request)))
    if sync := asked.get("sync"):
        states = [state for state, name in representation.SYNC.items() if name == sync.strip().lower()]
        if not states:
            raise exceptions.ValidationError({"sync": ["Unknown; one of: " + ", ".join(SYNC_NAMES)]})
        wanted = Q(card__state__in=states)
        # A lead without a card waits for its account.
        rows = rows.filter(wanted | Q(card=None) if Card.State.DUE in states else wanted)
    if since := asked.get("updated_since"):
        rows = rows.filter(updated_at__gte=_moment(since))
    return rows


def _stages(name: str, key: ApiKey) -> list[Stage]:
    # A key made for one pipeline does not learn what others are like.
    all_seen = Stage.objects.filter(pipeline=key.pipeline) if key.pipeline else Stage.objects.all()
    stages = list(all_seen.filter(key__iexact=name))
    if not stages:
        known = [*sorted(set(all_seen.values_list("key", flat=True))), OTHER]
        raise exceptions.ValidationError({"stage": ["Unknown; one of: " + ", ".join(known)]})
    return stages


def _moment(text: str) -> datetime:
    try:
        # A plus sign in a query string arrives as a space.
        moment = parse_datetime(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
        if moment is not None and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        # The first and the last hours of the calendar have no UTC.
        return moment.astimezone(timezone.get_default_timezone())  # type: ignore[union-attr]
    except (ValueError, OverflowError, AttributeError) as error:
        raise exceptions.ValidationError({"updated_since": ["Write a time such as 2026-11-22T13:00:00-03:00."]}) from (
            error
        )


class LeadDetail(ApiView):
    @extend_schema(
        operation_id="get_lead",
        summary="All we know of a lead",
        tags=["leads"],
        responses={200: answer_shapes.LeadInFull, **answer_shapes.PROBLEMS_WITH_404},
        examples=[schema_examples.LEAD_IN_FULL],
    )
    def get(self, request: Request, lead_id: UUID) -> Response:
        rows = with_card(request).prefetch_related("objections", "further_addresses")
        return Response(representation.lead_in_full(lead_or_404(rows, lead_id), timezone.now()))


class Timeline(ApiView):
    @extend_schema(
        operation_id="get_timeline",
        summary="Everything that happened to a lead, oldest first",
        tags=["leads"],
        parameters=[CURSOR, LIMIT],
        responses={200: answer_shapes.TimelinePage, **answer_shapes.PROBLEMS_WITH_404},
        examples=[schema_examples.TIMELINE],
    )
    def get(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(visible(request), lead_id)
        paginator = OldestFirst()
        page = paginator.paginate_queryset(Event.objects.filter(lead=lead), request, view=self)
        return paginator.get_paginated_response([representation.event(row) for row in page or ()])
