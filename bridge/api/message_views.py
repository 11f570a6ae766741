"""What is said to a lead and by a lead: taking a message of the agent's, and reading a conversation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, idempotency, representation, schema_examples
from bridge.api.base import ApiView, key_of, lead_or_404, visible, with_card
from bridge.api.cursor_pages import OldestFirst
from bridge.api.error_answers import Conflict, DatabaseAway, MayNotReply, NoChannel
from bridge.api.idempotency import RepeatedError
from bridge.api.interaction_views import idempotency_key
from bridge.api.lead_views import CURSOR, LIMIT
from bridge.api.serializers import MessageBody
from bridge.channels import queueing_messages, send_gate
from leads import silenced_pipelines
from leads.models import Lead, Message, Pipeline

TRIES = 5


class Messages(ApiView):
    @extend_schema(
        operation_id="list_messages",
        summary="A lead's conversation, both sides, newest last",
        tags=["messages"],
        parameters=[CURSOR, LIMIT],
        responses={200: answer_shapes.MessagePage, **answer_shapes.PROBLEMS_WITH_404},
        examples=schema_examples.CONVERSATION,
    )
    def get(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(visible(request), lead_id)
        paginator = OldestFirst()
        page = paginator.paginate_queryset(_in_full(Message.objects.filter(lead=lead)), request, view=self)
        return paginator.get_paginated_response([_shown(row) for row in page or ()])

    @extend_schema(
        operation_id="send_message",
        summary="Say this to the lead",
        tags=["messages"],
        request=MessageBody,
        parameters=[OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER)],
        responses={
            202: answer_shapes.MessageAnswer,
            **answer_shapes.PROBLEMS_WITH_404,
            (409, answer_shapes.PROBLEM_TYPE): answer_shapes.MayNotReply,
            (422, answer_shapes.PROBLEM_TYPE): answer_shapes.Problem,
        },
        examples=schema_examples.SAYING,
    )
    def post(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(with_card(request), lead_id)
        asked = idempotency_key(request)
        name = f"{key_of(request).pk}:{asked}" if asked else None
        body = MessageBody(data=request.data)
        body.is_valid(raise_exception=True)
        if not body.validated_data["text"].strip():
            raise exceptions.ValidationError({"text": ["There is nothing to say."]})
        known = [str(lead.pk), request.data]
        for _ in range(TRIES):
            try:
                with transaction.atomic():
                    return _take(lead, body.validated_data, name, known, key_of(request).pipeline)
            except RepeatedError:
                continue
        raise DatabaseAway


def _take(lead: Lead, posted: dict[str, Any], name: str | None, body: Any, pipeline: Pipeline | None) -> Response:
    """Take a message on, or give the first answer again. Raises RepeatedError when the key was used meanwhile."""
    now = timezone.now()
    if name:
        earlier = idempotency.earlier([(name, body)], now=now).get(name)
        if isinstance(earlier, Conflict):
            raise earlier
        if earlier:
            return Response(earlier[1], status=earlier[0])
    if no := send_gate.refusal(lead, pipeline, now):
        raise MayNotReply(no[0], representation.moment(no[1]))
    if why := silenced_pipelines.reason(lead.pipeline):
        # The account is in shadow: whoever speaks by a connection of their own may, and nothing leaves by us.
        raise NoChannel(why)
    try:
        row = queueing_messages.take(
            lead,
            posted["text"],
            pipeline=lead.pipeline,
            card=representation.card_of(lead),
            named=posted.get("channel") or "",
            template_id=posted.get("template_id") or "",
            now=now,
        )
    except queueing_messages.NoWayError as error:
        raise NoChannel(str(error)) from error
    answer = queueing_messages.shown(row.message, list(row.message.parts.order_by("position")), row.changes)
    if name:
        idempotency.remember([(name, body, (status.HTTP_202_ACCEPTED, answer))], now=now)
    return Response(answer, status=status.HTTP_202_ACCEPTED)


class MessageDetail(ApiView):
    @extend_schema(
        operation_id="get_message",
        summary="A message, and what became of it",
        tags=["messages"],
        responses={200: answer_shapes.MessageAnswer, **answer_shapes.PROBLEMS_WITH_404},
        examples=schema_examples.MESSAGE,
    )
    def get(self, request: Request, message_id: UUID) -> Response:
        rows = _in_full(Message.objects.filter(lead__in=visible(request)))
        return Response(_shown(get_object_or_404(rows, pk=message_id)))


def _in_full(rows: QuerySet[Message]) -> QuerySet[Message]:
    return rows.select_related("outgoing").prefetch_related("parts")


def _shown(row: Message) -> dict[str, Any]:
    outgoing = getattr(row, "outgoing", None)
    if outgoing is None:
        return queueing_messages.shown(row, list(row.parts.all()))
    return queueing_messages.shown(row, list(row.parts.all()), outgoing.changes, waits_for=outgoing.reason)
