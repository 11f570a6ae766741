"""Forgetting a person (LGPD): what could identify them goes, the counts and the proof of erasure stay.

It goes in every pipeline, and what is told of them afterwards is not kept either (`check_reports`). What remains of a
person is the pseudonym of each address: it keeps their opt-out, and tells a report older than the erasure for what
it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from common.deadlocks import tried_again
from common.name_spellings import name_key
from common.reasons import Reason
from common.statements import Select, insert
from leads import announcements, optout, pseudonyms, same_message, who_shares
from leads.interaction_values import Interaction
from leads.models import (
    Event,
    Forgotten,
    ForgottenReport,
    FurtherAddress,
    Lead,
    Meeting,
    ProbablySame,
    UnmappedConversationStage,
    UnmappedFlow,
)
from leads.whose_number import by_whose

# Parts of an event's data that carry nothing personal: where the lead stood, and by which rule.
IMPERSONAL = frozenset(
    {"from", "to", "rule", "from_name", "to_name", "would_be", "operation", "outcome", "status_code", "since"}
)
# What staff changed stands under the names of Kommo's fields, which may be any; the proof of erasure names nobody.
ALL_PERSONAL, KEPT = (Event.Kind.STAFF_EDIT,), (Event.Kind.ERASED,)
EVENTS_AT_ONCE = 500
OF_EMAIL = who_shares.OF_EMAIL
# So many others who may be the same person the proof names.
MOST_NAMED = 20


class ForgottenError(Exception):
    """A report tells of a person who was erased, and nothing that is newer than that."""


@tried_again
@transaction.atomic
def erase(lead: Lead, *, by: Lead.Actor, now: datetime, elsewhere: bool = False) -> bool:
    """Erase the person from all their leads and timelines; False when that was done before.

    A lead stays as a nameless row in its stage, so that figures remain true. Rooms above hear of it and remove what
    they hold themselves; with `elsewhere` also what the systems they write to show of the person.
    """
    lead.refresh_from_db(fields=["phone_key", "erased_address"])
    rows = list(_leads_of(lead).select_for_update(of=("self",)).select_related("pipeline", "stage").order_by("pk"))
    news = [row for row in rows if not row.erased_at]
    # While it is known what they share.
    others = _not_erased(rows) if news else []
    # By a number that proves nothing nobody is forgotten, here or in Kommo.
    _, of_others = by_whose(FurtherAddress.objects.filter(lead__in=rows))
    FurtherAddress.objects.filter(pk__in=[address.pk for address in of_others]).delete()
    for row in rows:
        if not row.erased_at or elsewhere:
            announcements.personal_data_erased.send(Lead, lead=row, elsewhere=elsewhere, now=now)
    if news:
        _keep_pseudonyms(news, now)
    for row in news:
        _forget_unmapped_words(row)
        _empty(row, now)
        Event.objects.bulk_create(
            Event(lead=row, at=now, kind=Event.Kind.ERASED, actor=by, reason=reason)
            for reason in (Reason("personal_data_erased"), *others)
        )
    return bool(news)


def may_be_theirs(lead: Lead) -> list[who_shares.Sharer]:
    """Return the living leads that an erasure of this one leaves whole, though they may be the same person's."""
    return who_shares.sharers(list(_leads_of(lead))) if lead.erased_at is None else []


def sweep(lead_ids: Collection[Any]) -> None:
    """Empty the timelines of erased leads; once more, for what was being written while they were erased."""
    personal = Event.objects.filter(lead_id__in=lead_ids).exclude(kind__in=KEPT).exclude(reason="", data={})
    events = []
    for event in personal.iterator(EVENTS_AT_ONCE):
        kept = _impersonal(event)
        if event.reason or event.data != kept:
            event.reason, event.data = "", kept
            events.append(event)
    Event.objects.bulk_update(events, ["reason", "data"], batch_size=EVENTS_AT_ONCE)
    same_message.forget(lead_ids)


def remember_reports(names: Iterable[str], *, now: datetime) -> None:
    """Keep by which a report about a forgotten person is known again: ids of messages, idempotency keys."""
    marks = {pseudonyms.of_report(name) for name in names}
    insert([ForgottenReport(mark=mark, at=now) for mark in marks], ignore_conflicts=True)


# --- What is told of a person afterwards

ANYBODY = Select(lambda: Forgotten.objects.values_list("pk")[:1])
FORGOTTEN = Select(lambda addresses: Forgotten.objects.filter(address__in=addresses).values_list("address", "at"))


