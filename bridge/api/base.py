"""What every call of the agent has in common: JSON in whatever it is called, a key, and so many calls a second."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import translation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.generics import get_object_or_404
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from bridge.api import api_keys
from bridge.api.json_bodies import JsonParser
from bridge.api.key_throttle import KeyThrottle
from bridge.models import ApiKey
from leads import addresses, phone
from leads.models import JoinedLead, Lead


class OnlyJson(BaseContentNegotiation):
    """Answers JSON whatever the caller says to accept: there is nothing else."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    parser_classes = (JsonParser,)
    throttle_classes = (KeyThrottle,)
    content_negotiation_class = OnlyJson

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        # One language for programs, whatever the site speaks: half of an error in another is read by nobody.
        with translation.override("en"):
            answer = super().dispatch(request, *args, **kwargs)
        # People's data: no proxy on the way, and no browser that calls, keeps it.
        answer["Cache-Control"] = "no-store"
        return answer


class NoSuchAddress(ApiView):
    """Says so as every other error is said, with the address that was meant where a slash is missing."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        hint = "" if request.path.endswith("/") else " Every address ends with a slash."
        raise exceptions.NotFound(f"There is nothing at {request.path[:200]}.{hint} See /api/docs/.")


def key_of(request: Request) -> ApiKey:
    key = request.auth
    assert isinstance(key, ApiKey)
    return key


def visible(request: Request) -> QuerySet[Lead]:
    """Return the leads this key may see: a key made for one pipeline sees only that."""
    pipeline = key_of(request).pipeline
    return Lead.objects.filter(pipeline=pipeline) if pipeline else Lead.objects.all()


def with_card(request: Request) -> QuerySet[Lead]:
    return visible(request).select_related("pipeline", "stage", "card__account")


def lead_or_404(rows: QuerySet[Lead], lead_id: UUID) -> Lead:
    """Return the lead with this id, or the one it has become. Raises Http404."""
    if lead := rows.filter(pk=lead_id).first():
        return lead
    return get_object_or_404(rows, pk__in=JoinedLead.objects.filter(former_id=lead_id).values("lead_id"))


def asked_for(request: Request) -> str | None:
    """Return the key of the person a query names, by `phone` or `address`; None when it names nobody.

    Raises ValidationError naming the parameter.
    """
    asked = request.query_params
    given = [name for name in ("phone", "address") if name in asked]
    if not given:
        return None
    name = next((name for name in given if asked[name].strip()), "")
    if not name:
        # A variable that was empty asks for nobody, and not for everybody.
        raise exceptions.ValidationError({given[0]: ["It names nobody: leave it out, or give a value."]})
    text = asked[name]
    pipeline = api_keys.pipeline_of(key_of(request))
    region = pipeline.phone_region if pipeline else "BR"
    try:
        kind, value = ("phone", text) if name == "phone" else addresses.split(text)
        # A plus sign in a query string arrives as a space.
        spelled = "+" + value[1:] if value.startswith(" ") else value
        if name == "phone":
            return phone.parse(spelled, region=region).key
        return addresses.parse(kind, spelled, region=region).key
    except (phone.PhoneError, addresses.AddressError) as error:
        raise exceptions.ValidationError({name: [str(error)]}) from error


ADDRESS = OpenApiParameter("address", str, description="Kind and value, such as `lid:1234567890@lid`")
