"""Which changes of the rules touched a lead: those of parts that say something of this very lead.

A change touches a lead when a part it changed (bridge/configuration/touched_parts.py) is one the lead was subject to at
that time or later: a stage it stands in, a conversation stage it was in, an attribute we know, a sequence it is sent.
See docs/decisions/0035-changes-that-touched-a-lead.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from django.db.models import Min
from django.utils.translation import gettext as _

from bridge.configuration import sentences, touched_parts
from bridge.models import RulesRevision
from followups.models import Enrollment
from leads.models import Event, Lead
from leads.rulebook import rulebook

# Part -> until when the lead was subject to it; None: it still is.
Subject = dict[str, datetime | None]


def revisions(lead: Lead, *, before: datetime | None) -> Iterator[tuple[RulesRevision, list[str]]]:
    """Yield the revisions that touched the lead, newest first, with the parts that did; none for what is not known.

    Five queries. Revisions are made by people, so all since the lead is there can be looked at.
    """
    # A lead that was found in Kommo is as old as its card there, and was no rule's before it was found.
    found_at = lead.events.filter(kind=Event.Kind.CARD, actor=Lead.Actor.KOMMO).aggregate(at=Min("at"))["at"]
    since = max(lead.created_at, found_at or lead.created_at)
    rows = RulesRevision.objects.filter(pipeline_id=lead.pipeline_id, created_at__gte=since)
    if before:
        rows = rows.filter(created_at__lt=before)
    subject = _subject(lead)
    for revision in rows.defer("document").order_by("-created_at").iterator():
        if revision.touched is None:
            yield revision, []
        elif met := [part for part in revision.touched if _holds(subject, part, revision.created_at)]:
            yield revision, met


def name(part: str, lead: Lead) -> str:
    """Return what staff call a part."""
    kind, _colon, key = part.partition(":")
    if kind == "stage":
        stage = rulebook(lead.pipeline).stages_by_key.get(key)
        return _("stage %(name)s") % {"name": stage.name if stage else key}
    if kind == "conversation":
        return _("conversation stage “%(name)s”") % {"name": key}
    if kind == "sequence":
        return _("sequence %(name)s") % {"name": key}
    if kind == "attribute":
        return sentences.attribute(key)
    groups = {touched_parts.MEETING: _("meetings"), touched_parts.FOLLOW_UPS: _("when follow-ups go out")}
    return groups.get(part) or _("all leads")


def _holds(subject: Subject, part: str, at: datetime) -> bool:
    if part not in subject:
        return False
    until = subject[part]
    return until is None or until > at


def _subject(lead: Lead) -> Subject:
    found: Subject = {touched_parts.EVERYBODY: None}
    for part, until in [*_stages(lead), *_conversations(lead), *_sequences(lead)]:
        known = found.get(part, until)
        found[part] = None if known is None or until is None else max(known, until)
    facts = {attribute for attribute, value in lead.facts().items() if value is not None}
    # Also what was known once: the card held it.
    found |= dict.fromkeys(map(touched_parts.attribute, facts | lead.provenance.keys()))
    if lead.meeting_status:
        found[touched_parts.MEETING] = None
    return found


def _stages(lead: Lead) -> Iterator[tuple[str, datetime | None]]:
    for key, left_at in lead.stays.values_list("stage__key", "left_at"):
        yield touched_parts.stage(key), left_at


def _conversations(lead: Lead) -> Iterator[tuple[str, datetime | None]]:
    events = lead.events.filter(kind=Event.Kind.INTERACTION, data__changed__has_key="conversation_stage")
    rows = list(events.order_by("at", "id").values_list("data__changed__conversation_stage", "at"))
    for (conversation_stage, _since), (_next, until) in pairwise(rows):
        if conversation_stage:
            yield touched_parts.conversation(str(conversation_stage)), until
    if lead.conversation_stage:
        yield touched_parts.conversation(lead.conversation_stage), None


def _sequences(lead: Lead) -> Iterator[tuple[str, datetime | None]]:
    for slug, ended_at, state in lead.enrollments.values_list("sequence__slug", "ended_at", "state"):
        until = None if state == Enrollment.State.WAITING else ended_at
        yield touched_parts.sequence(slug), until
        yield touched_parts.FOLLOW_UPS, until
