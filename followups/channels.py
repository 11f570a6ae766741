"""How a message reaches the lead: through the agent, or another way named by FOLLOWUP_CHANNEL's dotted path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from common.name_spellings import name_key
from common.reasons import Reason
from followups import signed_calls
from followups.signed_calls import Answer
from leads.models import Lead

log = structlog.get_logger(__name__)

NO_AGENT = Reason("only_logged_no_agent_url")
# The agent's words for why a person is not reached, with 410: {"reason": "invalid_number"}.
GONE_BECAUSE = {"invalid number": "invalid", "opted out": "opted_out"}
LONGEST_REASON, LONGEST_SAID = 200, 4000
# What a .env may still name by the place where it stood.
MOVED = {"bridge.sync.salesbot.Salesbot": "bridge.channels.salesbot.Salesbot"}


class Outcome(StrEnum):
    SENT = "sent"
    # The agent knows better and will not say it; the step counts as done.
    DECLINED = "declined"
    # Nothing reaches this number, or the person opted out; nothing may follow.
    UNREACHABLE = "unreachable"
    # Not now; the same message is tried again under the same id.
    RETRY = "retry"
    # The answer was lost on a way that would say the message twice: it is not tried again, nor taken for delivered.
    UNCONFIRMED = "unconfirmed"
    # There is no way to the lead: it was only logged.
    NOT_SENT = "not_sent"
    # The account is in shadow: it would have gone out. Channels never answer this.
    WOULD_SEND = "would_send"
    # Its reason ended before it left; channels never answer this.
    DROPPED = "dropped"
    # The pipeline's own channel has it, and tells later what became of it (followups/channel_outcomes.py).
    HANDED_OVER = "handed_over"
    # It left, and did not reach the lead.
    NOT_DELIVERED = "not_delivered"


@dataclass(frozen=True)
class Outgoing:
    """One message on its way. `lead` is what a receiver is told of the person."""

    attempt_id: str
    phone: str
    text: str
    sequence: str
    step: int
    lead: Mapping[str, Any]
    template_id: str = ""
    # What the agent is to speak of, where it finds the words and `text` is empty.
    instruction: str = ""


class Gone(StrEnum):
    """Why a person is not reached, as far as it was said."""

    UNCLEAR = "unclear"
    INVALID = "invalid"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class Result:
    """What became of a message. `text`: what was really said, where it is not what was handed over."""

    outcome: Outcome
    reason: str = ""
    retry_after_seconds: float | None = None
    text: str = ""
    gone: Gone = Gone.UNCLEAR


class Channel(Protocol):
    """A way to the lead. `acts_once`: handed the same `attempt_id` twice, it says the message once.

    One may say which settings it needs: `needs`, their names. None of them may be empty at start.
    """

    acts_once: bool

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        """Hand the message over; never raises.

        Called again with the same `attempt_id` after a RETRY, and where it `acts_once` after a crash. Where it does
        not, an answer that was lost is UNCONFIRMED.
        """


class LogOnly:
    """Say in the log what would go out, and that it did not. For a first run: nobody is written to."""

    acts_once = True

    def __init__(self, reason: str = NO_AGENT) -> None:
        self.reason = reason

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        log.info("followup_logged", sequence=message.sequence, step=message.step, lead=message.lead.get("id"))
        return Result(Outcome.NOT_SENT, self.reason)


class AgentWebhook:
    """Ask the agent to say it, with `followup.due`."""

    acts_once = True

    def __init__(self) -> None:
        self._url, self._secret = settings.AGENT_WEBHOOK_URL, settings.AGENT_WEBHOOK_SECRET

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        data = {
            "lead": message.lead,
            "sequence": message.sequence,
            "step": message.step,
            "attempt_id": message.attempt_id,
            "text": message.text,
        }
        if message.template_id:
            data["template_id"] = message.template_id
        if message.instruction:
            data["instruction"] = message.instruction
        return self.ask(message.attempt_id, "followup.due", data, now=now)

    def ask(self, event_id: str, event_type: str, data: Mapping[str, Any], *, now: datetime) -> Result:
        """Ask the agent to say something, as an event of this type; it acts once per `event_id`."""
        body = {"type": event_type, "timestamp": now.isoformat(), "data": data}
        answer = signed_calls.post(self._url, self._secret, event_id, body, now=now)
        if answer.is_success and answer.error:
            # It may have declined. The agent acts once per id, so asking again is safe.
            return Result(Outcome.RETRY, Reason("agent_answer_cut", what=answer.error))
        reply = answer.body if isinstance(answer.body, dict) else {}
        if answer.is_success and reply.get("skip") is True:
            return Result(Outcome.DECLINED, _words(reply.get("reason"))[:LONGEST_REASON] or Reason("agent_declined"))
        if answer.is_success:
            return Result(Outcome.SENT, text=_words(reply.get("text"))[:LONGEST_SAID])
        return read(answer, who=AGENT)


class Evolution:
    """Say it on WhatsApp through an Evolution API server.

    Settings: EVOLUTION_URL, EVOLUTION_INSTANCE, EVOLUTION_API_KEY. It takes no id of ours, so a message whose answer
    was lost is not sent again: prefer the agent, which acts once per id.
    Source: https://doc.evolution-api.com/v2/api-reference/message-controller/send-text
    """

    acts_once = False
    needs = ("EVOLUTION_URL", "EVOLUTION_INSTANCE", "EVOLUTION_API_KEY")

    def __init__(self) -> None:
        instance = quote(settings.EVOLUTION_INSTANCE, safe="")
        self._url = f"{settings.EVOLUTION_URL.rstrip('/')}/message/sendText/{instance}"

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        if not message.phone:
            return Result(Outcome.NOT_SENT, Reason("no_whatsapp_address"))
        data = orjson.dumps({"number": message.phone.lstrip("+"), "text": message.text})
        headers = {"Content-Type": "application/json", "apikey": settings.EVOLUTION_API_KEY}
        answer = signed_calls.send(self._url, data, headers)
        if answer.status == 400 and has_no_whatsapp(answer.body):
            return Result(Outcome.UNREACHABLE, Reason("number_no_whatsapp"), gone=Gone.INVALID)
        if answer.status in (None, 504) and answer.may_have_arrived:
            return Result(Outcome.UNCONFIRMED, f"Evolution's answer was lost ({answer.error or answer.status})")
        return read(answer, who="Evolution")


def has_no_whatsapp(body: Any) -> bool:
    """Say whether Evolution knows the number to be without WhatsApp: {"response": {"message": [{"exists": false}]}}.

    Any other 400 is a fault of ours or the server's, for which nobody may be written off.
    """
    response = body.get("response") if isinstance(body, dict) else None
    message = response.get("message") if isinstance(response, dict) else None
    return isinstance(message, list) and any(isinstance(each, dict) and each.get("exists") is False for each in message)


AGENT = "the agent"
SAYS = {Gone.INVALID: Reason("number_invalid"), Gone.OPTED_OUT: Reason("person_opted_out")}
AGENT_SAYS = {
    Gone.INVALID: "agent_says_number_invalid",
    Gone.OPTED_OUT: "agent_says_person_opted_out",
    Gone.UNCLEAR: "agent_says_number_invalid_or_opted_out",
}


def read(answer: Answer, *, who: str) -> Result:
    """Return what an answer means: 2xx sent, 410 never again, everything else once more."""
    if answer.is_success:
        return Result(Outcome.SENT)
    if answer.status == 410:
        return _gone(answer.body, who)
    return Result(Outcome.RETRY, _unanswered(answer, who), answer.retry_after_seconds)


def _unanswered(answer: Answer, who: str) -> str:
    if who != AGENT:
        return f"{who} answered {answer.status}" if answer.status else f"{who} did not answer ({answer.error})"
    if answer.status:
        return Reason("agent_answered", number=answer.status)
    return Reason("agent_did_not_answer", what=answer.error)


def _gone(body: Any, who: str) -> Result:
    """Return what a 410 says: which of the two it is, where the answer names it, and no more than that."""
    because = _words(body.get("reason")) if isinstance(body, dict) else ""
    gone = Gone(GONE_BECAUSE.get(name_key(because), "unclear"))
    if who == AGENT:
        return Result(Outcome.UNREACHABLE, Reason(AGENT_SAYS[gone]), gone=gone)
    says = SAYS.get(gone, "the number is invalid or the person opted out")
    return Result(Outcome.UNREACHABLE, f"{who} says {says}", gone=gone)


def _words(text: Any) -> str:
    """Return a text of the other side as one that any database takes; empty for anything else."""
    return text.replace("\0", "").strip() if isinstance(text, str) else ""


class Road(Protocol):
    """The pipelines' own channels: whoever has them carries a pipeline's follow-ups in the channel's place."""

    def pipelines(self, pipeline_ids: Collection[int]) -> Collection[int]:
        """Return those of the pipelines that have a channel of their own."""

    def speaks(self, pipeline_id: int) -> bool:
        """Say whether what a pipeline's own channel takes is ever said."""

    def take(self, attempt_id: UUID, lead: Lead, text: str, *, template_id: str, now: datetime) -> str:
        """Take a follow-up on, once however often it is handed over; return why there is no way to the lead."""


