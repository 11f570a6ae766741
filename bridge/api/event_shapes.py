"""What the agent is told at AGENT_WEBHOOK_URL, for the API's description.

The events themselves are made where they happen: `followups/channels.py` and `bridge/agent/agent_events.py`.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, OpenApiWebhook, extend_schema
from rest_framework import serializers

from bridge.api.answer_shapes import Address, MeetingAnswer, MessageAnswer


class ToldLead(serializers.Serializer):  # type: ignore[type-arg]
    """The lead as every event tells of them."""

    id = serializers.UUIDField()
    phone = serializers.CharField(allow_null=True)
    addresses = Address(many=True, help_text="Where the person is reached, the one last written from first")
    name = serializers.CharField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    pipeline = serializers.CharField()
    stage = serializers.CharField(help_text="A stage's key, or `other`")
    kommo_lead_id = serializers.IntegerField(allow_null=True)
    bill_value = serializers.FloatField(allow_null=True)
    chosen_flow = serializers.CharField(allow_null=True)
    qualification_score = serializers.FloatField(allow_null=True)
    conversation_stage = serializers.CharField(allow_null=True)
    meeting = MeetingAnswer(allow_null=True)
    booking_url = serializers.CharField(allow_null=True)
    custom = serializers.DictField()


class AboutALead(serializers.Serializer):  # type: ignore[type-arg]
    lead = ToldLead()


class FollowUpDue(AboutALead):
    sequence = serializers.CharField()
    step = serializers.IntegerField()
    attempt_id = serializers.CharField(help_text="The same as `webhook-id`")
    text = serializers.CharField(allow_blank=True, help_text="Empty where the agent finds the words")
    instruction = serializers.CharField(
        required=False, help_text="What to speak of, in words of your own; answer with them as `text`"
    )
    template_id = serializers.CharField(required=False, help_text="Absent where the step has none")


class AgentPaused(AboutALead):
    reason = serializers.CharField()


class AgentResumed(AboutALead):
    reason = serializers.CharField()


class StageChanged(AboutALead):
    stage = serializers.CharField(help_text="A stage's key, or `other`")
    stage_name = serializers.CharField()
    status_id = serializers.IntegerField(allow_null=True, help_text="Kommo's")
    previous = serializers.CharField(help_text="A stage's key, or `other`")
    by = serializers.CharField()
    reason = serializers.CharField()


class ReceivedMessage(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.CharField()
    text = serializers.CharField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    attachment = serializers.DictField(allow_null=True)


class AnswerOfABot(serializers.Serializer):  # type: ignore[type-arg]
    text = serializers.CharField()
    at = serializers.DateTimeField()
    name = serializers.CharField()


class MessageReceived(AboutALead):
    messages = ReceivedMessage(many=True, help_text="Those of one pause together, in order")
    channel = serializers.CharField()
    may_reply = serializers.BooleanField()
    answered_by_bot = AnswerOfABot(allow_null=True, help_text="What another bot has said since, in Kommo's chat")


class OurMessage(AboutALead):
    message = MessageAnswer()
    reason = serializers.CharField(allow_null=True)


class MessageDelivered(OurMessage):
    pass


class MessageNotDelivered(OurMessage):
    pass


class MessageDue(AboutALead):
    message = serializers.DictField(help_text="`id` and the whole `text`")
    text = serializers.CharField(help_text="What of it is to be said now")


# Of every event, per Standard Webhooks.
HEADERS = {
    "webhook-id": ("string", "The same on every try of one event: act once for each"),
    "webhook-timestamp": ("integer", "Seconds since 1970"),
    "webhook-signature": ("string", "Made with AGENT_WEBHOOK_SECRET, as standardwebhooks.com describes it"),
}
TAKEN: Any = {
    "2XX": OpenApiResponse(description="Taken"),
    410: OpenApiResponse(description="Never again"),
    "default": OpenApiResponse(description="Tried again, with growing waits, for three days; `Retry-After` is heeded"),
}


class Said(serializers.Serializer):  # type: ignore[type-arg]
    """What became of a follow-up; an empty body says that it was said as it was handed over."""

    text = serializers.CharField(required=False, help_text="The words in which it was really said")
    skip = serializers.BooleanField(required=False, help_text="True: it was not said, and will not be")
    reason = serializers.CharField(required=False)


class Unreachable(serializers.Serializer):  # type: ignore[type-arg]
    reason = serializers.ChoiceField(choices=["invalid_number", "opted_out"], required=False)


SAID: Any = TAKEN | {
    "2XX": OpenApiResponse(Said, description="It was said, or declined"),
    410: OpenApiResponse(Unreachable, description="Nothing reaches this number, or the person wants no more"),
}


def _envelope(event_type: str, data: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    fields = {
        "type": serializers.ChoiceField(choices=[event_type]),
        "timestamp": serializers.DateTimeField(),
        "data": data(),
    }
    return type(f"{data.__name__}Event", (serializers.Serializer,), fields)


def _event(event_type: str, data: type[serializers.Serializer[Any]], summary: str, answers: Any = TAKEN) -> Any:
    described = extend_schema(
        operation_id=event_type.replace(".", "_"),
        summary=summary,
        tags=["events"],
        request={"application/json": _envelope(event_type, data)},
        responses=answers,
        auth=[],
    )
    return OpenApiWebhook(event_type, described)


EVENTS = [
    _event("followup.due", FollowUpDue, "Say this now", SAID),
    _event("agent.paused", AgentPaused, "A person has taken over: stop what you were about to say"),
    _event("agent.resumed", AgentResumed, "The lead is yours again"),
    _event("lead.stage_changed", StageChanged, "The lead stands in another stage"),
    _event("message.received", MessageReceived, "What a lead wrote; not while a person has the lead"),
    _event("message.due", MessageDue, "Say this now: the pipeline's channel is the agent itself", SAID),
    _event("message.delivered", MessageDelivered, "A message of ours was seen to have reached the chat"),
    _event("message.not_delivered", MessageNotDelivered, "A message of ours did not reach the lead"),
]


def add_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the headers of events to the description: drf-spectacular has no parameters for what we send."""
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": kind}, "description": text}
        for name, (kind, text) in HEADERS.items()
    ]
    for calls in result.get("webhooks", {}).values():
        calls["post"]["parameters"] = headers
    return result
