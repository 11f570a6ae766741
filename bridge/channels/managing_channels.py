"""Making and changing ways out, and which of them a pipeline's messages leave by, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from django.db.models import Max

from bridge.channels.channel_kinds import BY_COMMAND, WAYS
from bridge.errors import ConfigurationError
from bridge.kommo.hosts import is_this_machine
from bridge.models import Channel
from followups import private_networks
from leads.models import Pipeline

SLUG_SIGNS = "letters, digits, - and _"
LONGEST_SETTING = 2000


def establish(
    kind: str,
    slug: str,
    *,
    pipeline: Pipeline | None = None,
    settings: Mapping[str, str] | None = None,
    by_staff: bool = False,
) -> Channel:
    """Make a way out, or change the one of that name. An empty setting takes it away.

    by_staff: somebody with a browser asks, who may name no address within our own network. Raises ConfigurationError
    for a kind or a setting that there is not, for one that is missing, and for a name that another kind has.
    """
    way = WAYS.get(kind)
    if way is None:
        raise ConfigurationError(f"There is no kind “{kind}”: {', '.join(WAYS)}.")
    if not slug or len(slug) > 50 or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in slug):
        raise ConfigurationError(f"“{slug}” is no short name: up to 50 {SLUG_SIGNS}.")
    unknown = [key for key in settings or {} if key not in way.settings]
    if unknown:
        known = f"it takes {', '.join(way.settings)}" if way.settings else "it takes none"
        raise ConfigurationError(f"{kind} has no setting “{unknown[0]}”: {known}.")
    channel = Channel.objects.filter(slug=slug).first() or Channel(slug=slug, kind=kind)
    if channel.kind != kind:
        raise ConfigurationError(f"“{slug}” is a way out of {channel.kind}: choose another name.")
    before = settings_of(channel)
    wanted = {key: value.strip() for key, value in {**before, **(settings or {})}.items() if value.strip()}
    for key, value in wanted.items():
        if len(value) > LONGEST_SETTING or any(ord(sign) < 32 for sign in value):
            raise ConfigurationError(f"“{key}” has a character in it that no setting has, or is too long.")
    missing = [key for key in way.needs if key not in wanted]
    if missing:
        raise ConfigurationError(f"{kind} needs {', '.join(missing)}: --set {missing[0]}=…")
    if (url := wanted.get("url")) and url != before.get("url"):
        check_url(url, by_staff=by_staff)
        wanted.pop(BY_COMMAND, None)
    if url and "url" in (settings or {}) and not by_staff:
        wanted[BY_COMMAND] = "yes"
    channel.pipeline = pipeline or channel.pipeline
    if channel._state.adding:
        last = Channel.objects.filter(pipeline=channel.pipeline).aggregate(last=Max("position"))["last"]
        channel.position = 0 if last is None else min(last + 1, 32_767)
    channel.settings = json.dumps(wanted) if wanted else ""
    channel.is_active = True
    channel.rests_until = None
    channel.save()
    return channel


def settings_of(channel: Channel) -> dict[str, str]:
    return dict(json.loads(channel.settings)) if channel.settings else {}


def check_url(url: str, *, by_staff: bool) -> None:
    """Raise ConfigurationError for what is no address of a server.

    Whoever runs commands here may name any. Staff may not make us call what listens on this machine or within its
    network: it would be sent a key, and what it answers would be shown. The name is looked up again at each call.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigurationError(f"“{url[:200]}” is no address; write it like https://evolution.example.com") from error
    # A backslash ends the host's name for some readers and not for others.
    is_odd = "%" in host or "\\" in url or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not host or is_odd:
        raise ConfigurationError(f"“{url[:200]}” is no address; write it like https://evolution.example.com")
    if not by_staff:
        return
    if parts.scheme != "https":
        raise ConfigurationError("The address begins with https://: a key travels with every message.")
    if is_this_machine(url) or _leads_inside(host, port):
        raise ConfigurationError(
            "This address lies within our own network: whoever runs commands here may name it (manage.py channel)."
        )


def _leads_inside(host: str, port: int) -> bool:
    try:
        return any(map(private_networks.is_inside, private_networks.addresses(host, port)))
    except (OSError, UnicodeError):
        # What is not found is not reached either.
        return False


def chains(pipelines: Iterable[Pipeline]) -> dict[int, list[Channel]]:
    """Return each pipeline's ways out: the one it names first, then its own in their order. One query."""
    rows = list(Channel.objects.filter(is_active=True).order_by("position", "pk"))
    return {pipeline.pk: _chain(pipeline, rows) for pipeline in pipelines}


def chain(pipeline: Pipeline) -> list[Channel]:
    return chains([pipeline])[pipeline.pk]


def _chain(pipeline: Pipeline, rows: list[Channel]) -> list[Channel]:
    named = [row for row in rows if pipeline.channel and row.slug == pipeline.channel]
    own = [
        row
        for row in rows
        if row not in named and (row.pipeline_id == pipeline.pk or (row.pipeline_id is None and pipeline.is_default))
    ]
    return [*named, *own]
