"""Does another robot answer our leads? Kommo's own AI agent, or a bot of somebody's, in the same conversations.

Then people get two answers. Nobody is paused for it, for no person has taken over: staff are told, once for each
pipeline, for as long as it goes on. Two things betray one: events that only Kommo's robots cause, and messages of
author `bot` whose words are none of ours. Ours may be shown in Kommo before the agent has reported them, so such a
message is looked at again a while later; and where the agent never reports what it says, nobody can tell whose it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import models, transaction
from django.db.models import Q

from bridge.account_traits import Trait
from bridge.accounts import troubles
from bridge.kommo.replies import EventReply
from bridge.models import Account, Card, Trouble
from common.reasons import Reason, pieces, several
from followups.models import Attempt
from leads.models import Lead, Message

# Events that Kommo's own robots cause.
EVENTS = ("robot_replied", "ai_result", "intent_identified")
# A robot that has been silent for so long answers here no more.
QUIET_AFTER = timedelta(days=1)
# By then the agent has reported what it said.
LOOKED_AT_AFTER = timedelta(minutes=2)
# What we said is looked for around the message.
AROUND = timedelta(hours=1)
# So long an agent's reports tell that it reports.
REPORTS_WITHIN = timedelta(days=7)
MOST_HEARD = 50
OURS = (Message.Direction.OUTBOUND, Message.Direction.STAFF)


def note_message(account: Account, *, lead_id: int, contact_id: int, at: int, text: str) -> None:
    """Keep that a bot wrote to somebody, to be looked at later: of its words only their digest."""
    if not text.strip():
        # A picture tells nobody's words.
        return
    with transaction.atomic():
        row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        heard = [*row.traits.get(Trait.BOT_MESSAGES, []), [lead_id, contact_id, at, digest(text)]]
        row.traits = account.traits = {**row.traits, Trait.BOT_MESSAGES: heard[-MOST_HEARD:]}
        row.save(update_fields=["traits"])


def look(account: Account, events: Iterable[EventReply], *, now: datetime) -> None:
    """Tell staff where robots were seen to answer our leads, and end it once they are silent."""
    seen = {pipeline for event in events for pipeline in _pipelines(account, event) if event.type in EVENTS}
    seen |= _of_messages(account, now)
    subject = Trouble.Subject.ROBOTS
    if not seen:
        troubles.over(account.pk, subject, tried_at=now - QUIET_AFTER)
        return
    before = Trouble.objects.filter(account=account, subject=subject).values_list("reason", flat=True).first()
    # The same words for as long as it lasts: who was told is not told again because another kind of event came.
    told_before = set(pieces(before) if before else ())
    reason = several(sorted(told_before | {Reason("another_bot_answers", a=name) for name in seen}))
    troubles.begin(account.pk, subject, reason, now=now, refused=True)


def digest(text: str) -> str:
    """Return what stays of a message's words: enough to know them again, and nothing to read."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:24]


def _pipelines(account: Account, event: EventReply) -> set[str]:
    if event.entity_type == "lead":
        return _names(account, event.entity_id, 0)
    return _names(account, 0, event.entity_id) if event.entity_type == "contact" else set()


def _names(account: Account, lead_id: int, contact_id: int) -> set[str]:
    return set(_cards(account, lead_id, contact_id).values_list("lead__pipeline__name", flat=True))


def _cards(account: Account, lead_id: int, contact_id: int) -> models.QuerySet[Card]:
    which = Q(kommo_lead_id=lead_id) if lead_id else Q(kommo_contact_id=contact_id) | Q(own_contact_id=contact_id)
    return Card.objects.filter(which, account=account)


def _of_messages(account: Account, now: datetime) -> set[str]:
    """Return the pipelines in which a bot said what none of ours did; what is too new waits for the next look."""
    heard = Account.objects.values_list("traits", flat=True).get(pk=account.pk).get(Trait.BOT_MESSAGES, [])
    old = [entry for entry in heard if datetime.fromtimestamp(entry[2], UTC) <= now - LOOKED_AT_AFTER]
    seen = {
        card.lead.pipeline.name
        for lead_id, contact_id, at, text in old
        for card in _cards(account, lead_id, contact_id).select_related("lead__pipeline")
        if _reports(card.lead, now) and text not in _ours(card, datetime.fromtimestamp(at, UTC))
    }
    if old:
        with transaction.atomic():
            row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
            left = [entry for entry in row.traits.get(Trait.BOT_MESSAGES, []) if entry not in old]
            row.traits = account.traits = {**row.traits, Trait.BOT_MESSAGES: left}
            row.save(update_fields=["traits"])
    return seen


def _reports(lead: Lead, now: datetime) -> bool:
    """Say whether the agent of this lead's pipeline tells what it says."""
    messages = Message.objects.filter(lead__pipeline_id=lead.pipeline_id, direction=Message.Direction.OUTBOUND)
    return messages.filter(at__gt=now - REPORTS_WITHIN).exists()


def _ours(card: Card, at: datetime) -> set[str]:
    """Return the digests of what our side said to a lead around a time: the agent, follow-ups, our Salesbot's field."""
    near = (at - AROUND, at + AROUND)
    messages = Message.objects.filter(lead_id=card.lead_id, at__range=near)
    texts = list(messages.filter(direction__in=OURS).values_list("text", flat=True))
    attempts = Attempt.objects.filter(enrollment__lead_id=card.lead_id, created_at__range=near)
    texts += attempts.values_list("text", flat=True)
    fields = {**card.observed.get("fields", {}), **card.in_doubt.get("fields", {})}
    texts += [str(value) for value in fields.values()]
    return {digest(text) for text in texts}
