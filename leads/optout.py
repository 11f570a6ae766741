"""A person who wants no more follow-ups gets none, ever: in no pipeline, by no lead of theirs, whenever it is made.

The wish is the person's and has a row of its own (leads.models.OptOut), by the pseudonym of each of their addresses.
`since` is the one place to ask; a lead's own column says what is shown of it, and holds for leads without an address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from common.deadlocks import tried_again
from common.name_spellings import name_key
from common.reasons import Reason
from common.statements import Select
from leads import announcements, pseudonyms
from leads.models import Event, FurtherAddress, Lead, OptOut, Pipeline
from leads.phone import Phone
from leads.whose_number import by_whose

SAID = Reason("person_opted_out")

BY_ADDRESS = Select(
    lambda addresses: OptOut.objects.filter(address__in=addresses).values_list("address", "opted_out_at", "phone_key")
)


def since(leads: Iterable[Lead]) -> dict[UUID, datetime]:
    """Return since when the people of these leads want no follow-ups; who does not mind is left out. Two queries."""
    rows = list(leads)
    found = {lead.pk: lead.opted_out_at for lead in rows if lead.opted_out_at}
    by_address = pseudonyms.of_leads(rows)
    for address, at, _ in BY_ADDRESS.all(addresses=list(by_address)) if by_address else ():
        found |= {lead.pk: at for lead in by_address[address]}
    return found


def since_of(key: str) -> datetime | None:
    """Return since when whoever has this address (by its key) wants no follow-ups. One query."""
    found: datetime | None = (
        OptOut.objects.filter(address=pseudonyms.of_address(key)).values_list("opted_out_at", flat=True).first()
    )
    return found


def meet(leads: Sequence[Lead], *, now: datetime, further: bool = False) -> set[UUID]:
    """Let leads that are new, or have just learnt a phone, and the wishes of their people find each other.

    In memory: returns the leads whose `opted_out_at` was set, for the caller to store. `further`: they may have more
    than the number on their row, and a wish told by one of their numbers holds for all. One query, mostly.
    """
    by_address = pseudonyms.of_leads((lead for lead in leads if not lead.erased_at), further=further)
    known = {row[0]: row for row in BY_ADDRESS.all(addresses=list(by_address))} if by_address else {}
    changed: set[UUID] = set()
    for address, theirs in by_address.items():
        if address in known:
            _, at, phone_key = known[address]
            for lead in theirs:
                lead.opted_out_at = lead.opted_out_at or at
                changed.add(lead.pk)
            if not phone_key:
                # Erased once, and back: staff see again whose wish it is.
                OptOut.objects.filter(address=address).update(phone_key=theirs[0].phone_key or "")
        elif said_at := next((lead.opted_out_at for lead in theirs if lead.opted_out_at), None):
            # They said so when nobody knew their number yet.
            keep(theirs[0], by=Lead.Actor.BRIDGE, reason=Reason("opted_out_before_number_known"), at=said_at)
    if changed and further:
        for lead in leads:
            if lead.pk in changed and lead.opted_out_at:
                keep(lead, by=Lead.Actor.BRIDGE, reason=Reason("opted_out_by_other_number"), at=lead.opted_out_at)
    return changed


# Twice the longest word of the list, with signs around it.
LONGEST_FAREWELL = 200


def asks_to_stop(text: str, pipeline: Pipeline) -> bool:
    """Say whether a lead who writes this asks for no more messages.

    The whole message must be one of the words: “não vou sair de casa” asks for nothing.
    """
    if len(text) > LONGEST_FAREWELL:
        return False
    wording = name_key("".join(sign for sign in text if sign.isalnum() or sign.isspace()))
    return bool(wording) and wording in {name_key(word) for word in pipeline.opt_out_words}


@tried_again
@transaction.atomic
def opt_out(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime) -> bool:
    """Stop every follow-up of this person in every pipeline, for good; False when they had opted out already."""
    rows = list(_leads_of(lead).select_for_update().order_by("pk"))
    is_new = keep(lead, by=by, reason=reason, at=now)
    news = [row for row in rows if row.opted_out_at is None]
    for row in news:
        row.opted_out_at = row.updated_at = now
        row.save(update_fields=["opted_out_at", "updated_at"])
        row.events.create(at=now, kind=Event.Kind.OPTED_OUT, actor=by, reason=reason[:500])
        announcements.opted_out.send(Lead, lead=row, now=now)
    return is_new or bool(news)


@tried_again
@transaction.atomic
def opt_out_number(phone: Phone, *, by: Lead.Actor, reason: str, now: datetime) -> bool:
    """Stop every follow-up to a number, whether or not anybody is known by it yet; False when it had opted out."""
    lead = Lead.objects.filter(phone_key=phone.key).first() or Lead(phone=phone.e164, phone_key=phone.key)
    return opt_out(lead, by=by, reason=reason, now=now)


@tried_again
@transaction.atomic
def take_back(lead: Lead, *, reason: str, now: datetime) -> bool:
    """Let a person of whom it was a mistake, or who asks for it, be written to again; False when nothing is to undo.

    Only staff do so, and nothing that was stopped begins again by itself. A lead that was erased tells nobody's
    number: the wish of its person is taken back by their number, or when they are back.
    """
    if lead.erased_at:
        return False
    # The leads first, then the wish: the order of `opt_out`.
    rows = list(_leads_of(lead).select_for_update().order_by("pk"))
    undone, _ = OptOut.objects.filter(address__in=pseudonyms.of_lead(lead)).delete()
    stopped = [row for row in rows if row.opted_out_at and not row.erased_at]
    for row in stopped:
        row.opted_out_at, row.updated_at = None, now
        row.save(update_fields=["opted_out_at", "updated_at"])
        row.events.create(at=now, kind=Event.Kind.FOLLOW_UP, actor=Lead.Actor.STAFF, reason=reason, data={})
    return bool(undone or stopped)


def take_back_number(phone_key: str, *, reason: str, now: datetime) -> bool:
    """Take back the wish of whoever has this number, whether or not a lead of theirs is known."""
    lead = Lead.objects.filter(phone_key=phone_key).first() or Lead(phone_key=phone_key)
    return take_back(lead, reason=reason, now=now)


def forget(addresses: Collection[str]) -> None:
    """Let the wishes of people who are erased tell nothing more than that there is one."""
    OptOut.objects.filter(address__in=addresses).update(phone_key="", reason="")


def _leads_of(lead: Lead) -> QuerySet[Lead]:
    """Return every lead of the person, in any pipeline, by whichever address is proven to be theirs."""
    keys = _keys_of(lead)
    if not keys:
        return Lead.objects.filter(pk=lead.pk)
    further, _ = by_whose(FurtherAddress.objects.filter(key__in=keys))
    return Lead.objects.filter(Q(phone_key__in=keys) | Q(pk__in=[address.lead_id for address in further]))


def _keys_of(lead: Lead) -> list[str]:
    further, _ = by_whose(FurtherAddress.objects.filter(lead=lead.pk))
    return [key for key in (lead.phone_key, *(address.key for address in further)) if key]


def keep(lead: Lead, *, by: Lead.Actor, reason: str, at: datetime) -> bool:
    """Store a wish by each of the person's addresses, where any is known, and tell nobody; False when it was there."""
    addresses = {pseudonyms.of_address(key): key for key in _keys_of(lead)}
    addresses |= {address: "" for address in (lead.erased_address, *lead.erased_further) if address}
    is_new = False
    for address, phone_key in addresses.items():
        values = {"phone_key": phone_key, "opted_out_at": at, "by": by, "reason": reason[:500]}
        is_new |= OptOut.objects.get_or_create(address=address, defaults=values)[1]
    return is_new
