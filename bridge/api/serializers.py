"""What an agent may report, field by field; unknown keys are refused, so that a typo is not silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dateparse import parse_date
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bridge.api import api_keys
from bridge.api.dispensable_facts import without_what_is_dispensable
from bridge.api.facts_that_say_nothing import heard
from bridge.models import ApiKey
from common.statements import Select
from leads import addresses, money, phone
from leads.addresses import Kind
from leads.interaction_values import REPORTED, Direction, Interaction, Meeting, Message
from leads.models import Lead, Pipeline
from leads.phone import Phone
from leads.words_for_nothing import USUAL_WORDS, is_nothing

DIRECTIONS = [one.value for one in REPORTED]
MEETING_STATUSES = Lead.MeetingStatus.values
MOST_CUSTOM = 100
MOST_ADDRESSES = 20
MOST_OBJECTIONS = 50
LONGEST_TEXT = 65_536
# Clocks differ a little; an event further ahead is taken as happening now, or it would block every correction until
# then.
CLOCK_TOLERANCE = timedelta(minutes=2)
EARLIEST = datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC"))


@dataclass(frozen=True)
class Past:
    """Bodies tell of what is long over; their times without an offset are in `time_zone`, or refused without one."""

    time_zone: str = ""


@dataclass(frozen=True)
class Country:
    """How a pipeline's people write amounts, numbers and times. Without a zone, a time has to name its own."""

    locale: str
    phone_region: str
    time_zone: str


class Strict(serializers.Serializer):  # type: ignore[type-arg]
    """A serializer that refuses keys it does not know and tells all that is wrong at once.

    Reads plain JSON alone, in a straight line: what the framework does besides (forms, defaults, read-only fields) took
    most of the time of an interaction's reading.
    """

    def is_valid(self, *, raise_exception: bool = False) -> bool:
        if not isinstance(self.initial_data, dict):
            # The framework falls over a list of what is wrong with a body as a whole.
            raise serializers.ValidationError({"": ["The body must be an object."]})
        return super().is_valid(raise_exception=raise_exception)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is None and self.allow_null:
            return None
        if data is serializers.empty or data is None:
            self.fail("required" if data is serializers.empty else "null")
        return self.to_internal_value(data)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be an object.", code="type")
        fields = self._by_name
        wrong: dict[str, Any] = {key: [UNKNOWN] for key in data if key not in fields}
        read: dict[str, Any] = {}
        for name, field in fields.items():
            if name in data:
                try:
                    read[name] = field.run_validation(data[name])
                except serializers.ValidationError as error:
                    wrong[name] = error.detail
            elif field.required:
                wrong[name] = [serializers.ErrorDetail(field.error_messages["required"], code="required")]
        if wrong:
            raise serializers.ValidationError(wrong)
        return read

    @cached_property
    def _by_name(self) -> dict[str, Any]:
        return dict(self.fields.items())


UNKNOWN = serializers.ErrorDetail("This key is not known here.", code="unknown")


class Text(serializers.CharField):
    """Text as text: a number or a boolean in its place is a mistake of the caller."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("allow_null", True)
        kwargs.setdefault("allow_blank", True)
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is None and self.allow_null:
            return None
        if not isinstance(data, str):
            raise serializers.ValidationError("This must be a text.", code="type")
        text = data.strip() if self.trim_whitespace else data
        if not text and not self.allow_blank:
            self.fail("blank")
        if self.max_length is not None and len(text) > self.max_length:
            raise serializers.ValidationError(f"At most {self.max_length} characters.", code="max_length")
        if "\0" in text:
            raise serializers.ValidationError("It holds a NUL character.", code="invalid")
        return text


class Word(serializers.ChoiceField):
    """One of a few words, in any case, with blanks or hyphens for `_`, and as Americans spell it."""

    SPELLINGS: ClassVar = {"canceled": "cancelled", "noshow": "no_show"}

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(choices=list(words), **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("This must be a text.", code="type")
        word = "_".join(data.replace("-", " ").replace("_", " ").lower().split())
        return str(super().to_internal_value(self.SPELLINGS.get(word, word)))


class PhoneText(Text):
    """A phone number in any usual spelling, or a WhatsApp JID."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_null=False, allow_blank=False, max_length=64)

    def run_validation(self, data: Any = serializers.empty) -> Phone:
        try:
            return phone.parse(super().run_validation(data), region=self.context["country"].phone_region)
        except phone.PhoneError as error:
            raise serializers.ValidationError(str(error), code="invalid") from error


