"""What an agent may report, field by field; unknown keys are refused, so that a typo is not silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from rest_framework import serializers

from bridge.api import api_keys
from bridge.api.dispensable_facts import without_what_is_dispensable
from bridge.api.facts_that_say_nothing import heard
from bridge.api.report_fields import (
    Amount,
    Country,
    CustomFacts,
    Moment,
    Past,
    PhoneText,
    Score,
    Strict,
    Text,
    TimeOfDay,
    Word,
    YesOrNo,
)
from bridge.models import ApiKey
from common.statements import Select
from leads import addresses
from leads.addresses import Kind
from leads.interaction_values import REPORTED, Direction, Interaction, Meeting, Message
from leads.models import Lead, Pipeline
from leads.words_for_nothing import USUAL_WORDS, is_nothing

DIRECTIONS = [attribute.value for attribute in REPORTED]
MEETING_STATUSES = Lead.MeetingStatus.values
MOST_ADDRESSES = 20
MOST_OBJECTIONS = 50
LONGEST_TEXT = 65_536
# Clocks differ a little; an event further ahead is taken as happening now, or it would block every correction until
# then.
CLOCK_TOLERANCE = timedelta(minutes=2)
WHEN = "What is told afterwards says when it happened: occurred_at, or message.sent_at."


class AddressFacts(Strict):
    """Where the person is reached."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    value = Text(required=True, allow_null=False, allow_blank=False, max_length=addresses.MAX_LENGTH)

    def to_internal_value(self, data: Any) -> Any:
        read = super().to_internal_value(data)
        try:
            return addresses.parse(read["kind"], read["value"], region=self.context["country"].phone_region)
        except addresses.AddressError as error:
            raise serializers.ValidationError({"value": [str(error)]}) from error


