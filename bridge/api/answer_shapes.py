"""The shapes of answers, for the API's description. The answers themselves are made in `representation`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from leads.addresses import Kind


class FieldError(serializers.Serializer):  # type: ignore[type-arg]
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer):  # type: ignore[type-arg]
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldError(many=True)  # type: ignore[assignment]


PROBLEM_TYPE = "application/problem+json"
PROBLEMS: Any = {(code, PROBLEM_TYPE): Problem for code in (400, 401, 413, 429, 503)}
PROBLEMS_WITH_404: Any = PROBLEMS | {(404, PROBLEM_TYPE): Problem}

SYNC_STATES = ["synced", "pending", "retrying", "blocked", "dead", "gone"]
FOLLOWUP_STATES = ["none", "waiting", "finished", "cancelled"]
ACTORS = ["agent", "lead", "staff", "bridge", "kommo"]
ADDRESS_KINDS = [kind.value for kind in Kind]


class Address(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.ChoiceField(choices=ADDRESS_KINDS)
    value = serializers.CharField()


class LeadSummary(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.UUIDField()
    phone = serializers.CharField(allow_null=True)
    addresses = Address(many=True, help_text="Where the person is reached, the one last written from first")
    name = serializers.CharField(allow_null=True)
    pipeline = serializers.CharField()
    stage = serializers.CharField(help_text="A stage's key, or `other`")
    stage_name = serializers.CharField()
    kommo_lead_id = serializers.IntegerField(allow_null=True)
    sync = serializers.ChoiceField(choices=SYNC_STATES)


class DecisionAnswer(serializers.Serializer):  # type: ignore[type-arg]
    stage = serializers.CharField()
    changed = serializers.BooleanField()
    reason = serializers.CharField()


class Agent(serializers.Serializer):  # type: ignore[type-arg]
    may_reply = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)


class FollowUp(serializers.Serializer):  # type: ignore[type-arg]
    state = serializers.ChoiceField(choices=FOLLOWUP_STATES)
    next_at = serializers.DateTimeField(allow_null=True)
    step = serializers.IntegerField(allow_null=True)
    held = serializers.BooleanField(required=False, help_text="True while staff hold it back; absent otherwise")


class Ignored(serializers.Serializer):  # type: ignore[type-arg]
    field = serializers.CharField(help_text="Its place in the report, such as context.conversation_stage")
    reason = serializers.CharField()


class InteractionAnswer(serializers.Serializer):  # type: ignore[type-arg]
    lead = LeadSummary()
    decision = DecisionAnswer()
    agent = Agent()
    followup = FollowUp()
    ignored = Ignored(many=True, help_text="What of the report was not taken up, and why; empty when all was")


@extend_schema_field(
    PolymorphicProxySerializer("ItemAnswer", serializers=[InteractionAnswer, Problem], resource_type_field_name=None)
)
class ItemAnswer(serializers.DictField):
    pass


class BatchItem(serializers.Serializer):  # type: ignore[type-arg]
    status = serializers.IntegerField()
    body = ItemAnswer(help_text="As a single call would answer: an interaction's answer or a problem")


class MeetingAnswer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.CharField(allow_null=True)
    status = serializers.CharField()
    starts_at = serializers.DateTimeField(allow_null=True)
    link = serializers.CharField(allow_null=True)


class Waiting(serializers.Serializer):  # type: ignore[type-arg]
    reason = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class LeadInFull(LeadSummary):
    email = serializers.CharField(allow_null=True)
    bill_value = serializers.FloatField(allow_null=True)
    chosen_flow = serializers.CharField(allow_null=True)
    qualification_score = serializers.FloatField(allow_null=True)
    is_decision_maker = serializers.BooleanField(allow_null=True)
    has_solar_system = serializers.BooleanField(allow_null=True)
    has_active_contract = serializers.BooleanField(allow_null=True)
    objections = serializers.ListField(child=serializers.CharField())
    custom = serializers.DictField()
    tags = serializers.ListField(child=serializers.CharField())
    conversation_stage = serializers.CharField(allow_null=True)
    meeting = MeetingAnswer(allow_null=True)
    booking_url = serializers.CharField(allow_null=True, help_text="Where they book; it carries their mark")
    card = serializers.DictField(allow_null=True, help_text="What Kommo is known to hold")
    waiting = Waiting(allow_null=True)
    agent = Agent()
    followup = FollowUp()


class TimelineEvent(serializers.Serializer):  # type: ignore[type-arg]
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    actor = serializers.ChoiceField(choices=ACTORS)
    reason = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]


class LeadPage(serializers.Serializer):  # type: ignore[type-arg]
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = LeadSummary(many=True)


class TimelinePage(serializers.Serializer):  # type: ignore[type-arg]
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = TimelineEvent(many=True)


class FunnelStage(serializers.Serializer):  # type: ignore[type-arg]
    stage = serializers.CharField(help_text="A stage's key")
    name = serializers.CharField()
    entered = serializers.IntegerField(help_text="Leads that entered it in these days, each once")
    share_of_previous = serializers.FloatField(
        allow_null=True,
        help_text="Of those that entered the stage before on the way, at most 1; null where nothing is before it",
    )


class Seconds(serializers.Serializer):  # type: ignore[type-arg]
    p50 = serializers.IntegerField(allow_null=True, help_text="Half waited no longer; null where nobody waited")
    p90 = serializers.IntegerField(allow_null=True)


class ReasonCount(serializers.Serializer):  # type: ignore[type-arg]
    reason = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()


class ObjectionCount(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    count = serializers.IntegerField()


class StepResult(serializers.Serializer):  # type: ignore[type-arg]
    sequence = serializers.CharField(help_text="Its slug")
    step = serializers.IntegerField()
    sent = serializers.IntegerField()
    answered = serializers.IntegerField()
    booked = serializers.IntegerField()
    opted_out = serializers.IntegerField()


class Results(serializers.Serializer):  # type: ignore[type-arg]
    # `from` is a word of Python's.
    vars()["from"] = serializers.DateField()
    to = serializers.DateField()
    leads = serializers.IntegerField(help_text="New ones")
    qualified = serializers.IntegerField()
    disqualified = serializers.IntegerField()
    meetings_booked = serializers.IntegerField()
    meetings_booked_by_agent = serializers.IntegerField(help_text="No person had been in the conversation before")
    meetings_held = serializers.IntegerField()
    won = serializers.IntegerField()
    rescued = serializers.IntegerField(
        help_text="Answered within seven days after a follow-up, and further along or booked since"
    )
    messages_by_agent = serializers.IntegerField()
    hours_saved = serializers.FloatField(help_text="By the minutes that a reply takes a person (MINUTES_PER_REPLY)")
    funnel = FunnelStage(many=True)
    first_reply_seconds = Seconds()
    handoff_wait_seconds = Seconds()
    disqualified_because = ReasonCount(many=True)
    objections = ObjectionCount(many=True)
    followups = StepResult(many=True)


MESSAGE_STATES = ["queued", "sent", "delivered", "not_delivered", "refused"]


class MessagePart(serializers.Serializer):  # type: ignore[type-arg]
    text = serializers.CharField()
    state = serializers.ChoiceField(choices=MESSAGE_STATES)
    reason = serializers.CharField(allow_null=True)


class MessageTimes(serializers.Serializer):  # type: ignore[type-arg]
    queued = serializers.DateTimeField(allow_null=True)
    sent = serializers.DateTimeField(allow_null=True)
    delivered = serializers.DateTimeField(allow_null=True)


class MessageAnswer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.UUIDField()
    lead = serializers.UUIDField(help_text="The lead's id")
    direction = serializers.CharField(help_text="inbound, outbound (ours) or staff; bot: another's bot")
    text = serializers.CharField()
    parts = MessagePart(many=True, help_text="Of a message of ours: the parts in which it leaves, in order")
    channel = serializers.CharField(allow_null=True, help_text="The way in or out")
    state = serializers.ChoiceField(
        choices=MESSAGE_STATES, help_text="sent: handed over; delivered: seen to have reached the chat"
    )
    reason = serializers.CharField(allow_null=True)
    changed = serializers.ListField(child=serializers.CharField(), help_text="What cannot leave as it was written")
    at = MessageTimes()


class MessagePage(serializers.Serializer):  # type: ignore[type-arg]
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = MessageAnswer(many=True)


class MayNotReply(Problem):
    code = serializers.CharField(required=False, help_text="may_not_reply; absent where the key came with another body")
    reason = serializers.CharField(required=False)
    since = serializers.DateTimeField(required=False, allow_null=True)