class YesOrNo(serializers.BooleanField):
    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("This must be true, false or null.", code="type")
        return data


@extend_schema_field({"oneOf": [{"type": "number", "minimum": 0}, {"type": "string"}], "example": "R$ 4.500,00"})
class Amount(serializers.Field):  # type: ignore[type-arg]
    """An amount of money: a JSON number as it is, a text the pipeline's way ("R$ 4.500,00")."""

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, (int, float, str)) or isinstance(data, bool):
            raise serializers.ValidationError("This must be a number or a text such as “R$ 4.500,00”.", code="type")
        try:
            return money.parse(data, locale=self.context["country"].locale)
        except money.MoneyError as error:
            raise serializers.ValidationError(str(error), code="invalid") from error

    def to_representation(self, value: Decimal) -> float:
        return float(value)


@extend_schema_field({"type": "number", "minimum": 0, "maximum": 100})
class Score(serializers.Field):  # type: ignore[type-arg]
    """A number from 0 to 100."""

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            raise serializers.ValidationError("This must be a number from 0 to 100.", code="type")
        try:
            score = Decimal(str(data)).quantize(Decimal("0.01"))
        except InvalidOperation:
            score = Decimal(-1)
        if not 0 <= score <= 100:
            raise serializers.ValidationError("This must lie between 0 and 100.", code="range")
        return score

    def to_representation(self, value: Decimal) -> float:
        return float(value)


WHEN = "What is told afterwards says when it happened: occurred_at, or message.sent_at."
NAIVE = "This time names no zone: write its offset (…-03:00, or Z), or name one for the whole call by time_zone."


class Moment(serializers.DateTimeField):
    """An ISO 8601 time; without an offset it is in the pipeline's zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError("This must be a time such as 2026-11-22T13:00:00-03:00.", code="type")
        try:
            moment: datetime = super().to_internal_value(value)
        except (OverflowError, ValueError) as error:
            raise serializers.ValidationError("This time does not exist.", code="invalid") from error
        if not EARLIEST <= moment <= timezone.now() + timedelta(days=3650):
            raise serializers.ValidationError("This time is too far away.", code="range")
        return moment

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            zone = self.context["country"].time_zone
            if not zone:
                raise serializers.ValidationError(NAIVE, code="naive")
            return value.replace(tzinfo=ZoneInfo(zone))
        return value


class TimeOfDay(Moment):
    """A moment of a day: a date alone would be its midnight, at which nobody meets."""

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, str) and ":" not in value and _is_day(value.strip()):
            raise serializers.ValidationError(
                "This needs a time of day, such as 2026-11-22T13:00:00-03:00.", code="time_of_day"
            )
        return super().to_internal_value(value)


def _is_day(text: str) -> bool:
    try:
        return parse_date(text) is not None
    except ValueError:
        # It looks like one, and the calendar has none such: 2026-02-30.
        return False


@extend_schema_field({"type": "object", "additionalProperties": True})
class CustomFacts(serializers.Field):  # type: ignore[type-arg]
    """Further facts by names of your own; values are texts, numbers, true, false or null."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be an object.", code="type")
        if len(data) > MOST_CUSTOM:
            raise serializers.ValidationError(f"At most {MOST_CUSTOM} keys.", code="range")
        wrong = {
            key: [serializers.ErrorDetail("This must be a short text, a number, true, false or null.", code="type")]
            for key, value in data.items()
            if not _is_scalar(value) or not key or len(key) > 100 or "\0" in key
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 4000 and "\0" not in value
    # 1e400 is JSON, and no number any database takes.
    return value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value))


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
    for one in inner:
        yield from _all_fields(one)


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
    said: dict[str, Any] = {}
    if "conversation_stage" in context:
        said["conversation_stage"] = context["conversation_stage"]
    if "objections_raised" in context:
        said["objections"] = context["objections_raised"]
    if "meeting" in context:
        said["meeting"] = _meeting(context["meeting"])
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
        context=said,
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