class LeadFacts(Strict):
    """The person, and what the conversation taught of them."""

    phone = PhoneText()
    addresses = serializers.ListField(
        child=AddressFacts(),
        required=False,
        allow_null=True,
        max_length=MOST_ADDRESSES,
        help_text="Where the person is reached, the one last written from first. One at least, or the phone",
    )
    name = Text(max_length=250)
    email = serializers.EmailField(required=False, allow_null=True, allow_blank=True, max_length=254)
    bill_value = Amount(required=False, allow_null=True)
    chosen_flow = Text(max_length=200)
    qualification_score = Score(required=False, allow_null=True)
    is_decision_maker = YesOrNo()
    has_solar_system = YesOrNo()
    has_active_contract = YesOrNo()
    kommo_lead_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=2**53,
        help_text="The card that tables of your own know: linked instead of created, if it is there and nobody else's",
    )
    custom = CustomFacts(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and "phone" not in data and not data.get("addresses"):
            # Told together with all else that is wrong.
            missing: dict[str, Any] = {"phone": [serializers.ErrorDetail(NOBODY, code="required")]}
            try:
                super().to_internal_value(data)
            except serializers.ValidationError as error:
                raise serializers.ValidationError(missing | dict(error.detail)) from error  # type: ignore[arg-type]
            raise serializers.ValidationError(missing)
        return super().to_internal_value(data)


NOBODY = "Name the person: a phone, or at least one of addresses."


class MeetingFacts(Strict):
    """A meeting of the lead's, told by the id of your calendar."""

    id = Text(max_length=250)
    status = Word(MEETING_STATUSES)
    starts_at = TimeOfDay(allow_null=True)
    link = serializers.URLField(required=False, allow_null=True, allow_blank=True, max_length=1000)


class Context(Strict):
    """Where the conversation is."""

    conversation_stage = Text(max_length=200)
    objections_raised = serializers.ListField(
        child=Text(required=True, allow_null=False, allow_blank=False, max_length=100),
        required=False,
        allow_null=True,
        max_length=MOST_OBJECTIONS,
    )
    meeting = MeetingFacts(required=False, allow_null=True)


class MessageFacts(Strict):
    """One message: `inbound` the lead wrote, `outbound` the agent, `staff` a person of the company."""

    id = Text(max_length=250)
    direction = Word(DIRECTIONS)
    sent_at = Moment(allow_null=True)
    text = Text(max_length=LONGEST_TEXT, trim_whitespace=False)


class InteractionBody(Strict):
    """Something happened in a conversation. A key that is absent is left as it is; null clears it; a value sets it."""

    lead = LeadFacts()
    context = Context(required=False, allow_null=True)  # type: ignore[assignment]
    message = MessageFacts(required=False, allow_null=True)
    occurred_at = Moment(allow_null=True)
    pipeline = Text(max_length=50, help_text="A pipeline's slug; absent means the default one")


@lru_cache(maxsize=64)
def _reader(locale: str, phone_region: str, time_zone: str) -> InteractionBody:
    """Return the fields for a pipeline's way of writing, made once: making them costs more than reading with them."""
    country = Country(locale, phone_region, time_zone)
    reader = InteractionBody(context={"country": country})
    # Looked up by every field of every body otherwise.
    for field in _all_fields(reader):
        field.__dict__["context"] = reader._context
    return reader


def _all_fields(field: Any) -> Iterator[Any]:
    yield field
    inner = [*field.fields.values()] if hasattr(field, "fields") else [field.child] if hasattr(field, "child") else []
    for inner_field in inner:
        yield from _all_fields(inner_field)


def read_interaction(body: Any, pipeline: Pipeline, *, now: datetime, past: Past | None = None) -> Interaction:
    """Return what the body says. Raises ValidationError naming everything that is wrong with it."""
    zone = pipeline.time_zone if past is None else past.time_zone
    reader = _reader(pipeline.locale, pipeline.phone_region, zone)
    body, unread = heard(body, pipeline) if isinstance(body, dict) else (body, {})
    try:
        data = reader.run_validation(body)
    except serializers.ValidationError as error:
        rest = without_what_is_dispensable(body, error.detail)
        if rest is None:
            raise
        data, unread = reader.run_validation(rest[0]), unread | rest[1]
    facts = dict(data["lead"])
    number, custom = facts.pop("phone", None), facts.pop("custom", {})
    named = tuple(facts.pop("addresses", None) or ())
    kommo_lead_id = facts.pop("kommo_lead_id", None)
    context = data.get("context") or {}
    values: dict[str, Any] = {}
    if "conversation_stage" in context:
        values["conversation_stage"] = context["conversation_stage"]
    if "objections_raised" in context:
        values["objections"] = context["objections_raised"]
    if "meeting" in context:
        values["meeting"] = _meeting(context["meeting"])
    message = data.get("message")
    sent_at = message.get("sent_at") if message else None
    if past and not (data.get("occurred_at") or sent_at):
        raise serializers.ValidationError({"occurred_at": [serializers.ErrorDetail(WHEN, code="required")]})
    # What was reported later was concluded later, unless it says when; the past is told all at once.
    occurred_at = data.get("occurred_at") or (sent_at if past else None) or now
    return Interaction(
        phone=number,
        addresses=named,
        occurred_at=min(occurred_at, now + CLOCK_TOLERANCE),
        facts=facts,
        custom=custom,
        context=values,
        message=_message(message, now) if message else None,
        unread=unread,
        history=past is not None,
        kommo_lead_id=kommo_lead_id,
    )


def _meeting(data: Any) -> Meeting | None:
    if data is None:
        return None
    return Meeting(
        status=data["status"],
        id=data.get("id") or "",
        starts_at=data.get("starts_at"),
        link=data.get("link") or "",
        cleared=frozenset(part for part in ("id", "starts_at", "link") if part in data and not data[part]),
    )


def _message(data: Any, now: datetime) -> Message:
    sent_at = data.get("sent_at")
    return Message(
        direction=Direction(data["direction"]),
        id=data.get("id") or "",
        sent_at=min(sent_at, now + CLOCK_TOLERANCE) if sent_at else None,
        text=data.get("text") or "",
    )


LONGEST_SLUG = 50
BY_SLUG = Select(lambda slug: Pipeline.objects.filter(slug=slug))


def pipeline_named(slug: Any, key: ApiKey) -> Pipeline:
    """Return the pipeline an interaction is for, as it is now. Raises ValidationError naming the field."""
    usual = api_keys.pipeline_of(key)
    # What is no text is refused with everything else that is wrong; a NUL is in no slug, and in no query either.
    is_named = isinstance(slug, str) and "\0" not in slug
    pipeline: Pipeline | None = usual if not is_named or (usual and usual.slug == slug) else BY_SLUG.first(slug=slug)
    if pipeline is None and isinstance(slug, str):
        word = slug.strip()
        # Schemas that fill in every field have no word for the usual one.
        # SQLite compares no text of any length without regard to case, and no slug is as long.
        named = word[: LONGEST_SLUG + 1]
        pipeline = usual if is_nothing(named, USUAL_WORDS) else Pipeline.objects.filter(slug__iexact=named).first()
    if key.pipeline and (pipeline is None or pipeline.pk != key.pipeline.pk):
        # The same for one that is there and one that is not: this key does not learn which others there are.
        text = f"This key is only for pipeline “{key.pipeline.slug}”."
        raise serializers.ValidationError({"pipeline": [serializers.ErrorDetail(text, code="forbidden")]})
    if pipeline is None:
        text = (
            f"There is no pipeline “{str(slug)[:100]}”."
            if slug is not None
            else "There is no default pipeline: name one."
        )
        raise serializers.ValidationError({"pipeline": [serializers.ErrorDetail(text, code="unknown")]})
    return pipeline


class ReasonBody(Strict):
    """Why, in your words; they are what staff read."""

    reason = Text(max_length=500)


class MessageBody(Strict):
    """What is to be said to a lead."""

    text = Text(max_length=LONGEST_TEXT, required=True, allow_null=False, allow_blank=False, trim_whitespace=False)
    channel = Text(max_length=50, help_text="A channel's slug: by this one or by none. Default: the pipeline's")
    template_id = Text(max_length=200, help_text="An approved template of WhatsApp's, for beyond its 24 hours")
