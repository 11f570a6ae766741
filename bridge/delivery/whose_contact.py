"""What of a contact in Kommo is an erased person's: their numbers, their e-mail, and the name only if nothing else is.

A contact is merged with a relative's, and one e-mail serves a household. Whose the name is that it shows, nothing then
proves, so it stays, and a person looks. What a lead that lives here has too is that lead's, and stays as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q

from bridge.kommo.replies import ContactReply
from bridge.models import Account, Card
from leads import addresses, who_shares
from leads.addresses import AddressError, Kind
from leads.models import FurtherAddress, JoinedLead

# What a contact, and a lead, is called whose person asked to be forgotten.
FORGOTTEN = "Dados apagados (LGPD)"
NAME, PHONE, EMAIL = "name", "phone", "e-mail"


@dataclass(frozen=True)
class Living:
    """What leads that live here have of some contacts.

    owners: key of an address -> the lead. contacts: id of a contact -> the lead whose own it is, or on whose card Kommo
    shows it.
    """

    owners: dict[str, UUID] = field(default_factory=dict)
    contacts: dict[int, UUID] = field(default_factory=dict)


@dataclass(frozen=True)
class Emptying:
    """What is taken from a contact. body: what is written, None for nothing. parts: what is gone of NAME, PHONE, EMAIL.

    is_alone: nothing there is anybody else's. left: what stays, and why, in words for staff.
    """

    contact_id: int
    body: dict[str, Any] | None
    parts: tuple[str, ...]
    is_alone: bool
    left: list[str]

    @property
    def done(self) -> list[str]:
        """Return what was done, in words for the proof."""
        if self.is_alone:
            parts = f"{', '.join(self.parts[:-1])} and {self.parts[-1]}" if self.parts[1:] else "".join(self.parts)
            lines = [f"{parts} of contact {self.contact_id}"] if parts else []
        else:
            words = {PHONE: "number", EMAIL: "e-mail"}
            lines = [f"the person's own {words[part]} on contact {self.contact_id}" for part in self.parts]
        return [f"personal data erased in Kommo: {line}" for line in lines]


def emptying(
    contact: ContactReply, living: Living, *, region: str, is_theirs: Callable[[str], bool], was_theirs: bool
) -> Emptying:
    """Return what to take from a contact that is proven to be the person's. Pure.

    is_theirs: says of the key of an address whether the person had it. was_theirs: it had their number when it was
    looked at first, whatever it has now.
    """
    phones = _sorted_out(contact.phone_values, Kind.PHONE, living, region, is_theirs)
    emails = _sorted_out(contact.email_values, Kind.EMAIL, living, region, is_theirs)
    owner = living.contacts.get(contact.id)
    is_alone = not (phones.others or phones.shared or emails.shared or owner)
    # Alone on their contact, everything there is theirs; beside others, what we know to be theirs.
    kept_emails = [] if is_alone else emails.kept
    fields = [
        {"field_code": code, "values": [_written(value) for value in kept] or None}
        for code, kept, had in (
            ("PHONE", phones.kept, contact.phone_values),
            ("EMAIL", kept_emails, contact.email_values),
        )
        if len(kept) < len(had)
    ]
    body: dict[str, Any] = {"custom_fields_values": fields} if fields else {}
    if is_alone and contact.name != FORGOTTEN:
        body["name"] = FORGOTTEN
    changed = {
        NAME: is_alone,
        PHONE: bool(phones.own) or (was_theirs and not phones.has_theirs),
        EMAIL: len(kept_emails) < len(contact.email_values),
    }
    left = list(_left(contact, phones, emails, owner)) if not is_alone else []
    return Emptying(
        contact.id,
        {"id": contact.id, **body} if body else None,
        tuple(part for part, is_changed in changed.items() if is_changed),
        is_alone,
        left,
    )


def living_beside(account: Account, contacts: Iterable[ContactReply], *, region: str) -> Living:
    """Return what leads that live here, in whatever pipeline, have of these contacts. Five queries at most."""
    found = list(contacts)
    keys = {
        key
        for contact in found
        for values, kind in ((contact.phone_values, Kind.PHONE), (contact.email_values, Kind.EMAIL))
        for value in values
        if (key := key_of(value, kind, region))
    }
    owners = _owners(keys) if keys else {}
    shown = _with_cards(account, {lead_id for contact in found for lead_id in contact.lead_ids})
    on_cards = {contact.id: shown[kommo_id] for contact in found for kommo_id in contact.lead_ids if kommo_id in shown}
    ids = [contact.id for contact in found]
    cards = Card.objects.filter(account=account, lead__erased_at=None)
    # Whom we knew first, where the main contact of today is somebody else.
    own = cards.filter(Q(own_contact_id__in=ids) | Q(own_contact_id=None, kommo_contact_id__in=ids))
    rows = own.values_list("own_contact_id", "kommo_contact_id", "lead_id").order_by("-lead__created_at", "-lead_id")
    return Living(owners, on_cards | {own_id: lead_id for first, main, lead_id in rows if (own_id := first or main)})


def key_of(entry: dict[str, Any], kind: Kind, region: str) -> str:
    """Return the key of a number or an e-mail as Kommo has it; empty for what is none."""
    try:
        return addresses.parse(kind, str(entry.get("value") or ""), region=region).key
    except AddressError:
        return ""


@dataclass(frozen=True)
class _Sorted:
    """The numbers, or the e-mails, of a contact: the person's own, those that a living lead has, and all others."""

    own: list[dict[str, Any]]
    shared: dict[str, UUID]
    others: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    # Also where a living lead has it too.
    has_theirs: bool


