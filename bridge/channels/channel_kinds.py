"""Every kind of a way out: what can be set, whom it leads to, how much it takes at once, and how it says a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from django.conf import settings as site

from bridge.channels import chatwoot, evolution, kommo_chats, kommo_salesbot, waha, whatsapp_cloud, zapi
from bridge.channels.part_values import Outcome, Part, Person, Request, Sent
from bridge.models import Account, Channel
from common.reasons import Reason
from followups import channels, signed_calls
from followups.channels import AgentWebhook
from followups.signed_calls import Answer

Kind = Channel.Kind
Settings = dict[str, str]
# What stands in none of these is a secret, and never shown.
PLAIN = frozenset({"url", "instance", "bot_id", "field", "phone_number_id", "account_id"})
NO_AGENT = "AGENT_WEBHOOK_URL is empty: nobody would be told"
# Beside the settings of one whose address was named by whoever runs commands here: it may lie in our own network.
BY_COMMAND = "by_command"
ONLY_LOGGED = Reason("only_logged_by_this_way")
LONG = 65_536


# What the agent answered -> what that is for the message.
OF_THE_AGENT = {
    channels.Outcome.SENT: Outcome.DELIVERED,
    channels.Outcome.DECLINED: Outcome.DECLINED,
    channels.Outcome.RETRY: Outcome.RETRY,
}


def _anybody(person: Person) -> str:
    return ""


@dataclass(frozen=True)
class Way:
    """A kind.

    needs: settings that may not be empty. why_not: why it does not lead to a person. proves: within which time Kommo
    has to tell of what was said, where its answer proves nothing. is_kommos: it goes through the account's own pace.
    """

    say: Callable[[Account | None, Settings, Person, Part, datetime], Sent]
    settings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    why_not: Callable[[Person], str] = _anybody
    limit: Callable[[Account | None, Settings], int] = lambda account, settings: LONG
    changed: Callable[[str], tuple[str, list[str]]] = lambda text: (text, [])
    why_not_now: Callable[[Person, str, datetime], str] = lambda person, template_id, now: ""
    proves: timedelta | None = None
    is_kommos: bool = False


def is_outside_only(settings: Settings) -> bool:
    """Say whether a way out is called outside our own network alone: staff named its address, or may have.

    They can name none but by https, so what goes by plain http was always a command's.
    """
    return BY_COMMAND not in settings and settings.get("url", "").lower().startswith("https:")


def _call(request: Request, settings: Settings) -> Answer:
    data = None if request.body is None else orjson.dumps(request.body)
    headers = {"Content-Type": "application/json", "User-Agent": "kommo-bridge", **request.headers}
    return signed_calls.send(request.url, data, headers, method=request.method, outside_only=is_outside_only(settings))


def _over_http(module: object) -> Callable[[Account | None, Settings, Person, Part, datetime], Sent]:
    def say(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
        sent: Sent = module.read(_call(module.request(settings, person, part), settings))  # type: ignore[attr-defined]
        return sent

    return say


def _say_in_chatwoot(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
    contact = chatwoot.contact_of(settings, person)
    if search := chatwoot.search(settings, person):
        answer = _call(search, settings)
        if not answer.is_success:
            return _looked_in_vain(answer)
        contact = chatwoot.found(answer)
    if not contact:
        return Sent(Outcome.FAILED, Reason("chatwoot_knows_no_contact"))
    answer = _call(chatwoot.conversations(settings, contact), settings)
    if not answer.is_success:
        return _looked_in_vain(answer)
    conversation = chatwoot.newest(answer)
    if not conversation:
        return Sent(Outcome.FAILED, Reason("no_chatwoot_conversation"))
    return chatwoot.read(_call(chatwoot.message(settings, conversation, part), settings))


def _looked_in_vain(answer: Answer) -> Sent:
    """A look changes nothing: where its answer is lost, it is asked again."""
    found = chatwoot.read(answer)
    return Sent(Outcome.RETRY, found.reason) if found.outcome is Outcome.UNCONFIRMED else found


def _ask_the_agent(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
    """The agent acts once per id, so a lost answer is asked for again; its 2xx is the proof."""
    if not site.AGENT_WEBHOOK_URL:
        return Sent(Outcome.FAILED, NO_AGENT)
    type_, data = part.event
    result = AgentWebhook().ask(part.event_id, type_, {**data, "text": part.text}, now=now)
    outcome = OF_THE_AGENT.get(result.outcome, Outcome.FAILED)
    gone = result.gone if result.outcome is channels.Outcome.UNREACHABLE else None
    return Sent(outcome, result.reason, "", result.retry_after_seconds, result.text, gone)


def _only_log(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
    return Sent(Outcome.NOTHING, ONLY_LOGGED)


def _say_by_salesbot(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
    assert account is not None
    return kommo_salesbot.send(account, settings, person, part, now=now)


def _say_in_kommo(account: Account | None, settings: Settings, person: Person, part: Part, now: datetime) -> Sent:
    assert account is not None
    return kommo_chats.send(account, person, part, now=now)


WAYS: dict[str, Way] = {
    Kind.AGENT: Way(_ask_the_agent),
    Kind.KOMMO_CHATS: Way(
        _say_in_kommo,
        why_not=kommo_chats.why_not,
        limit=lambda account, settings: kommo_chats.LIMIT,
        is_kommos=True,
    ),
    Kind.KOMMO_SALESBOT: Way(
        _say_by_salesbot,
        kommo_salesbot.SETTINGS,
        ("bot_id",),
        kommo_salesbot.why_not,
        kommo_salesbot.limit,
        kommo_salesbot.changed,
        proves=kommo_salesbot.PROVED_WITHIN,
        is_kommos=True,
    ),
    Kind.EVOLUTION: Way(
        _over_http(evolution), evolution.SETTINGS, evolution.SETTINGS, evolution.why_not, lambda *_: evolution.LIMIT
    ),
    Kind.WAHA: Way(_over_http(waha), waha.SETTINGS, ("url", "instance"), waha.why_not, lambda *_: waha.LIMIT),
    Kind.ZAPI: Way(_over_http(zapi), zapi.SETTINGS, ("instance", "api_key"), zapi.why_not, lambda *_: zapi.LIMIT),
    Kind.WHATSAPP_CLOUD: Way(
        _over_http(whatsapp_cloud),
        whatsapp_cloud.SETTINGS,
        ("phone_number_id", "token"),
        whatsapp_cloud.why_not,
        lambda *_: whatsapp_cloud.LIMIT,
        why_not_now=whatsapp_cloud.why_not_now,
    ),
    Kind.CHATWOOT: Way(
        _say_in_chatwoot, chatwoot.SETTINGS, chatwoot.SETTINGS, chatwoot.why_not, lambda *_: chatwoot.LIMIT
    ),
    Kind.LOG: Way(_only_log),
}