_roads: list[Road] = []


def carried_by(road: Road) -> None:
    """Let a room above carry the follow-ups of pipelines that have channels of their own."""
    _roads.append(road)


def road_of(pipeline_ids: Collection[int]) -> dict[int, Road]:
    """Return which road carries the follow-ups of these pipelines; none for those without channels. One query."""
    wanted = set(pipeline_ids)
    return {pk: road for road in _roads if wanted for pk in road.pipelines(wanted)}


def acts_once(channel: Channel) -> bool:
    """Say whether a message may be handed over again; a channel that does not say so is not trusted with it."""
    return bool(getattr(channel, "acts_once", False))


def check() -> None:
    """Raise ImproperlyConfigured where FOLLOWUP_CHANNEL names no channel, or one whose own settings are empty.

    Said at start: follow-ups would only be logged, and nobody would hear of it for long.
    """
    path = _path()
    if not path:
        return
    remedy = "Name a class with a method send, such as followups.channels.Evolution, or leave it empty for the agent."
    try:
        channel = import_string(path)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ImproperlyConfigured(f"FOLLOWUP_CHANNEL: “{path}” cannot be used: {reason}. {remedy}") from error
    if not isinstance(channel, type) or not callable(getattr(channel, "send", None)):
        raise ImproperlyConfigured(f"FOLLOWUP_CHANNEL: “{path}” is no channel. {remedy}")
    missing = [name for name in getattr(channel, "needs", ()) if not getattr(settings, name)]
    if missing:
        raise ImproperlyConfigured(f"FOLLOWUP_CHANNEL={path} needs a value of {', '.join(missing)}.")


def _path() -> str:
    return MOVED.get(settings.FOLLOWUP_CHANNEL, settings.FOLLOWUP_CHANNEL)


def configured() -> Channel:
    """Return the channel the settings name: a dotted path, else the agent's webhook, else the log."""
    path = _path()
    if not path:
        return AgentWebhook() if settings.AGENT_WEBHOOK_URL else LogOnly()
    try:
        channel: Channel = import_string(path)()
    except Exception as error:
        log.error("channel_unusable", path=path, error=str(error))
        return LogOnly(Reason("only_logged_channel_unusable", what=error))
    return channel


def why_mute(pipeline_id: int | None = None) -> str:
    """Return why no message would leave; empty when there is a way to leads."""
    if pipeline_id is not None and (road := road_of([pipeline_id]).get(pipeline_id)):
        return "" if road.speaks(pipeline_id) else Reason("only_logged_by_channel")
    channel = configured()
    return channel.reason if isinstance(channel, LogOnly) else ""