def _sorted_out(
    values: Sequence[dict[str, Any]], kind: Kind, living: Living, region: str, is_theirs: Callable[[str], bool]
) -> _Sorted:
    keys = [(value, key_of(value, kind, region)) for value in values]
    own = [value for value, key in keys if key and key not in living.owners and is_theirs(key)]
    shared = {key: living.owners[key] for _, key in keys if key in living.owners}
    others = [value for value, key in keys if value not in own and key not in shared]
    has_theirs = any(key and is_theirs(key) for _, key in keys)
    return _Sorted(own, shared, others, [value for value in values if value not in own], has_theirs)


def _left(contact: ContactReply, phones: _Sorted, emails: _Sorted, owner: UUID | None) -> Iterator[str]:
    others = len(phones.others) + len(emails.others)
    if others:
        yield f"contact {contact.id} has {others} more numbers or addresses: look whose they are"
    for what, found in (("a number", phones.shared), ("an e-mail", emails.shared)):
        for lead_id in sorted(set(found.values()), key=str):
            yield f"{what} of contact {contact.id} stays: lead {lead_id} here has it too"
    if owner:
        yield f"contact {contact.id} is the contact of lead {owner} here"
    if contact.name != FORGOTTEN:
        yield f"the name of contact {contact.id} stays: look whose it is"


def _owners(keys: Collection[str]) -> dict[str, UUID]:
    emails = {key.removeprefix(who_shares.OF_EMAIL) for key in keys if key.startswith(who_shares.OF_EMAIL)}
    rows = who_shares.with_keys(keys, emails=emails)
    found: dict[str, UUID] = {}
    leads = list(rows.only("pk", "phone_key", "email"))
    for lead in leads:
        for key in (lead.phone_key, who_shares.OF_EMAIL + lead.email.casefold()):
            if key and key in keys:
                found.setdefault(key, lead.pk)
    further = FurtherAddress.objects.filter(key__in=keys, lead__in=leads).values_list("key", "lead_id")
    return {**dict(further), **found}


def _with_cards(account: Account, kommo_lead_ids: Collection[int]) -> dict[int, UUID]:
    """Return lead in Kommo -> the lead that lives here whose card it is, or was until the lead was joined."""
    living = {"kommo_lead_id__in": kommo_lead_ids, "lead__erased_at": None}
    left = JoinedLead.objects.filter(lead__card__account=account, **living).values_list("kommo_lead_id", "lead_id")
    cards = Card.objects.filter(account=account, **living).values_list("kommo_lead_id", "lead_id")
    return {kommo_id: lead_id for kommo_id, lead_id in (*left, *cards) if kommo_id}


def _written(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it is written: with its kind by one of the two names Kommo has for it."""
    kind = {"enum_id": entry["enum_id"]} if entry.get("enum_id") else {}
    return {"value": entry.get("value"), **kind}
