"""How each kind of value in a report is read: texts, phones, amounts, moments, and facts of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dateparse import parse_date
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leads import money, phone
from leads.phone import Phone

MOST_CUSTOM = 100
EARLIEST = datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC"))
UNKNOWN = serializers.ErrorDetail("This key is not known here.", code="unknown")
NAIVE = "This time names no zone: write its offset (…-03:00, or Z), or name one for the whole call by time_zone."


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
