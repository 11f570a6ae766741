"""Does a way out work? Asked by a call that says nothing to anybody."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings as site
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.channels import chatwoot, kommo_salesbot, managing_channels, whatsapp_cloud, zapi
from bridge.channels.channel_kinds import is_outside_only
from bridge.channels.part_values import at, judged
from bridge.errors import KommoError
from bridge.models import Account, Channel
from followups import signed_calls

NO_ACCOUNT = "no account in Kommo is connected and active"


def trouble(channel: Channel) -> str:
    """Return what is wrong with a way out; empty when its other side answers as it should."""
    settings, kind = managing_channels.settings_of(channel), Channel.Kind(channel.kind)
    if kind in (Channel.Kind.KOMMO_SALESBOT, Channel.Kind.KOMMO_CHATS):
        return _in_kommo(kind, settings)
    if kind is Channel.Kind.AGENT:
        return "" if site.AGENT_WEBHOOK_URL else "AGENT_WEBHOOK_URL is empty"
    if kind is Channel.Kind.LOG:
        return ""
    url, headers = _look(kind, settings)
    headers = {"User-Agent": "kommo-bridge", **headers}
    answer = signed_calls.send(url, None, headers, method="GET", outside_only=is_outside_only(settings))
    if not answer.is_success:
        return judged(answer, who=str(kind.label)).reason
    state = at(answer.body, "instance", "state") or at(answer.body, "status")
    if kind in (Channel.Kind.EVOLUTION, Channel.Kind.WAHA) and state not in (None, "open", "WORKING"):
        return f"{kind.label}: WhatsApp is not connected ({str(state)[:40]})"
    if kind is Channel.Kind.ZAPI and at(answer.body, "connected") is False:
        return f"{kind.label}: WhatsApp is not connected"
    return ""


def prepare(channel: Channel) -> None:
    """Learn what a way out needs to know of the account, as far as Kommo answers: the field may have just been made."""
    account = Account.objects.filter(state=Account.State.ACTIVE, connected_at__isnull=False).first()
    if channel.kind == Channel.Kind.KOMMO_SALESBOT and account is not None:
        now = timezone.now()
        if kommo_salesbot.field_of(account, managing_channels.settings_of(channel))[0] is None:
            kommo_salesbot.look_again(account, client_for(account), now)


def _look(kind: Channel.Kind, settings: dict[str, str]) -> tuple[str, dict[str, str]]:
    base = settings.get("url", "").rstrip("/")
    if kind is Channel.Kind.EVOLUTION:
        instance = quote(settings["instance"], safe="")
        return f"{base}/instance/connectionState/{instance}", {"apikey": settings["api_key"]}
    if kind is Channel.Kind.WAHA:
        return f"{base}/api/sessions/{quote(settings['instance'], safe='')}", {"X-Api-Key": settings.get("api_key", "")}
    if kind is Channel.Kind.ZAPI:
        instance, token = (quote(settings[key], safe="") for key in ("instance", "api_key"))
        headers = {"Client-Token": settings["client_token"]} if settings.get("client_token") else {}
        return f"{base or zapi.HOST}/instances/{instance}/token/{token}/status", headers
    if kind is Channel.Kind.WHATSAPP_CLOUD:
        url = f"{base or whatsapp_cloud.HOST}/{quote(settings['phone_number_id'], safe='')}"
        return url, {"Authorization": f"Bearer {settings['token']}"}
    request = chatwoot.inboxes(settings)
    return request.url, dict(request.headers)


def _in_kommo(kind: Channel.Kind, settings: dict[str, str]) -> str:
    account = Account.objects.filter(state=Account.State.ACTIVE, connected_at__isnull=False).first()
    if account is None:
        return NO_ACCOUNT
    client = client_for(account)
    try:
        if kind is Channel.Kind.KOMMO_CHATS:
            client.talks(1)
            return ""
        field, obstacle = kommo_salesbot.field_of(account, settings)
        if field is None:
            return obstacle
        known = {str(bot.id): bot.name for bot in client.bots()}
    except KommoError as error:
        return str(error)
    return "" if settings["bot_id"] in known else f"Kommo has no bot {settings['bot_id'][:20]}"
