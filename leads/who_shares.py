"""Which living leads may be a person's too, though no address of theirs proves it: whoever erases has to know of them.

An e-mail is no proof of who somebody is: a couple, or a firm, has one together. So the other lead stays whole, and
whoever erases is told which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from leads.models import FurtherAddress, Lead, ProbablySame

# How the key of an e-mail begins.
OF_EMAIL = "email:"


@dataclass(frozen=True)
class Sharer:
    """A living lead that stays when another is erased. by_email: it has the same e-mail; else it is probably them."""

    lead: Lead
    by_email: bool


def sharers(rows: Sequence[Lead]) -> list[Sharer]:
    """Return the living leads beside these, which are one person's, that may be theirs too; the oldest first.

    Those with one of their e-mails, those that staff have not yet said to be somebody else, and those with a number
    that proves nothing: it stands on another contact of a card. Four queries.
    """
    own = [row.pk for row in rows]
    keys = {key for row in rows for key in row.address_keys}
    as_address = {key.removeprefix(OF_EMAIL) for key in keys if key.startswith(OF_EMAIL)}
    emails = {row.email.casefold() for row in rows if row.email} | as_address
    found: dict[object, Sharer] = {}
    for lead in with_email(emails):
        found[lead.pk] = Sharer(lead, by_email=True)
    pairs = ProbablySame.objects.filter(Q(older__in=own) | Q(younger__in=own), are_two=False)
    for pair in pairs.select_related("older", "younger"):
        for lead in (pair.older, pair.younger):
            found.setdefault(lead.pk, Sharer(lead, by_email=False))
    for lead in with_keys({key for key in keys if not key.startswith(OF_EMAIL)}):
        found.setdefault(lead.pk, Sharer(lead, by_email=False))
    living = [sharer for pk, sharer in found.items() if pk not in own and sharer.lead.erased_at is None]
    return sorted(living, key=lambda sharer: (sharer.lead.created_at, str(sharer.lead.pk)))


def with_email(emails: Iterable[str]) -> QuerySet[Lead]:
    """Return the living leads that have any of these e-mails, as a fact or as an address; case folded."""
    wanted = set(emails) - {""}
    return with_keys({OF_EMAIL + email for email in wanted}, emails=wanted) if wanted else Lead.objects.none()


def with_keys(keys: Collection[str], *, emails: Collection[str] = ()) -> QuerySet[Lead]:
    """Return the living leads with any of these addresses, by their keys, or any of these e-mails, case folded."""
    further = FurtherAddress.objects.filter(key__in=keys).values("lead_id")
    about = Q(phone_key__in=keys) | Q(pk__in=further)
    rows = Lead.objects.filter(erased_at=None)
    if emails:
        rows = rows.annotate(spelled=Lower("email"))
        about |= Q(spelled__in=emails)
    return rows.filter(about)