def was_anybody_erased() -> bool:
    """Say whether any address is of somebody who was erased: where none is, nothing that comes in need be searched."""
    return ANYBODY.first() is not None


def forgotten_at(keys_of_addresses: Collection[str]) -> dict[str, datetime]:
    """Return when the people of these addresses were erased, by key; who was not is left out. One query."""
    keys = {pseudonyms.of_address(key): key for key in keys_of_addresses}
    return {keys[address]: at for address, at in FORGOTTEN.all(addresses=list(keys))} if keys else {}


def is_unwelcome(key: str) -> bool:
    """Say whether this is an address of a person who was erased and of whom nothing was reported since.

    What systems hold of them, from before or by whatever hand, is not taken in again.
    """
    return bool(unwelcome([key]))


def unwelcome(keys: Collection[str]) -> set[str]:
    """Return those of these addresses that are of people who were erased and are not back. Two queries at most."""
    gone = set(forgotten_at(keys))
    if gone:
        gone -= set(Lead.objects.filter(phone_key__in=gone).values_list("phone_key", flat=True))
        gone -= set(FurtherAddress.objects.filter(key__in=gone).values_list("key", flat=True))
        emails = [email for key in gone if (email := key.removeprefix(OF_EMAIL)) != key]
        if emails:
            back = Lead.objects.annotate(spelled=Lower("email")).filter(spelled__in=emails)
            gone -= {OF_EMAIL + email for email in back.values_list("spelled", flat=True)}
    return gone


SILENT_SINCE = Reason("forgotten_and_silent_since")


def is_silent_since(lead: Lead) -> bool:
    """Say whether the person was erased and has not written to us since."""
    return lead.back_since_erasure_of is not None and lead.last_inbound_at is None


def meet(leads: Sequence[Lead]) -> None:
    """Note on new leads, in memory, that their people were erased before. One query."""
    erased = forgotten_at({key for lead in leads for key in lead.address_keys})
    for lead in leads:
        lead.back_since_erasure_of = max((erased[key] for key in lead.address_keys if key in erased), default=None)


def check_reports(reports: Iterable[tuple[Interaction, Lead]]) -> None:
    """Raise ForgottenError where one tells of an erased person what is older than the erasure, or was told before.

    Anything newer begins anew: the person is back, and what they wanted of follow-ups still holds. Each report comes
    with its person's lead, which has met what is known of them.
    """
    for interaction, lead in reports:
        at = lead.back_since_erasure_of
        if at is not None and (interaction.told_at <= at or _is_repeated(interaction)):
            raise ForgottenError


def _is_repeated(interaction: Interaction) -> bool:
    message = interaction.message
    message_ids = (message.id, message.other_id) if message else ()
    names = {f"message:{name}" for text in message_ids if text for name in (text, same_message.plain_id(text))}
    return _are_forgotten({*names, *interaction.known_as})


def are_forgotten(message_ids: Collection[str]) -> bool:
    """Say whether any of these is a message of somebody who was erased, by the messenger's ids. One query."""
    return _are_forgotten({f"message:{name}" for text in message_ids for name in (text, same_message.plain_id(text))})


def _are_forgotten(names: Collection[str]) -> bool:
    marks = [pseudonyms.of_report(name) for name in names]
    return bool(marks) and ForgottenReport.objects.filter(mark__in=marks).exists()


# --- What goes


def _not_erased(rows: Sequence[Lead]) -> list[str]:
    """Return, in words for the proof, which living leads stay that may be theirs: by id, which names nobody."""
    found = who_shares.sharers(rows)
    why = {True: "has the same e-mail", False: "is probably the same person"}
    named = [f"not erased: lead {sharer.lead.pk} {why[sharer.by_email]}" for sharer in found[:MOST_NAMED]]
    more = len(found) - MOST_NAMED
    return [*named, f"not erased: {more} more leads may be theirs"] if more > 0 else named


def _leads_of(lead: Lead) -> QuerySet[Lead]:
    if lead.phone_key:
        return Lead.objects.filter(pk__in=_ids_of_person(lead))
    if lead.erased_address:
        return Lead.objects.filter(erased_address=lead.erased_address)
    return Lead.objects.filter(pk=lead.pk)


