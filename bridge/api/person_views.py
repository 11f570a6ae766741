"""What the agent asks and asks for about one person: may it reply, handoff, opt-out, erasure."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from bridge.api import answer_shapes, representation, schema_examples
from bridge.api.base import ADDRESS, ApiView, asked_for, key_of, lead_or_404, visible, with_card
from bridge.api.serializers import ReasonBody
from common.reasons import Reason
from leads import agent_or_person, erasure, optout
from leads.models import Lead


class MayReply(ApiView):
    @extend_schema(
        operation_id="may_reply",
        summary="May the agent reply to this person now?",
        parameters=[OpenApiParameter("phone", str, description="Any usual spelling; or `address`"), ADDRESS],
        tags=["agent"],
        responses={200: answer_shapes.Agent, **answer_shapes.PROBLEMS},
        examples=schema_examples.MAY_REPLY,
    )
    def get(self, request: Request) -> Response:
        person = asked_for(request)
        if person is None:
            raise exceptions.ValidationError({"phone": [_phone_missing()]})
        return Response(representation.may_reply(person, key_of(request).pipeline, timezone.now()))


def _phone_missing() -> exceptions.ErrorDetail:
    return exceptions.ErrorDetail(
        "Name the person: ?phone=5581999990000 or ?address=lid:1234567890@lid", code="required"
    )


class Handoff(ApiView):
    @extend_schema(
        operation_id="hand_off",
        summary="The agent asks for a person",
        tags=["people"],
        request=ReasonBody,
        responses={200: answer_shapes.Agent, **answer_shapes.PROBLEMS_WITH_404},
        examples=schema_examples.HANDOFF,
    )
    def post(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(with_card(request), lead_id)
        body = ReasonBody(data=request.data if request.data is not None else {})
        body.is_valid(raise_exception=True)
        reason = body.validated_data.get("reason") or "the agent asked for a person"
        agent_or_person.hand_over(lead, by=Lead.Actor.AGENT, reason=reason, now=timezone.now())
        return Response(representation.agent(lead, representation.card_of(lead), timezone.now()))

    @extend_schema(
        operation_id="give_back",
        summary="A person gives the lead back",
        tags=["people"],
        responses={200: answer_shapes.Agent, **answer_shapes.PROBLEMS_WITH_404},
        examples=schema_examples.GIVEN_BACK,
    )
    def delete(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(with_card(request), lead_id)
        agent_or_person.give_back(
            lead, by=Lead.Actor.STAFF, reason=Reason("given_back_through_api"), now=timezone.now()
        )
        return Response(representation.agent(lead, representation.card_of(lead), timezone.now()))


class OptOut(ApiView):
    @extend_schema(
        operation_id="opt_out",
        summary="No follow-up ever again",
        tags=["people"],
        request=None,
        responses={204: OpenApiResponse(description="Nothing waits any more"), **answer_shapes.PROBLEMS_WITH_404},
    )
    def post(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(visible(request), lead_id)
        optout.opt_out(lead, by=Lead.Actor.AGENT, reason=Reason("asked_through_api"), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class PersonalData(ApiView):
    @extend_schema(
        operation_id="erase_person",
        summary="Erase the person (LGPD); counts and the proof of erasure stay",
        tags=["people"],
        parameters=[
            OpenApiParameter(
                "kommo", bool, description="Also empty name, phone and e-mail of the contact in Kommo", default=False
            )
        ],
        responses={204: OpenApiResponse(description="Erased"), **answer_shapes.PROBLEMS_WITH_404},
    )
    def delete(self, request: Request, lead_id: UUID) -> Response:
        lead = lead_or_404(visible(request), lead_id)
        elsewhere = request.query_params.get("kommo", "false").lower()
        if elsewhere not in ("true", "false"):
            raise exceptions.ValidationError({"kommo": ["true or false."]})
        erasure.erase(lead, by=Lead.Actor.AGENT, now=timezone.now(), elsewhere=elsewhere == "true")
        return Response(status=status.HTTP_204_NO_CONTENT)
