"""Every page of the admin by its address, taken from the URL conf: a page that is new is among them by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task

from bridge.admin import invitations
from bridge.admin.rules.page_frame import ICONS
from bridge.api import api_keys
from bridge.configuration import drafts
from bridge.intakes import managing_intakes
from bridge.models import (
    AgentEvent,
    Alert,
    ApiKey,
    Card,
    Channel,
    Drift,
    Forgetting,
    IntakeCall,
    Outgoing,
    WebhookEvent,
)  # fmt: skip
from bridge.selectors import results
from followups.models import Attempt, Enrollment
from leads import optout
from leads.models import Lead, Message, ProbablySame, UnmappedConversationStage, UnmappedFlow
from tests.browser.visits import person

MODELS = [model for model in admin.site._registry if model._meta.app_label != "axes"]
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
CHOICES = re.compile(r"\(\?P<(\w+)>[^)]*\)")
UNNAMED = re.compile(r"\(\[\^/\]\+\)")
# Django's way to the page of a row of any table; we have no page outside the admin.
NO_PAGES = {"view_on_site"}


def add_one_of_each(account: Any, leads: list[Lead]) -> None:
    """Let every table that has a page have a row."""
    now, lead, other = timezone.now(), leads[0], leads[1]
    card, pipeline = Card.objects.get(lead=lead), lead.pipeline
    seen = {"pipeline": pipeline, "first_seen_at": now, "last_seen_at": now}
    enrollment = Enrollment.objects.filter(lead__in=leads, state=Enrollment.State.WAITING)[0]
    Attempt.objects.create(
        enrollment=enrollment, step=1, state=Attempt.State.SENT, text="Oi!", due_at=now, created_at=now, ended_at=now
    )
    optout.opt_out(leads[-1], by=Lead.Actor.STAFF, reason="asked", now=now)
    api_keys.issue(ApiKey(name="agent"))
    ProbablySame.objects.create(older=lead, younger=other, first_seen_at=now, last_seen_at=now)
    Drift.objects.create(card=card, subject="name", ours="a", theirs="b", found_at=now, found_by="poll")
    WebhookEvent.objects.create(account=account, body=b"leads[add][0][id]=1", received_at=now)
    AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now, due_at=now, state="dead")
    Forgetting.objects.create(card=card, asked_at=now, state="left", problem="a note of a person")
    UnmappedConversationStage.objects.get_or_create(**seen, text="nunca vista")
    UnmappedFlow.objects.get_or_create(**seen, text="nunca visto")
    Alert.objects.create(subject="worker: x", message="x", first_seen_at=now, last_seen_at=now)
    times = {"started": now, "stopped": now}
    for number, is_well in enumerate((True, False)):
        Task.objects.create(id=f"{number}" * 32, name="x", func="f", success=is_well, result="x", **times)
    Schedule.objects.get_or_create(func="f", schedule_type=Schedule.ONCE)
    OrmQ.objects.create(key="bridge", payload="x", lock=now)
    LogEntry.objects.create(user=person("superuser"), object_repr="Maria", action_flag=CHANGE, change_message="Moved")
    # Only with a draft is there something to review.
    rules = drafts.prepared(pipeline).wanted
    drafts.save(pipeline, replace(rules, name=f"{rules.name} 2"), author=person("superuser"), now=now)
    intake = managing_intakes.establish("evolution", "vendas", pipeline=pipeline)
    IntakeCall.objects.create(intake=intake, body=b"{}", received_at=now, due_at=now)
    channel = Channel.objects.create(kind="evolution", slug="saida", pipeline=pipeline)
    message = Message.objects.create(lead=lead, direction="outbound", text="Oi!", at=now, state="queued")
    Outgoing.objects.create(message=message, lead=lead, channel=channel, created_at=now, due_at=now)


def addresses() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the pattern and the kind of rows of every address below /admin/."""
    for pattern, url in _walk(get_resolver().url_patterns, "/"):
        # The last of all patterns is for whatever is nowhere.
        if pattern.startswith("/admin/") and "(?P<url>" not in pattern and url.name not in NO_PAGES:
            yield url.name or "", CHOICES.sub(r"<\1>", pattern), "/".join(pattern.split("/")[2:4])


def _walk(patterns: list[Any], before: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        pattern = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, pattern)
        else:
            yield pattern, entry


def every_page(client: Client) -> list[str]:
    """Return the address of every page that opens for a client, each row's page by the first row there is.

    What acts, answers a part of a page or leads on to another is no page. Raises KeyError where nobody has said here
    what may stand in an address.
    """
    found: dict[str, None] = {}
    for name, pattern, kind in addresses():
        for path in _filled(name, pattern, kind):
            answer = client.get(path)
            # A page is told by its answer, not by its name: a new one is found whatever it is called.
            if answer.status_code == 200 and b"</html>" in answer.content:
                found[path] = None
    return list(found)


def _filled(name: str, pattern: str, kind: str) -> Iterator[str]:
    plain = pattern.replace("^", "").replace("$", "")
    row = _first_row(kind)
    several = SEVERAL.get(name, [{}])
    for chosen in several() if callable(several) else several:
        values = {"object_id": row, "pk": row, "id": row, "lead_id": row, **chosen}
        path = PARAMETER.sub(lambda found, values=values: str(values[found[1]]), plain)
        if UNNAMED.search(path):
            # One version of a row of the rules: the row, and the version's number.
            path = UNNAMED.sub(str(_version(kind)), UNNAMED.sub(str(row), path, count=1))
        yield path


def _first_row(kind: str) -> Any:
    model = next((candidate for candidate in MODELS if candidate._meta.label_lower == kind.replace("/", ".")), None)
    row = model._default_manager.order_by("pk").first() if model else None
    return row.pk if row else None


def _version(kind: str) -> Any:
    model = next(candidate for candidate in MODELS if candidate._meta.label_lower == kind.replace("/", "."))
    return model.history.order_by("history_id").values_list("history_id", flat=True).first() or 0


def _invited() -> list[dict[str, Any]]:
    user = User.objects.get_or_create(username="new@example.com", is_staff=True)[0]
    about, token = invitations.link_of(user).strip("/").split("/")[-2:]
    return [{"uidb64": about, "token": token}]


# What may stand in an address beside a row's id; pages that show other things by it are all of them looked at.
SEVERAL: dict[str, Any] = {
    "overview-act": [{"do": "resend"}],
    "results-leads": [{"name": name} for name in results.LABELS],
    "lead-by-card": [{"kommo_lead_id": 1}],
    "invited": _invited,
    "app_list": [{"app_label": label} for label in dict.fromkeys(model._meta.app_label for model in MODELS)],
    "leads_lead_do": [{"do": "move"}],
    "leads_view_change": [{"view_id": 1}],
    "leads_view_delete": [{"view_id": 1}],
    "bridge_channel_do": [{"do": "switch"}],
    "bridge_intake_do": [{"do": "switch"}],
    "rules_section": [{"section": section} for section in ICONS],
    "rules_sequence": [{"slug": "reengagement"}],
    "rules_remove_sequence": [{"slug": "reengagement"}],
    "rules_revision": [{"number": 1}],
    "rules_restore": [{"number": 1}],
}