def _ids_of_person(lead: Lead) -> set[Any]:
    """Return every lead of the person: one of another pipeline may know one address more, and by that be a third."""
    ids: set[Any] = set()
    keys: set[str] = set()
    news = {lead.pk}
    while news:
        ids |= news
        first = set(Lead.objects.filter(pk__in=news).values_list("phone_key", flat=True))
        own, _ = by_whose(FurtherAddress.objects.filter(lead__in=news))
        wanted = {key for key in first | {address.key for address in own} if key} - keys
        keys |= wanted
        own, _ = by_whose(FurtherAddress.objects.filter(key__in=wanted))
        found = set(Lead.objects.filter(phone_key__in=wanted).values_list("pk", flat=True))
        news = (found | {address.lead_id for address in own}) - ids
    return ids


def _keep_pseudonyms(leads: Sequence[Lead], now: datetime) -> None:
    addresses = list(pseudonyms.of_leads(leads))
    for address in addresses:
        Forgotten.objects.update_or_create(address=address, defaults={"at": now})
    optout.forget(addresses)
    for email in {lead.email.casefold() for lead in leads if lead.email}:
        # By it a calendar knows them.
        Forgotten.objects.update_or_create(address=pseudonyms.of_address(OF_EMAIL + email), defaults={"at": now})
    events_data = Event.objects.filter(lead__in=leads, kind=Event.Kind.INTERACTION).values_list("data", flat=True)
    messages = (data.get("message") for data in events_data.iterator(EVENTS_AT_ONCE))
    remember_reports((f"message:{message['id']}" for message in messages if message and message.get("id")), now=now)
    remember_reports((f"message:{name}" for name in same_message.names_of(leads)), now=now)


def _forget_unmapped_words(lead: Lead) -> None:
    """Forget what the agent called this conversation and its flow, where nobody mapped it and no other lead has it."""
    _forget_words(lead, "conversation_stage", UnmappedConversationStage, ["data__changed__conversation_stage"])
    _forget_words(lead, "chosen_flow", UnmappedFlow, ["data__changed__chosen_flow", "data__unmapped_flow"])


def _forget_words(
    lead: Lead, attribute: str, words: type[UnmappedConversationStage] | type[UnmappedFlow], places: list[str]
) -> None:
    texts = {getattr(lead, attribute)}
    for place in places:
        reported = lead.events.filter(kind=Event.Kind.INTERACTION).values_list(place, flat=True)
        texts |= {text for text in reported.distinct() if isinstance(text, str)}
    others = Lead.objects.filter(**{"pipeline": lead.pipeline_id, f"{attribute}__in": texts}).exclude(pk=lead.pk)
    keys = [name_key(text) for text in texts - set(others.values_list(attribute, flat=True)) if text]
    words.objects.filter(pipeline=lead.pipeline_id, key__in=keys).delete()


def _empty(lead: Lead, now: datetime) -> None:
    own = pseudonyms.of_address(lead.phone_key) if lead.phone_key else lead.erased_address
    lead.erased_address, lead.erased_further = own, sorted(pseudonyms.of_lead(lead) - {own})
    lead.phone = lead.phone_key = None
    lead.whatsapp_id = lead.written_from = lead.first_key = ""
    lead.name = lead.email = lead.chosen_flow = lead.conversation_stage = ""
    lead.bill_value = lead.qualification_score = None
    lead.is_decision_maker = lead.has_solar_system = lead.has_active_contract = None
    lead.custom, lead.provenance = {}, {}
    lead.concluded, lead.concluded_when_moved = [], []
    lead.meeting_id = lead.meeting_link = lead.decision_reason = ""
    # Nobody waits for a person any more.
    lead.handoff_source = lead.handoff_reason = ""
    lead.handoff_since = lead.handoff_until = None
    lead.erased_at = lead.updated_at = now
    lead.objections.all().delete()
    lead.further_addresses.all().delete()
    ProbablySame.objects.filter(Q(older=lead) | Q(younger=lead)).delete()
    _keep_that_they_met(lead)
    # That it happened stays counted.
    lead.milestones.update(detail="")
    sweep([lead.pk])
    lead.save()


def _keep_that_they_met(lead: Lead) -> None:
    """Leave of meetings that there were some, and when: they are counted. A calendar's id may name the person."""
    rows = list(lead.meetings.all())
    for row in rows:
        row.meeting_id, row.link, row.awaits_result = f"erased-{row.pk}", "", False
    Meeting.objects.bulk_update(rows, ["meeting_id", "link", "awaits_result"])


def _impersonal(event: Event) -> dict[str, Any]:
    if event.kind in ALL_PERSONAL:
        return {}
    return {key: value for key, value in event.data.items() if key in IMPERSONAL}
